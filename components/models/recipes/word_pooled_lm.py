"""Train `word-pooled-lm`, a language model that reads and writes words of bytes, on novels.

    python -m components.models.recipes.word_pooled_lm --data DATA --minutes 9

With --twin a folder of models that has a `byte-lm` trained for the same time, that one is measured as well.
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
from components.models.recipes._run import arguments, publish
from components.models.recipes._text_lm import folder_of, read_bytes
from components.models.store import BUNDLED, ModelStore
from components.models.tokenizer_training import stretches
from components.models.word_units import CANVAS, PATTERN, padded, pieces

NAME = "word-pooled-lm"
SOURCE = "novels_train.txt"
BATCH = 8  # crops a step
NET: dict[str, Any] = {"width": 192, "depth": 4, "heads": 3, "hidden": 512, "inner": 384, "context": 128}
POSITIONS = 0.22  # main positions a byte: the target


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
            return read_out_loss(slots.states, net.body.table, slots.targets)

    return loss


def rivals(twin: Path | None = None) -> dict[str, _word_measures.Rival]:
    """Return the bundled byte and BPE models, where they are there, and the byte model of `twin`."""
    found, store = {}, ModelStore()
    single = [bytes([i]) for i in range(256)]
    if "byte-lm" in store.names():
        found["byte-lm"] = _word_measures.Rival(store.get("byte-lm"), read_bytes, single)
    if "bpe-lm" in store.names():
        from components.models.vocabularies import bundled

        tokenizer = bundled(BUNDLED / "text-tokenizers")["bpe"].tokenizer
        spelled = {letter: byte for byte, letter in _byte_letters().items()}
        names = [""] * tokenizer.get_vocab_size()
        for token, i in tokenizer.get_vocab().items():
            names[i] = token
        spelling = [bytes(spelled[letter] for letter in token) for token in names]
        found["bpe-lm"] = _word_measures.Rival(store.get("bpe-lm"), lambda w: list(tokenizer.encode(w).ids),
                                               spelling)  # fmt: skip
    if twin is not None:
        net = ModelStore(folder=twin).get("byte-lm")
        found["byte LM of the same training time"] = _word_measures.Rival(net, read_bytes, single)
    return found


def _byte_letters() -> dict[int, str]:
    """Return the printable letter that a byte-level vocabulary writes for each byte."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{byte: chr(byte) for byte in plain}, **{byte: chr(256 + n) for n, byte in enumerate(others)}}


def evaluate(model: Any, data: Path, work: Path, twin: Path | None = None) -> list[dict[str, Any]]:
    """Measure on the held-out books; the training text's words are counted in `work`."""
    folder = folder_of(data)
    counts = read_words(folder / SOURCE, work / f"{NAME}-words.npz").counts()
    return _word_measures.measure(model, counts, folder, rivals(twin))


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--twin", type=Path, help="folder with a byte-lm trained for the same time")

    options = arguments(f"Train {NAME} on novels.", 9, more, argv)
    source = folder_of(options.data) / SOURCE
    words = read_words(source, options.work / f"{NAME}-words.npz")
    torch.manual_seed(options.seed)
    training = Training(options, NAME, build(**NET), loss_over(words, options.seed, options.device))
    training.run(every=20)
    net = training.result.cpu()
    net.load_state_dict({k: v.half().float() for k, v in net.state_dict().items()})
    metrics = evaluate(net, options.data, options.work, options.twin)
    for metric in metrics:
        print(f"{metric['name']}: {metric['value']} (n={metric['n']}, {metric['on']})", flush=True)
    folder = Path(options.out) / NAME
    known = card(options, training, source, metrics)
    if training.curve and "byte-lm" in ModelStore().names():
        other = ModelStore().card("byte-lm")
        known["training_bits_per_byte_at_the_same_time"] = same_time(known, words.symbols_per_byte(), other)
    publish(folder, "word_pooled", NET, net.state_dict(), known)
    return folder


def early(curve: list[Any], steps: int, seconds: float, at: float) -> float:
    """Return the training loss in nats noted nearest to `at` seconds of a run of `steps` in `seconds`."""
    return float(min(curve, key=lambda point: abs(point[0] / steps * seconds - at))[1])


def same_time(known: dict[str, Any], symbols: float, other: dict[str, Any]) -> dict[str, float]:
    """Return training bits per byte of this card and a byte LM's after the same processor time.

    The time is a third of this run's: until then neither rate has begun to fall, which favours none.
    """
    at = min(known["cpu_seconds"], other["cpu_seconds"]) / 3
    own, its = (early(card["curve"], card["steps"], card["cpu_seconds"], at) for card in (known, other))
    return {"cpu_seconds": round(at), "word-pooled-lm": round(own * symbols / math.log(2), 4),
            "byte-lm": round(its / math.log(2), 4)}  # fmt: skip


def missed(metrics: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for every target that the metrics miss."""
    found = {(m["name"], m["on"]): m["value"] for m in metrics}
    own, sentences = found["word-pooled: bits per byte", "openings of both books"], []
    twin = found.get(("byte LM of the same training time: bits per byte", "openings of both books"))
    if twin is not None and own > twin:
        sentences.append("Target: no more bits per byte than a byte LM of the same training time. Missed: "
                         f"{own} against {twin}.")  # fmt: skip
    positions = found["main positions per byte", "both books"]
    if positions > POSITIONS:
        sentences.append(f"Target: at most {POSITIONS} main positions per byte. Missed: {positions}.")
    ours, theirs = (found.get((f"{who}: next word guessed (greedy)", _word_measures.EVERY))
                    for who in ("word-pooled", "byte-lm"))  # fmt: skip
    if theirs is not None and ours is not None and ours < theirs:
        sentences.append(f"Target: as many next words guessed as byte-lm. Missed: {ours} against {theirs}.")
    return sentences


def card(options: argparse.Namespace, training: Training, source: Path,
         metrics: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the card says beside the net's own facts."""
    return {
        "licence": "Apache-2.0",
        "recipe": "components/models/recipes/word_pooled_lm.py",
        "command": "python -m components.models.recipes.word_pooled_lm --data DATA --minutes "
        f"{options.minutes:g}" + (" --twin FOLDER" if options.twin else ""),
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
            *missed(metrics),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    main()
