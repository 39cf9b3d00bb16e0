"""MaxSim of one query over a ragged collection: ours beside padded torch and beside a loop."""

from itertools import pairwise

import numpy as np
import torch

from components.numerics.late_interaction import max_sim
from tests.benchmarks import least, tell

DOCUMENTS, DIM, QUERY = 5000, 128, 16


def main() -> None:
    """Measure on made vectors: 5,000 documents of 8 to 90 tokens."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lengths = rng.integers(8, 91, DOCUMENTS)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    states = rng.normal(size=(int(starts[-1]), DIM)).astype(np.float32)
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    query = states[:QUERY].copy()
    padded = torch.zeros(DOCUMENTS, int(lengths.max()), DIM)
    mask = torch.full((DOCUMENTS, int(lengths.max())), -1e9)
    for j, length in enumerate(lengths):
        padded[j, :length] = torch.from_numpy(states[starts[j] : starts[j + 1]])
        mask[j, :length] = 0
    asked = torch.from_numpy(query)

    def in_torch() -> np.ndarray:
        similarity = torch.einsum("qd,jtd->jqt", asked, padded) + mask[:, None]
        return similarity.amax(-1).sum(-1).numpy()

    def looped() -> np.ndarray:
        return np.array([(query @ states[a:b].T).max(1).sum() for a, b in pairwise(starts)])

    assert np.allclose(max_sim(query, states, starts), in_torch(), atol=1e-3)
    times = least(5, ours=lambda: max_sim(query, states, starts), padded_torch=in_torch, a_loop=looped)
    what = f"MaxSim, {DOCUMENTS:,} documents, {len(states):,} tokens of {DIM}, a query of {QUERY}"
    tell(what, times, "ours")


if __name__ == "__main__":
    main()
