"""Train the four small tokenizers that ship: BPE, WordPiece, Unigram and a closed list of words.

    python -m components.models.recipes.text_tokenizers --data FOLDER

The folder holds `novels_train.txt` (public-domain English novels), of which a prefix is used, and for
the metrics `heldout_*.txt` (whole books that are not in it). BPE and Unigram share a pre-tokenizer whose
cuts depend on two neighbouring characters alone, so that whether tokens are the canonical ones can be
told pair by pair.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from components.models.recipes._run import arguments, digest
from components.models.tokenizer_training import ALGORITHMS, UNKNOWN, stretches, train


def measure(name: str, tokenizer: Tokenizer, books: list[Path]) -> list[dict[str, Any]]:
    """Return bytes per token and the unknown share on the first 200,000 characters of each held-out book."""
    metrics = []
    for book in books:
        text = book.read_text(encoding="utf-8")[:200_000]
        found = tokenizer.encode(text)
        unknown = found.tokens.count(UNKNOWN) / len(found.tokens)
        bytes_each = len(text.encode()) / len(found.tokens)
        for what, value, unit in (("bytes per token", bytes_each, "bytes"), ("unknown", 100 * unknown, "%")):
            metrics.append(
                {
                    "name": f"{name}: {what}",
                    "value": round(value, 3),
                    "unit": unit,
                    "n": len(found.tokens),
                    "on": book.stem,
                }
            )
    return metrics


def describe(
    options: argparse.Namespace,
    files: list[Path],
    prefix: bytes,
    metrics: list[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    """Return the card of the folder of tokenizers."""
    source = options.data / "novels_train.txt"
    return {
        "name": "text-tokenizers",
        "kind": "tokenizers",
        "parameters": 0,
        "files": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files},
        "bytes": sum(f.stat().st_size for f in files),
        "sha256": digest(files),
        "licence": "Apache-2.0",
        "recipe": "components/models/recipes/text_tokenizers.py",
        "command": f"python -m components.models.recipes.text_tokenizers --data DATA --size {options.size}"
        f" --megabytes {options.megabytes:g}",
        "seed": options.seed,
        "steps": 0,
        "cpu_seconds": round(seconds),
        "vocabulary": options.size,
        "data": [
            {
                "name": source.name,
                "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
                "licence": "public domain in the US",
                "prefix_bytes": len(prefix),
                "prefix_sha256": hashlib.sha256(prefix).hexdigest(),
            }
        ],
        "metrics": metrics,
        "limits": [
            "The trainers of Unigram and WordPiece break ties in no fixed order: a second run gives "
            "nearly the same vocabulary, not the same file.",
            "Trained on English novels of before 1929: modern words, code and other scripts fall into "
            "many tokens, or into [UNK] for WordPiece and the word list.",
        ],
    }


def main(argv: list[str] | None = None) -> None:
    """Train, measure and write everything to <out>/text-tokenizers."""

    def configure(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--size", type=int, default=4096, help="vocabulary size of each tokenizer")
        parser.add_argument("--megabytes", type=float, default=6.0, help="length of the training prefix")

    options = arguments("Train the small text tokenizers.", 10.0, configure, argv)
    started = time.process_time()
    with (options.data / "novels_train.txt").open("rb") as stream:
        prefix = stream.read(int(options.megabytes * 1e6))
    text = prefix.decode("utf-8", errors="ignore")
    folder = options.out / "text-tokenizers"
    folder.mkdir(parents=True, exist_ok=True)
    files, metrics = [], []
    for name in ALGORITHMS:
        tokenizer = train(name, options.size, stretches(text))
        files.append(folder / f"{name}.json")
        files[-1].write_text(tokenizer.to_str(), encoding="utf-8")
        metrics += measure(name, tokenizer, sorted(options.data.glob("heldout_*.txt")))
        print(f"{name}: {tokenizer.get_vocab_size()} tokens, {time.process_time() - started:.0f} s")
    card = describe(options, files, prefix, metrics, time.process_time() - started)
    (folder / "card.json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
