"""Texts that break careless tokenizers, and what every tokenization of them must keep."""

import numpy as np

from components.errors import InputError
from components.numerics.token_alignment import character_spans
from components.tokenization import Text

HARD = {
    "empty": "",
    "one character": "a",
    "one astral character": "\U0001f469",
    "white space": " \n\t  \u00a0 ",
    "nul": "a\0b\0",
    "control": "\x01\x02\x7f\x85",
    "family": "👩‍👩‍👧‍👦 and 🏴‍☠️",
    "right to left": "مرحبا بالعالم שלום",
    "combining": "e\u0301 Z\u0351\u0306\u0317a\u0360 \u0301",
    "no spaces": "你好世界ไทยภาษา",
    "ligatures": "ﬁne ½ ǅ ß İ",
    "special words": "[UNK] <s> </s> [CLS] <0x41> ##ing ▁under ▁",
    "leading and trailing": "   two   gaps   ",
    "lines": "a\r\nb\n\n\nc\r",
    "noncharacters": "\uffff\ufffe\U0010ffff\ue000",
    "long word": "pneumono" * 40,
}


def holds(tokens, content):
    """Assert the family's law on one result."""
    assert b"".join(tokens.pieces) == content.encode()
    assert len(tokens.pieces) == len(tokens.ids)
    assert all(0 <= i < tokens.vocabulary for i in tokens.ids)
    assert 0 <= tokens.unknown <= len(tokens.ids)
    assert not tokens.names or len(tokens.names) == len(tokens.ids)
    spans, _ = character_spans(tokens.pieces)
    if len(spans):
        assert spans[-1, 1] == len(content)
        assert (np.diff(spans[:, 0]) >= 0).all()


def keeps_the_law(method, models, *, lossless, refuses=()):
    """Run every hard text; `lossless` also asks that all of them come back."""
    for title, content in HARD.items():
        try:
            tokens = method(Text(content), models)
        except InputError as error:
            assert title in refuses, title
            assert "give some words" in str(error)
            continue
        assert title not in refuses, title
        holds(tokens, content)
        if lossless:
            assert tokens.decoded == content, title


def is_quick(method, models, seconds=5.0):
    """200,000 characters, written and random, go through without a hang."""
    import time

    rng = np.random.default_rng(0)
    for content in (
        "ab cd, " * 28571 + "end",
        "x" * 200_000,
        "".join(map(chr, rng.integers(0x20, 0x3000, 200_000))),
    ):
        started = time.process_time()
        holds(method(Text(content), models), content)
        assert time.process_time() - started < seconds
