"""What dropping tokens saves in time, beside what it saves in multiply-accumulates, for every reducer."""

import numpy as np

from components.models import ModelStore
from components.numerics.scenes import scene
from components.vision import Picture, reducers
from tests.benchmarks import least


def main() -> None:
    """Measure each reducer at its defaults on one scene, taking turns with the unreduced network."""
    import torch

    torch.set_num_threads(1)
    models = ModelStore()
    picture = Picture(np.asarray(scene(seed=7).image))
    unreduced = reducers.create("none")
    base = unreduced(picture, models)
    for name in reducers.names():
        method = reducers.create(name)
        times = least(
            5, none=lambda: unreduced.run(picture, models, unreduced.decide),
            ours=lambda m=method: m.run(picture, models, m.decide),
        )  # fmt: skip
        found = method(picture, models)
        print(f"{name:18s} {found.tokens[-1]:4d} tokens   MACs {base.macs / found.macs:5.2f} × fewer   "
              f"time {times['none'] / times['ours']:5.2f} × less")


if __name__ == "__main__":
    main()
