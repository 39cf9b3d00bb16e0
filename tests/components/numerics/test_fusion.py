from components.numerics.fusion import reciprocal_rank_fusion


def test_sums_reciprocal_ranks():
    found = reciprocal_rank_fusion([["a", "b"], ["b", "c"]], k=60)
    assert found == {"a": 1 / 61, "b": 1 / 62 + 1 / 61, "c": 1 / 62}


def test_k_decides_between_one_first_place_and_two_middling_ones():
    rankings = [["x", "a", "y"], ["z", "v", "y"]]
    sharp, flat = reciprocal_rank_fusion(rankings, k=0), reciprocal_rank_fusion(rankings, k=60)
    assert sharp["x"] > sharp["y"]
    assert flat["y"] > flat["x"]


def test_an_item_counts_once_a_ranking():
    assert reciprocal_rank_fusion([["a", "a", "b"]], k=1) == {"a": 1 / 2, "b": 1 / 3}
    assert reciprocal_rank_fusion([[]]) == {}
