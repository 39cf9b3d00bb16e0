"""Train `text-lm`, a small causal language model of modern English that can also be asked for one word.

    python -m components.models.recipes.text_lm --data FOLDER --minutes 27

First it learns to predict the next token; from `PROMPTED_FROM` of the time on, every second batch holds
passages in the prompt of `components.models.prompted`, and the token after the prompt should be one of the
passage's key words (the data-driven targets of Text2Token, 2510.10224), its state near that of a query made
from the same passage. A run that was stopped goes on with --resume.
"""

import argparse
import hashlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from components.models.nets.causal_lm import CausalLM, build
from components.models.prompted import PROMPT, PromptReader
from components.models.recipes import _modern_text as modern
from components.models.recipes._lm_training import Training, read_out_loss
from components.models.recipes._run import Budget, arguments, publish
from components.models.recipes._text_lm_measures import HYBRID, evaluate
from components.models.tokenizer_training import stretches, train
from components.models.vocabularies import Vocabulary
from components.models.weights import matrices, round_as_stored

NAME = "text-lm"
TOKENIZER = "tokenizer.json"
VOCABULARY = 8192
BODY: dict[str, Any] = {"width": 256, "depth": 4, "heads": 4, "hidden": 640, "context": 320}
SHARES = {"wikitext": 0.4, "abstracts": 0.35, "captions": 0.05, "novels": 0.2}  # of the crops
PROMPTED_SHARES = {"wikitext": 0.3, "abstracts": 0.5, "novels": 0.2}
PROMPTED_FROM = 0.4  # of the time
BATCH_TOKENS = 2560
PASSAGES = 16  # a prompted batch
CUT = (300, 1100)  # characters of a passage in training, drawn anew each time
TEMPERATURE = 0.05
WORDS_WEIGHT, PAIRS_WEIGHT = 0.5, 1.0

TRAINING = """\
Next-token prediction; in the later part every second batch asks for the passage's key words (tf-idf over the
training passages) after the prompt, and for the passage of a query cut from it. No text, query or judgement
of a test collection was used; of scifact_mini the documents are training text, the queries are not."""
LIMITS = (
    "Tiny, and trained for minutes on a few megabytes: it writes English-looking text that means nothing.",
    "The prompt was trained on key words of the training text. A large model needs no such training: what is "
    "measured here is the relation of the three rankings, not the paper's (2404.18424) quality.",
    "Words are weighed by their first piece; rare ones begin with a letter or two that many words share.",
    "Bits per byte are of WikiText-2's tokenised form with its <unk> marks, as the file has it: figures of "
    "other models on plain text do not compare.",
)

__all__ = ["Objective", "build_tokenizer", "evaluate", "main"]


