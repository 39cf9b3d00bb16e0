"""From what a vocabulary of the `tokenizers` library returns to the family's result."""

import math

import numpy as np

from components.errors import InputError
from components.models.vocabularies import Vocabulary
from components.numerics.token_alignment import cut_by_letters, cut_by_offsets
from components.tokenization import Text, Tokens


def encode(vocabulary: Vocabulary, text: Text) -> Tokens:
    """Return the tokens of a text, without the special tokens that a model would put around it."""
    tokenizer = vocabulary.tokenizer
    found = tokenizer.encode(text.content, add_special_tokens=False)
    ids, spelled = tuple(found.ids), tuple(found.tokens)
    pieces = cut_by_letters(text.utf8, spelled) if vocabulary.byte_level else None
    if pieces is None:
        pieces = cut_by_offsets(text.content, found.offsets)
    if not pieces and text.content:
        raise InputError(
            "This tokenizer keeps nothing of the text, which is white space or control characters alone; "
            "give some words."
        )
    scores = vocabulary.log_probabilities
    return Tokens(
        pieces=pieces,
        ids=ids,
        vocabulary=vocabulary.size,
        decoded=tokenizer.decode(found.ids, skip_special_tokens=False),
        unknown=0 if vocabulary.unknown is None else ids.count(vocabulary.unknown),
        bits=None if scores is None else np.array([-scores[i] / math.log(2) for i in ids], dtype=np.float64),
        names=spelled,
    )
