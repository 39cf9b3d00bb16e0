import math
from collections import Counter

import numpy as np
import pytest

from components.retrieval import Corpus, Document
from components.retrieval._words import common, guess_language, lower, stems, words
from components.retrieval.bm25 import BM25
from tests.components.retrieval._contract import check_contract


def literal(corpus, query, k1, b):
    """BM25 as it is written (Robertson and Zaragoza 2009, without the constant k1 + 1), with Lucene's idf."""
    texts = [stems(d.full, corpus.language) for d in corpus.documents]
    mean = sum(map(len, texts)) / len(texts)
    scores = {}
    for document, text in zip(corpus.documents, texts, strict=True):
        counts, total = Counter(text), 0.0
        for term in stems(query, corpus.language):
            holders = sum(term in t for t in texts)
            idf = math.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
            tf = counts[term]
            total += idf * tf / (tf + k1 * (1 - b + b * len(text) / mean)) if tf else 0.0
        if total:
            scores[document.id] = total
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.0, 0.5), (2.5, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize(
    "query", ["cat", "the cat sleeps", "cat cat dog", "discovered Oxygen in 1774", "nothing"]
)
def test_equals_the_formula(toy, models, k1, b, query):
    ranking = BM25(k1=k1, b=b)(toy, models).search(query, 10)
    expected = literal(toy, query, k1, b)
    assert dict(zip(ranking.ids, ranking.scores, strict=True)) == pytest.approx(expected, rel=1e-5)


def test_contract(models, toy, single, hostile):
    check_contract(BM25(), models, toy, single, hostile)


def test_unknown_words_find_nothing(toy, models):
    assert BM25()(toy, models).search("qwxz").ids == ()


def test_a_corpus_without_words_finds_nothing(models):
    index = BM25()(Corpus("Signs", (Document("a", "🙂"), Document("b", "!!"))), models)
    assert index.search("cat").ids == ()
    assert index.match("cat", "a").similarity.shape == (1, 0)


def test_turkish_case_and_suffixes(turkish_toy, models):
    index = BM25()(turkish_toy, models)
    assert index.search("izmir'in limanı").ids[0] == "izmir"
    assert index.search("ısı").ids == ("isi",)
    assert index.search("isi").ids == ()
    assert index.search("kitap").ids == ("kitap",)


def test_lower_knows_the_turkish_i():
    assert lower("İIıi", "turkish") == "iııi"
    assert lower("I", "english") == "i"
    assert words("Ankara'nın 3 ili", "turkish") == ["ankara", "nın", "3", "ili"]
    assert lower("I\u0307", "turkish") == "i"  # decomposed capital dotted I


def test_language_is_guessed():
    assert guess_language("İğne ile kuyu kazmak şart") == "turkish"
    assert guess_language("The cat sleeps. Düsseldorf is far.") == "english"
    assert guess_language("123") == "english"


def test_common_stems_stand_in_many_texts():
    assert common(["the cat", "the dogs", "the ship"], "english", 0.5) == {"the"}
    assert common(["a b"], "english") == frozenset()


def test_evidence_sums_to_the_score(toy, models):
    index = BM25()(toy, models)
    found = index.match("the cat", "ship")
    assert found.query_tokens == ("the", "cat")
    assert found.similarity[1].max() == 0
    ranking = index.search("the cat", 10)
    for document, score in zip(ranking.ids, ranking.scores, strict=True):
        np.testing.assert_allclose(
            index.match("the cat", document).similarity.max(axis=1).sum(), score, rtol=1e-5
        )


def test_check_measures(models):
    found = BM25.check(models)
    assert "against" in found.measured and "documents" in found.on
