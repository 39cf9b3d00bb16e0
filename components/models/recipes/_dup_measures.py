"""What the card of `text-encoder` states: rankings by [CLS], by the bag and by both, and reconstruction."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.models.dup_encoding import DupReader
from components.models.nets.dup_encoder import DupEncoder
from components.models.recipes import _modern_text as modern
from components.models.recipes import _retrieval_measures as retrieval
from components.models.vocabularies import Vocabulary

COLLECTION = "retrieval/cranfield"
DEVELOPMENT = "retrieval/scifact_mini"  # its documents are training text, its queries are not
BOTH = "[CLS] + ordinary tokens"
PARTS = ("[CLS]", "ordinary tokens")
PARAGRAPHS = 200
RATIOS = (0.3, 0.7)


def rankings(reader: DupReader, collection: retrieval.Collection) -> dict[str, retrieval.Scores]:
    """Return scores (queries, documents) by either vector and by their sum."""
    documents, queries = reader.encode(collection.documents), reader.encode(collection.queries)
    dense = queries.dense @ documents.dense.T
    bags = np.asarray((queries.bags @ documents.bags.T).todense())
    return {PARTS[0]: dense, PARTS[1]: bags, BOTH: dense + bags}


def means(net: DupEncoder, reader: DupReader, collection: retrieval.Collection) -> retrieval.Scores:
    """Return the cosines (queries, documents) of mean input rows: the encoder left out."""
    rows = net.table.detach().numpy()
    sides = []
    for texts in (collection.queries, collection.documents):
        own = np.stack([rows[one[1:-1] or [1]].mean(0) for one in reader.ids(texts)])
        sides.append(own / np.linalg.norm(own, axis=1, keepdims=True))
    cosines: retrieval.Scores = sides[0] @ sides[1].T
    return cosines


def reconstruction(reader: DupReader, data: Path) -> list[dict[str, Any]]:
    """Return the share of pieces rebuilt from [CLS] alone, hidden from the encoder or not, and a baseline."""
    lines = (data / modern.HELD_OUT).read_text(encoding="utf-8").splitlines()
    texts = [" ".join(line.split()[:60]) for line in lines if len(line) > 400][:PARAGRAPHS]
    on = f"first 60 words of {len(texts)} paragraphs of {Path(modern.HELD_OUT).stem}"
    rows = []
    for ratio in RATIOS:
        found = [reader.reconstruct(text, ratio, seed) for seed, text in enumerate(texts)]
        hit = np.concatenate([np.array(f.guesses) == np.array(f.pieces) for f in found])
        hidden = np.concatenate([f.masked for f in found])
        for kind, share in (("masked", hidden), ("seen", ~hidden)):
            name = f"pieces rebuilt from [CLS], {kind}, mask ratio {ratio:g}"
            rows.append(_row(name, float(hit[share].mean()), int(share.sum()), on))
    every = np.concatenate([f.pieces for f in found])
    commonest = np.unique(every, return_counts=True)[1].max() / len(every)
    rows.append(_row("baseline pieces rebuilt (always the commonest)", float(commonest), len(every), on))
    return rows


def _row(name: str, value: float, n: int, on: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": "", "n": n, "on": on}


def evaluate(
    model: Any, data: Path, work: Path | None = None, vocabulary: Vocabulary | None = None
) -> list[dict[str, Any]]:
    """Measure a net on a test collection and held-out paragraphs, neither trained on; `work` is not used.

    Without `vocabulary` the shipped tokenizer is used.
    """
    if vocabulary is None:
        from components.models import ModelStore

        vocabulary = ModelStore().get("text-encoder-wordpiece")
    reader = DupReader(model, vocabulary)
    collection = retrieval.read(data / COLLECTION)
    scores = rankings(reader, collection)
    beside = {"baseline BM25": retrieval.bm25(collection),
              "baseline mean of the input rows": means(model, reader, collection)}  # fmt: skip
    found = retrieval.metrics(collection, {**scores, **beside})
    for part in PARTS:
        found += retrieval.difference(collection, scores, BOTH, part)
    return found + reconstruction(reader, data)


def stages(
    net: DupEncoder, pretrained: Path, before: DupEncoder, vocabulary: Vocabulary, data: Path
) -> list[dict[str, Any]]:
    """Return nDCG@10 on the development collection before and after fine-tuning, where both are known."""
    collection = retrieval.smaller(retrieval.read(data / DEVELOPMENT), 300)
    nets = {"after fine-tuning": net}
    if pretrained.exists():
        before.load_state_dict(torch.load(pretrained, weights_only=True))
        nets = {"after pre-training": before.eval(), **nets}
    rows = []
    for stage, one in nets.items():
        scores = rankings(DupReader(one, vocabulary), collection)
        rows += [{**row, "stage": stage} for row in retrieval.metrics(collection, scores)]
    return rows
