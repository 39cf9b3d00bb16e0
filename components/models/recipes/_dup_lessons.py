"""What `text-encoder` learns from: its vocabulary, pieces of text with made queries, MiniLM's vectors."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from components.models.encode import MiniLM
from components.models.recipes import _modern_text as modern
from components.models.vocabularies import bert

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
COMMON = 0.7  # of the vocabulary, by count in the training text; the rest are BERT's most frequent
SHARES = {"wikitext": 0.22, "abstracts": 0.58, "novels": 0.2}  # of the pieces
CUT = (200, 800)  # characters of a piece
CAPTIONS = 1500  # of them as pieces and queries


def cut_vocabulary(texts: modern.Texts, size: int) -> Tokenizer:
    """Return BERT's WordPiece cut to `size` pieces: single characters, the training text's, BERT's own order.

    A piece that is left out falls into shorter ones. Ids begin with the special tokens.
    """
    whole = bert().tokenizer
    counts: Counter[str] = Counter()
    for name, passages in texts.passages.items():
        own = Counter(token for e in whole.encode_batch(passages) for token in e.tokens)
        for token, n in own.items():
            counts[token] += n // 4 if name == "novels" else n
    order = sorted(whole.get_vocab().items(), key=lambda pair: pair[1])
    plain = [
        token for token, _ in order if not (token.startswith("[") and token.endswith("]") and len(token) > 1)
    ]
    letters = [token for token in plain if len(token.removeprefix("##")) == 1 and token[-1].isascii()]
    known = sorted((t for t in plain if counts[t] > 2), key=lambda t: (-counts[t], t))
    kept = dict.fromkeys([*SPECIAL, *letters, *known[: int(COMMON * size)], *plain])
    return wordpiece(list(kept)[:size])


def wordpiece(pieces: Sequence[str]) -> Tokenizer:
    """Return a lower-casing WordPiece tokenizer that frames texts by [CLS] and [SEP]."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    found = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer(lowercase=True)
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.decoder = decoders.WordPiece()
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    return found


@dataclass(frozen=True)
class Lessons:
    """Pieces of text and two made queries each, with the teacher's vectors of all, L2-normalised.

    `texts` (n,), `queries` (n, 2); `taught` (n, 384) and `asked` (n, 2, 384).
    """

    texts: list[str]
    queries: list[tuple[str, str]]
    taught: NDArray[np.float32]
    asked: NDArray[np.float32]


def pieces(texts: modern.Texts, count: int, seed: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Return `count` pieces of the passages and two made queries each; no piece is taken twice on purpose."""
    chance = random.Random(seed)
    keys = modern.KeyWords(texts.all_passages())
    names = chance.choices(list(SHARES), list(SHARES.values()), k=count)
    found, queries = [], []
    for name in names:
        text = modern.piece(chance.choice(texts.passages[name]), CUT, chance)
        found.append(text)
        queries.append((modern.stretch(text, chance), modern.key_query(text, keys, chance)))
    captions = chance.sample(texts.passages["captions"], min(CAPTIONS, len(texts.passages["captions"])))
    return found + captions, queries + [(c, modern.key_query(c, keys, chance) or c) for c in captions]


def lessons(texts: modern.Texts, count: int, seed: int, cache: Path) -> Lessons:
    """Return pieces, queries and the teacher's vectors, which are computed once and kept in `cache`."""
    found, queries = pieces(texts, count, seed)
    flat = [q for pair in queries for q in pair]
    mark = hashlib.sha256(json.dumps([found, flat]).encode()).hexdigest()[:16]
    path = cache.with_name(f"{cache.name}-{mark}.npz")
    if not path.exists():
        teacher = MiniLM.from_package()
        with torch.autocast("cpu", torch.bfloat16):
            vectors = teacher.mean_vectors([*found, *flat])
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, vectors=vectors.astype(np.float16))
    vectors = np.load(path)["vectors"].astype(np.float32)
    return Lessons(found, queries, vectors[: len(found)], vectors[len(found) :].reshape(len(found), 2, -1))


def taught_rows(tokenizer: Tokenizer, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return first rows (vocabulary, width) and the map (dim, width) from them to the teacher's space.

    Each piece is read by the teacher on its own; the rows are its vectors' principal components.
    """
    vocabulary = tokenizer.get_vocab()
    names = [piece.removeprefix("##") for piece in sorted(vocabulary, key=lambda piece: vocabulary[piece])]
    with torch.autocast("cpu", torch.bfloat16):
        vectors = torch.from_numpy(MiniLM.from_package().mean_vectors(names))
    centred = vectors - vectors.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred)[1].flip(1)[:, :width]
    rows = centred @ axes
    scale = float(rows.square().mean().sqrt())
    return rows / scale, F.normalize(axes, dim=0)