def build_tokenizer(texts: modern.Texts, cache: Path) -> Tokenizer:
    """Return the byte-level BPE, trained once; the modern sources count whole, the novels for a half."""
    if not cache.exists():
        parts = [text if name != "novels" else text[: len(text) // 2] for name, text in texts.raw.items()]
        found = train("bpe", VOCABULARY, (piece for part in parts for piece in stretches(part)))
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(found.to_str(), encoding="utf-8")
    return Tokenizer.from_file(str(cache))


def made_query(text: str, keys: modern.KeyWords, chance: random.Random) -> str:
    """Return a query for a text: a stretch of it or some of its key words, at even odds."""
    if chance.random() < 0.5:
        return modern.stretch(text, chance)
    return modern.key_query(text, keys, chance)


class Objective:
    """The loss of a step: next-token prediction, in the later part alternating with prompted passages."""

    def __init__(
        self, texts: modern.Texts, tokenizer: Tokenizer, net: CausalLM, options: argparse.Namespace
    ) -> None:
        """Tokenise the training text; a run that has its own `budget` sets it."""
        self.options, self.budget = options, Budget(options.minutes, options.steps)
        self.reader = PromptReader(net, Vocabulary(tokenizer))
        self.keys = modern.KeyWords(texts.all_passages())
        self.streams = {name: _stream(tokenizer, text) for name, text in texts.raw.items()}
        self.passages = texts.passages

    def __call__(self, net: CausalLM, step: int) -> Tensor:
        """Return the loss of step `step` in nats."""
        done = self.budget.share()
        if self.options.steps:
            done = max(done, step / self.options.steps)
        if done >= PROMPTED_FROM and step % 2:
            return self.prompted(net, step)
        return self.plain(net, step)

    def plain(self, net: CausalLM, step: int) -> Tensor:
        """Return the next-token loss on crops of the sources, each drawn by its share."""
        draw = np.random.default_rng((self.options.seed, step))
        length = net.context - 1
        names = draw.choice(list(SHARES), BATCH_TOKENS // net.context, p=list(SHARES.values()))
        rows = []
        for name in names:
            start = draw.integers(0, max(1, len(self.streams[name]) - length))
            rows.append(np.resize(self.streams[name][start : start + length], length))
        tokens = torch.from_numpy(np.stack(rows).astype(np.int64)).to(self.options.device)
        with torch.autocast(tokens.device.type, torch.bfloat16):
            return read_out_loss(_states(net, tokens[:, :-1]), net.table, tokens)

    def prompted(self, net: CausalLM, step: int) -> Tensor:
        """Return the passages' next-token loss, the loss of the word asked for and that of the pairs."""
        chance = random.Random(f"{self.options.seed} {step}")
        names = chance.choices(list(PROMPTED_SHARES), list(PROMPTED_SHARES.values()), k=PASSAGES)
        texts = [modern.piece(chance.choice(self.passages[name]), CUT, chance) for name in names]
        queries = [made_query(text, self.keys, chance) for text in texts]
        with torch.autocast(self.options.device, torch.bfloat16):
            reading, asked = self._read(net, texts)
            _, asking = self._read(net, queries)
        words = sum(self._words(net, last, own) for last, own in ((asked, texts), (asking, queries)))
        alike = F.normalize(asking.float(), dim=1) @ F.normalize(asked.float(), dim=1).T / TEMPERATURE
        right = torch.arange(len(texts), device=alike.device)
        pairs = (F.cross_entropy(alike, right) + F.cross_entropy(alike.T, right)) / 2
        return reading + WORDS_WEIGHT * words / 2 + PAIRS_WEIGHT * pairs

    def _read(self, net: CausalLM, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Return the next-token loss of texts in the prompt and the last states (texts, width)."""
        ids = [self.reader.ids(text) for text in texts]
        longest = max(map(len, ids))
        tokens = torch.zeros((len(ids), longest), dtype=torch.long)
        targets = torch.full((len(ids), longest + 1), -1)
        for row, one in enumerate(ids):
            tokens[row, : len(one)] = torch.tensor(one)
            inner = slice(len(self.reader.before), len(one) - len(self.reader.after))
            targets[row, inner] = torch.tensor(one[inner])
        states = _states(net, tokens.to(self.options.device))
        last = states[torch.arange(len(ids)), [len(one) for one in ids]]
        return read_out_loss(states, net.table, targets.to(self.options.device)), last

    def _words(self, net: CausalLM, last: Tensor, texts: list[str]) -> Tensor:
        """Return the cross-entropy of the next token against the texts' key words by tf · idf."""
        logits = net.read(last).float().log_softmax(-1)
        target = torch.zeros_like(logits)
        for row, text in enumerate(texts):
            weights = self.keys.of(text)
            for first, weight in zip(self.reader.first_tokens(list(weights)), weights.values(), strict=True):
                target[row, first] += weight
        return -(target * logits).sum(1).mean()


def _stream(tokenizer: Tokenizer, text: str) -> NDArray[np.uint16]:
    return np.concatenate([np.array(e.ids, np.uint16) for e in tokenizer.encode_batch(list(stretches(text)))])


def _states(net: CausalLM, tokens: Tensor) -> Tensor:
    """Return the final states (batch, time + 1, width), the start vector's first."""
    return net.states(torch.cat([net.begin(len(tokens)), net.embed(tokens)], 1))[0]


def new_net(shape: dict[str, Any]) -> CausalLM:
    """Build the net with small rows: with large tied ones each token would predict itself at first."""
    net = build(**shape)
    with torch.no_grad():
        net.table.mul_(0.25)
    return net


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    options = arguments("Train text-lm on modern English.", 27, argv=argv)
    texts = modern.read(options.data)
    tokenizer = build_tokenizer(texts, Path(options.work) / f"{NAME}-{TOKENIZER}")
    shape = {"vocabulary": tokenizer.get_vocab_size(), **BODY}
    torch.manual_seed(options.seed)
    net = new_net(shape)
    objective = Objective(texts, tokenizer, net, options)
    training = Training(options, NAME, net, objective)
    objective.budget = training.budget
    training.run(every=20)
    folder = Path(options.out) / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    net = training.result.cpu()
    round_as_stored(net, matrices(net))
    metrics = evaluate(net, options.data, options.work, Vocabulary(tokenizer))
    publish(folder, "causal_lm", shape, net.state_dict(), card(options, training, folder, metrics),
            in_8_bits=matrices(net))
    return folder


def card(
    options: argparse.Namespace, training: Training, folder: Path, metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what the card says beside the net's own facts."""
    values = {m["name"]: m["value"] for m in metrics}
    hybrid, *parts = (values[f"nDCG@10, {name}"] for name in (HYBRID, "dense", "sparse"))
    reached = "reached" if hybrid >= max(parts) else "not reached"
    target = (
        f"Target: the hybrid ranks at least as well as its parts on cranfield: {reached} "
        f"(nDCG@10 {hybrid:.4f} against {parts[0]:.4f} for dense and {parts[1]:.4f} for sparse)."
    )
    return {
        "licence": "Apache-2.0",
        "recipe": "components/models/recipes/text_lm.py",
        "command": f"python -m components.models.recipes.text_lm --data DATA --minutes {options.minutes:g}",
        "seed": options.seed,
        "steps": training.step,
        "cpu_seconds": round(training.spent),
        "files": {TOKENIZER: hashlib.sha256((folder / TOKENIZER).read_bytes()).hexdigest()},
        "prompt": list(PROMPT),
        "curve": training.curve[:: max(1, len(training.curve) // 60)],
        "data": modern.data_rows(options.data),
        "training": TRAINING.replace("\n", " "),
        "metrics": metrics,
        "limits": [target, *LIMITS],
    }


if __name__ == "__main__":
    main()
