"""What the card of `text-lm` states: bits per byte on held-out text, and rankings of a test collection."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from components.models.encode import unit
from components.models.nets.causal_lm import CausalLM
from components.models.prompted import PromptReader, min_max
from components.models.recipes import _modern_text as modern
from components.models.recipes import _retrieval_measures as retrieval
from components.models.tokenizer_training import stretches
from components.models.vocabularies import Vocabulary

COLLECTION = "retrieval/cranfield"
WINDOWS = 16  # windows of text a forward pass
HYBRID = "hybrid (min-max, 0.5 each)"


def token_ids(vocabulary: Vocabulary, text: str) -> NDArray[np.int64]:
    """Return the ids of a whole text."""
    return np.concatenate(
        [np.array(e.ids, np.int64) for e in vocabulary.tokenizer.encode_batch(list(stretches(text)))]
    )


def nats(net: CausalLM, ids: NDArray[np.int64]) -> float:
    """Return the net's total information of a text in nats.

    Windows of a context's length overlap by half: every token has half a context of text before it or all
    there is, the first one nothing but the start vector.
    """
    length = net.context - 1
    half = length // 2
    starts = range(0, max(1, len(ids) - half), half)
    total = 0.0
    for at in range(0, len(starts), WINDOWS):
        windows = [ids[s : s + length] for s in starts[at : at + WINDOWS]]
        tokens = torch.zeros((len(windows), length), dtype=torch.long)
        counted = torch.zeros((len(windows), length), dtype=torch.bool)
        for row, (window, start) in enumerate(zip(windows, starts[at : at + WINDOWS], strict=True)):
            tokens[row, : len(window)] = torch.from_numpy(window)
            counted[row, (half if start else 0) : len(window)] = True
        with torch.inference_mode():
            states, _ = net.states(torch.cat([net.begin(len(tokens)), net.embed(tokens[:, :-1])], 1))
            total += float(F.cross_entropy(net.read(states[counted]), tokens[counted], reduction="sum"))
    return total


def language(net: CausalLM, vocabulary: Vocabulary, text: str, on: str) -> list[dict[str, Any]]:
    """Return bits per byte of the net, and of the text's own token counts, which no order helps."""
    ids, size = token_ids(vocabulary, text), len(text.encode())
    counts = np.bincount(ids)
    plain = -float(np.log(counts[ids] / len(ids)).sum())
    found = {"bits per byte": nats(net, ids), "baseline bits per byte (the text's own token counts)": plain}
    rows = [{"name": name, "value": round(v / math.log(2) / size, 4), "unit": "bits", "n": size, "on": on}
            for name, v in found.items()]  # fmt: skip
    return [
        *rows,
        {
            "name": "bytes per token",
            "value": round(size / len(ids), 4),
            "unit": "bytes",
            "n": len(ids),
            "on": on,
        },
    ]


def rankings(
    net: CausalLM, vocabulary: Vocabulary, collection: retrieval.Collection
) -> dict[str, retrieval.Scores]:
    """Return scores (queries, documents) of the prompt's vectors, their hybrid and the baselines."""
    reader = PromptReader(net, vocabulary)
    documents, queries = reader.encode(collection.documents), reader.encode(collection.queries)
    dense = queries.dense @ documents.dense.T
    sparse = np.asarray((queries.sparse @ documents.sparse.T).todense())
    rows = net.table.detach().numpy()
    means = [unit(np.stack([rows[vocabulary.tokenizer.encode(text).ids].mean(0) for text in texts]))
             for texts in (collection.queries, collection.documents)]  # fmt: skip
    return {
        "dense": dense,
        "sparse": sparse,
        HYBRID: (min_max(dense) + min_max(sparse)) / 2,
        "baseline BM25": retrieval.bm25(collection),
        "baseline mean of the embedding rows": means[0] @ means[1].T,
    }


def evaluate(
    model: Any, data: Path, work: Path | None = None, vocabulary: Vocabulary | None = None
) -> list[dict[str, Any]]:
    """Measure a net on the held-out part of WikiText-2 and on a test collection, neither trained on.

    Without `vocabulary` the shipped tokenizer is used; `work` is not.
    """
    if vocabulary is None:
        from components.models import ModelStore

        vocabulary = ModelStore().get("text-lm-bpe")
    held_out = (data / modern.HELD_OUT).read_text(encoding="utf-8")
    found = language(model, vocabulary, held_out, Path(modern.HELD_OUT).stem)
    collection = retrieval.read(data / COLLECTION)
    scores = rankings(model, vocabulary, collection)
    found += retrieval.metrics(collection, scores)
    for part in ("dense", "sparse"):
        found += retrieval.difference(collection, scores, HYBRID, part)
    return found
