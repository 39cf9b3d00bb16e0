"""What every retriever must do, run by each method's own test file."""

import math

import pytest

from components.errors import InputError
from components.retrieval import LONGEST_QUERY


def check_contract(method, models, toy, single, hostile):
    index = method(toy, models)
    for query in ("sleeping cat", "🙂 cat", "x" * LONGEST_QUERY, "qwxz vkjq", "cat " * 100):
        ranking = index.search(query, 4)
        assert len(ranking.ids) == len(ranking.scores) <= 4
        assert set(ranking.ids) <= {d.id for d in toy.documents} and len(set(ranking.ids)) == len(ranking.ids)
        assert all(map(math.isfinite, ranking.scores))
        assert list(ranking.scores) == sorted(ranking.scores, reverse=True)
        assert ranking.milliseconds > 0 and ranking.bytes_per_document > 0
        if ranking.ceiling is not None:
            assert all(score <= ranking.ceiling * 1.0001 for score in ranking.scores)
    assert set(index.search("sleeping cat", 2).ids) == {"cat", "twin"}  # equal texts stand side by side
    assert len(index.search("cat", 1000).ids) <= len(toy.documents)
    for query in ("", " \n\t ", "x" * (LONGEST_QUERY + 1)):
        with pytest.raises(InputError, match=r"The query"):
            index.search(query)
    with pytest.raises(InputError, match="no document"):
        index.match("cat", "nobody")
    found = index.match("sleeping cat", "cat")
    if found is not None:
        assert found.similarity.shape == (len(found.query_tokens), len(found.document_tokens))
    assert method(single, models).search("bees", 10).ids == ("only",)
    for query in (hostile.documents[0].text, "🙂", "drop"):
        assert len(method(hostile, models).search(query, 3).ids) <= 3
