import json
import random

import pytest

from components.numerics.bpe_training import alphabet, corpus, join, learn, replay
from components.numerics.token_alignment import byte_letters
from components.numerics.unigram_search import most_probable


def test_the_papers_example():
    """low ×5, lowest ×2, newer ×6, wider ×3: of Sennrich et al.'s toy dictionary, without its end mark."""
    words = [b"low"] * 5 + [b"lowest"] * 2 + [b"newer"] * 6 + [b"wider"] * 3
    merges = learn(corpus(words), 3)
    assert merges[0].pair == (b"e", b"r") and merges[0].count == 9
    assert merges[0].tokens == 5 * 3 + 2 * 6 + 6 * 4 + 3 * 4
    assert merges[1].count == merges[2].count == 7
    assert merges[2].symbol == b"low"


def test_overlapping_pairs_are_joined_from_the_left():
    assert join([b"a", b"a", b"a"], (b"a", b"a")) == [b"aa", b"a"]
    assert join([], (b"a", b"a")) == []
    merges = learn(corpus([b"aaaa"]), 5)
    assert [m.symbol for m in merges] == [b"aa", b"aaaa"]
    assert [m.tokens for m in merges] == [2, 1]


def test_rare_pairs_are_left_alone():
    assert learn(corpus([b"ab", b"ab", b"cd"]), 9, least=2)[-1].pair == (b"a", b"b")
    assert learn({}, 9) == []


def test_replay_shows_every_state():
    merges = learn(corpus([b"abab", b"abab"]), 2)
    assert replay(b"abab", merges) == [[b"a", b"b", b"a", b"b"], [b"ab", b"ab"], [b"abab"]]


@pytest.mark.parametrize("seed", range(60))
def test_merges_and_lengths_are_those_of_the_tokenizers_library(seed):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    rng = random.Random(seed)
    words = ["".join(rng.choices("abcé", k=rng.randrange(1, 8))) for _ in range(rng.randrange(1, 60))]
    steps = rng.randrange(1, 40)
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(" ", "removed"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + steps, initial_alphabet=letters, show_progress=False)
    theirs.train_from_iterator([" ".join(words)], trainer)
    expected = [tuple(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]]
    spelled = {byte: letter for letter, byte in byte_letters().items()}
    found = learn(corpus(word.encode() for word in words), steps)
    assert [tuple("".join(spelled[b] for b in side) for side in merge.pair) for merge in found] == expected
    if found:
        assert found[-1].tokens == sum(len(theirs.encode(word).ids) for word in words)
        assert found[-1].tokens == sum(len(replay(word.encode(), found)[-1]) for word in words)


def test_the_alphabet_is_in_the_order_of_its_letters():
    assert len(set(alphabet())) == 256 and alphabet()[0] == b"!" and alphabet()[-1] == b"\xad"


def test_the_most_probable_segmentation_by_hand():
    scores = {"a": -1.0, "b": -1.0, "ab": -2.5, "abb": -2.0}
    assert most_probable("ab", scores) == (("a", "b"), -2.0)
    assert most_probable("abb", scores) == (("abb",), -2.0)
    assert most_probable("", scores) == ((), 0.0)
    assert most_probable("ax", scores)[1] == float("-inf")
