"""Train `word-pooled-lm`, a language model that reads and writes words of bytes, on novels.

    python -m components.models.recipes.word_pooled_lm --data DATA --minutes 20

The bundled `byte-lm`, trained for as long on the same text, is measured beside it. With --memory 0 the net
has no memory rows; --bare takes the checkpoint of such a run, whose curve then goes onto the card as well.
"""

import argparse
import hashlib
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.word_pooled import WordPooledLM, build
from components.models.recipes import _word_measures
from components.models.recipes._lm_training import Training, crops, read_out_loss
from components.models.recipes._run import arguments, load_checkpoint, publish
from components.models.recipes._text_lm import folder_of, read_bytes, reader
from components.models.store import BUNDLED, ModelStore
from components.models.tokenizer_training import stretches
from components.models.tokenizer_transfer import token_strings
from components.models.vocabularies import bundled
from components.models.weights import round_as_stored
from components.models.word_units import CANVAS, PATTERN, padded, pieces
from components.numerics.token_alignment import byte_letters
from components.settings import Settings

NAME = "word-pooled-lm"
TWIN = "byte-lm"
SOURCE = "novels_train.txt"
BATCH = 8  # crops a step
NET: dict[str, Any] = {"body": {"width": 192, "depth": 3, "heads": 3, "hidden": 512}, "letters": 96,
                       "inner": 256, "memory": 12288, "context": 128}  # fmt: skip
BOTH = _word_measures.BOTH
POSITIONS = 0.22  # main positions a byte: the target
CURVE = 20  # times at which the card compares the curves


class Words(NamedTuple):
    """A text as indices into the list of its different words, in order of their first appearance."""

    stream: NDArray[np.int32]
    table: list[bytes]

    def counts(self) -> dict[bytes, int]:
        """Return how often each word stands in the text, the white space before it aside."""
        found: Counter[bytes] = Counter()
        for word, count in zip(self.table, np.bincount(self.stream, minlength=len(self.table)), strict=True):
            found[word.strip()] += int(count)
        return dict(found)

    def bytes_per_word(self) -> float:
        """Return the mean length of the text's words."""
        counts = np.bincount(self.stream, minlength=len(self.table))
        return float(counts @ np.array([len(word) for word in self.table]) / counts.sum())

    def symbols_per_byte(self) -> float:
        """Return how many symbols the model predicts a byte of text, the ends of words included."""
        counts = np.bincount(self.stream, minlength=len(self.table))
        lengths = np.array([len(word) for word in self.table])
        return float(counts @ np.minimum(lengths + 1, CANVAS) / (counts @ lengths))


def read_words(source: Path, cache: Path) -> Words:
    """Return the words of a text file, kept in `cache` for the next run."""
    if not cache.exists():
        index: dict[bytes, int] = {}
        parts = []
        for text in stretches(source.read_text(encoding="utf-8", errors="ignore")):
            words = [piece for word in PATTERN.findall(text) for piece in pieces(word)]
            parts.append(np.array([index.setdefault(word, len(index)) for word in words], np.int32))
        table = np.array(list(index), dtype=f"S{CANVAS}")
        lengths = np.array([len(word) for word in index], np.uint8)
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, stream=np.concatenate(parts), table=table, lengths=lengths)
    with np.load(cache) as found:
        # NumPy drops zero bytes at the end of a string; the lengths bring them back.
        pairs = zip(found["table"], found["lengths"].tolist(), strict=True)
        return Words(found["stream"], [bytes(word).ljust(size, b"\0") for word, size in pairs])


def loss_over(words: Words, seed: int, device: str) -> Callable[[WordPooledLM, int], Tensor]:
    """Return the loss of a step: cross-entropy of the symbols, ends included, of words in random crops."""
    table = padded(words.table).to(torch.int16)

    def loss(net: WordPooledLM, step: int) -> Tensor:
        index = crops(words.stream, net.context - 1, BATCH, seed, step)
        ids = table[index].long().to(device)
        with torch.autocast(device, torch.bfloat16):
            states = net.states(ids[:, :-1]).flatten(0, 1)
            slots = net.slots(states, ids.flatten(0, 1))
            return read_out_loss(slots.states, net.rows(), slots.targets)

    return loss


def rivals() -> dict[str, _word_measures.Rival]:
    """Return the bundled byte and BPE models, where they are there."""
    found, store = {}, ModelStore(Settings(threads=1))
    single = [bytes([i]) for i in range(256)]
    if TWIN in store.names():
        found[TWIN] = _word_measures.Rival(store.get(TWIN), read_bytes, single)
    if "bpe-lm" in store.names():
        vocabulary, letters = bundled(BUNDLED / "text-tokenizers")["bpe"], byte_letters()
        spelling = [bytes(letters[letter] for letter in token) for token in token_strings(vocabulary)]
        found["bpe-lm"] = _word_measures.Rival(store.get("bpe-lm"), reader("bpe"), spelling)
    return found


