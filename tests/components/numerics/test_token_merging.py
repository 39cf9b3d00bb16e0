import numpy as np
import pytest

from components.errors import InputError
from components.numerics.token_matrix import merging
from components.numerics.token_merging import bipartite_match, merges_per_layer


def matched_slowly(keys, r):
    """ToMe's matching, literally: loop over A, find the best of B, sort the edges, merge the first r."""
    n = len(keys)
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    edges = []
    for a in range(2, n, 2):
        b = max(range(1, n, 2), key=lambda j: (float(unit[a] @ unit[j]), -j))
        edges.append((float(unit[a] @ unit[b]), a, b))
    edges.sort(key=lambda e: (-e[0], e[1]))
    into = {a: b for _, a, b in edges[: min(r, (n - 1) // 2)]}
    partition = {}
    for token in range(n):
        partition.setdefault(into.get(token, token), set()).add(token)
    return partition


@pytest.mark.parametrize("tokens", [3, 8, 21, 50])
@pytest.mark.parametrize("r", [0, 1, 5, 100])
def test_the_matching_is_the_slow_literal_one(tokens, r):
    keys = np.random.default_rng(tokens + r).standard_normal((tokens, 6))
    groups = bipartite_match(keys, r)
    found = {}
    for token, group in enumerate(groups):
        found.setdefault(int(group), set()).add(token)
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, matched_slowly(keys, r).values()))


def test_deit_small_with_13_merges_a_layer_keeps_41_tokens():
    rng = np.random.default_rng(0)
    tokens, sizes = 197, np.ones(197)
    for _ in range(12):
        step = merging(bipartite_match(rng.standard_normal((tokens, 64)), 13), sizes)
        tokens, sizes = step.forward.shape[0], step.sizes
    assert tokens == 41
    assert sizes.sum() == pytest.approx(197)


def test_the_most_similar_pair_merges_and_cls_never_does():
    keys = np.eye(7)
    keys[4] = keys[1]  # token 4 (A) equals token 1 (B)
    keys[0] = keys[3]  # CLS equals a token of B, but stays alone
    groups = bipartite_match(keys, 1)
    assert groups.tolist() == [0, 1, 2, 3, 1, 4, 5]
    assert (groups[1:] != groups[0]).all()


def test_fewer_than_no_merges_are_refused():
    with pytest.raises(InputError, match="none or more"):
        bipartite_match(np.eye(4), -1)


@pytest.mark.parametrize(
    ("patches", "keep", "layers", "expected"),
    [(256, 0.5, 8, 128), (196, 0.2, 12, 39), (10, 0.05, 2, 3), (9, 1.0, 3, 9)],
)
def test_the_schedule_leaves_what_was_asked_where_halving_allows_it(patches, keep, layers, expected):
    left = patches
    for r in merges_per_layer(patches, keep, layers):
        assert 0 <= r <= left // 2
        left -= r
    assert left == expected
