import numpy as np
import pytest

from components.errors import InputError
from components.numerics import threads


def followed(stack, start, hops):
    """Look each key up in the plain table of pairs."""
    table = dict(stack.pairs.tolist())
    found = []
    for _ in range(hops):
        start = table[start]
        found.append(start)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_dictionary_follows_every_thread_to_its_answers(seed):
    stack = threads.haystack(40, seed, 4, ("forward", "backward", "random"))
    assert stack.pairs.shape == (40, 2)
    for row, start in enumerate(stack.starts.tolist()):
        assert followed(stack, start, 4) == stack.answers[row].tolist()
        keys = stack.pairs[stack.places[row], 0].tolist()
        assert keys == [start, *stack.answers[row, :-1].tolist()]


def test_directions_are_the_order_of_the_pairs():
    mixed = set()
    for seed in range(12):
        stack = threads.haystack(60, seed, 5, ("forward", "backward", "random"))
        steps = np.sign(np.diff(stack.places, axis=1))
        assert (steps[0] == 1).all()
        assert (steps[1] == -1).all()
        mixed.update(steps[2].tolist())
    assert mixed == {1, -1}


def test_only_threads_share_symbols():
    stack = threads.haystack(50, 3, 6, ("forward", "backward"))
    assert len(set(stack.pairs[:, 0].tolist())) == 50  # every key once
    assert len(set(stack.pairs[:, 1].tolist())) == 50
    both = set(stack.pairs[:, 0].tolist()) & set(stack.pairs[:, 1].tolist())
    assert both == set(stack.threads[:, 1:-1].ravel().tolist())
    assert stack.pairs.max() < threads.SYMBOLS


def test_threads_lie_anywhere():
    places = np.concatenate([threads.haystack(10, s).places[0] for s in range(400)])
    assert np.bincount(places, minlength=10).min() > 20  # 40 expected


def test_tokens_are_key_value_separator():
    stack = threads.haystack(7, 1)
    rows = stack.tokens.reshape(7, 3)
    assert np.array_equal(rows[:, :2], stack.pairs)
    assert (rows[:, 2] == threads.SEPARATOR).all()
    assert np.array_equal(threads.haystack(7, 1).tokens, stack.tokens)
    assert not np.array_equal(threads.haystack(7, 2).tokens, stack.tokens)


def test_a_window_ends_with_its_key():
    window = threads.window(17, 16, 0)
    assert window[-1] == 17
    assert len(window) == 16
    assert (window[:-1] >= threads.FIRST_FILLER).all()
    assert (window[:-1] < threads.VOCABULARY).all()
    assert len(set(window.tolist())) > 8
    assert threads.window(17, 1, 0).tolist() == [17]
    assert set(threads.window(17, 40, 0, np.array([5, 6]))[:-1].tolist()) == {5, 6}


def test_exact_wants_the_last_value_alone():
    stacks = [threads.haystack(20, s, 3, ("forward", "backward")) for s in range(2)]
    found = np.stack([s.answers for s in stacks])
    found[1, 0, 1] += 1
    found[0, 1, 2] += 1
    assert threads.exact(found, stacks, 1).all()
    assert threads.exact(found, stacks, 2).tolist() == [[True, True], [False, True]]
    assert threads.exact(found, stacks, 3).tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(("given", "says"), [
    ((0, 0), "0 pairs"),
    ((threads.SYMBOLS, 0), "2048 pairs"),
    ((11, 0, 4, ("forward",) * 3), "do not fit"),
    ((11, 0, 0), "do not fit"),
    ((11, 0, 1, ()), "do not fit"),
    ((11, 0, 1, ("sideways",)), "sideways"),
])
def test_what_does_not_fit_is_refused(given, says):
    with pytest.raises(InputError, match=says):
        threads.haystack(*given)


def test_an_empty_window_is_refused():
    with pytest.raises(InputError, match="0 tokens"):
        threads.window(1, 0, 0)