def evaluate(model: Any, data: Path, work: Path) -> list[dict[str, Any]]:
    """Measure on the held-out books; the training text's words are counted in `work`."""
    folder = folder_of(data)
    counts = read_words(folder / SOURCE, work / f"{NAME}-words.npz").counts()
    return _word_measures.measure(model, counts, folder, rivals())


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--memory", type=int, default=NET["memory"], help="memory rows; 0 for none")
        parser.add_argument("--bare", type=Path, help="checkpoint of a run without memory")

    options = arguments(f"Train {NAME} on novels.", 20, more, argv)
    source = folder_of(options.data) / SOURCE
    words = read_words(source, options.work / f"{NAME}-words.npz")
    torch.manual_seed(options.seed)
    shape = {**NET, "memory": options.memory}
    training = Training(options, NAME, build(**shape), loss_over(words, options.seed, options.device))
    training.run(every=50)
    net = training.result.cpu()
    round_as_stored(net)
    metrics = evaluate(net, options.data, options.work)
    folder = Path(options.out) / NAME
    known = card(options, training, source, metrics)
    known["bytes_seen"] = round(training.step * BATCH * shape["context"] * words.bytes_per_word())
    store = ModelStore(Settings(threads=1))
    if training.curve and TWIN in store.names():
        own = Curve(training.curve, training.step, training.spent)
        known["training_bits_per_byte"] = equal_cost(own, options.bare, store.card(TWIN),
                                                     words.symbols_per_byte())  # fmt: skip
    publish(folder, "word_pooled", shape, net.state_dict(), known)
    return folder


class Curve(NamedTuple):
    """Losses (step, nats a symbol), each the mean since the one before, of `steps` steps in `seconds`."""

    points: list[Any]
    steps: int
    seconds: float

    def at(self, seconds: float) -> float | None:
        """Return the loss noted nearest to a time, none after the end of the run."""
        if seconds > 1.01 * self.seconds:
            return None
        one = min(self.points, key=lambda point: abs(point[0] / self.steps * self.seconds - seconds))
        return float(one[1])


def equal_cost(own: Curve, bare: Path | None, twin: dict[str, Any], symbols: float) -> dict[str, list[Any]]:
    """Return training bits per byte of this run and a byte LM's after the same processor times.

    `symbols` is how many symbols this model predicts a byte; `twin` is the byte LM's card, `bare` a
    checkpoint of this recipe without memory.
    """
    other = Curve(twin["curve"], twin["steps"], twin["cpu_seconds"])
    last = min(own.seconds, other.seconds)
    # Closer together in the beginning, where the curves are steep.
    times = [round(last * (i / CURVE) ** 2, 1) for i in range(3, CURVE + 1)]
    curves = {NAME: (own, symbols), TWIN: (other, 1.0)}
    if bare is not None:
        state = load_checkpoint(bare) or {}
        curves["without memory"] = (Curve(state["curve"], state["step"], state["spent"]), symbols)
    found: dict[str, list[Any]] = {"cpu_seconds": times}
    for name, (curve, factor) in curves.items():
        losses = [curve.at(time) for time in times]
        found[name] = [None if x is None else round(x * factor / math.log(2), 3) for x in losses]
    return found


def missed(metrics: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for every target that the metrics miss."""
    found = {(m["name"], m["on"]): m["value"] for m in metrics}
    own, twin = found["bits per byte", BOTH], found.get((f"{TWIN}: bits per byte", BOTH))
    sentences = []
    if twin is not None and own > twin:
        sentences.append(f"Target: no more bits per byte than {TWIN} at equal training cost. Missed: "
                         f"{own} against {twin}.")  # fmt: skip
    positions = found["main positions per byte", BOTH]
    if positions > POSITIONS:
        sentences.append(f"Target: at most {POSITIONS} main positions per byte. Missed: {positions}.")
    ours, theirs = (found.get((f"{who}: next word guessed (greedy)", _word_measures.EVERY))
                    for who in ("word-pooled", TWIN))  # fmt: skip
    if theirs is not None and ours is not None and ours < theirs:
        sentences.append(f"Target: as many next words guessed as {TWIN}. Missed: {ours} against {theirs}.")
    return sentences


def card(options: argparse.Namespace, training: Training, source: Path,
         metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the card says beside the net's own facts."""
    return {
        "licence": "Apache-2.0",
        "recipe": "components/models/recipes/word_pooled_lm.py",
        "command": "python -m components.models.recipes.word_pooled_lm --data DATA --minutes "
        f"{options.minutes:g}" + (" --bare CHECKPOINT" if options.bare else ""),
        "seed": options.seed, "steps": training.step, "cpu_seconds": round(training.spent),
        "words_seen": training.step * BATCH * NET["context"],
        "curve": training.curve[:: max(1, len(training.curve) // 60)],
        "likelihood": f"Words of up to {CANVAS} bytes; a shorter one is closed by an end symbol, which bits "
        "per byte count; one that fills the canvas needs none, and a longer word goes on as the next. "
        "Joined, the words are the text. The probabilities of all words after a text sum to one.",
        "next_words": "Greedy, a word of letters with its space: every symbol right and the word ended. "
        "byte-lm and bpe-lm trained for the time on their own cards. The paper counts words sampled after a "
        "fixed number of units, at a larger scale: its figures do not compare.",
        "data": [{"name": source.name, "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
                  "licence": "public domain in the US"}],
        "metrics": metrics,
        "limits": [
            "Trained for minutes on English novels of 1839 to 1927: it guesses plain words of that time.",
            "A tiny model shows the cost and the mechanism: whether the paper's gain on rare words is there, "
            "the rows by frequency say.",
            "The memory, rows for beginnings of words found by a hash, is not in the paper, and byte-lm has "
            "none: training_bits_per_byte shows how much of the lead is its doing.",
            *missed(metrics),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    main()
