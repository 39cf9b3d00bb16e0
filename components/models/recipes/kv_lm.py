"""Train `kv-lm`, a small model that looks values up by their keys in its context, and measure it.

    python -m components.models.recipes.kv_lm --minutes 1 --work training/kv

Haystacks are made on the way and never come twice; nothing is read. A run that was stopped goes on with
--resume; `--minutes` counts the processor time of all its parts.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from components.models.nets.kv_lm import KeyValueLM, build
from components.models.recipes import _kv_measures as measures
from components.models.recipes._kv_lessons import lesson, lesson_loss
from components.models.recipes._lm_training import Training
from components.models.recipes._run import arguments, publish
from components.models.weights import round_as_stored
from components.numerics.threads import FILLERS, SYMBOLS, VOCABULARY

NAME = "kv-lm"
NET: dict[str, Any] = {"vocabulary": VOCABULARY, "symbols": SYMBOLS, "fillers": FILLERS, "width": 128,
                       "depth": 2, "heads": 2, "hidden": 64, "context": 448, "rotary": False}  # fmt: skip
SHORTEST, LONGEST = 8, 128  # pairs
GROWTH = 150  # steps until haystacks of the longest size come up
TAIL = 64  # tokens of questions after a haystack
TOKENS = 6144  # a step
POLICIES = (*measures.PROBES, "recent", "random")
LIMITS = (
    "A toy: one token stands for a whole key or value, rows of symbols are random and fixed, and the weights "
    "start near a look-up. It shows how the measures behave, not what language models can do.",
    f"Trained on haystacks of {SHORTEST} to {LONGEST} pairs; longer ones are measured, not trained on.",
    "Threads of 1 and 4 hops are the first hops of longer ones, so a forward thread's lie early in the "
    "haystack and a backward thread's late; up to four threads a direction share a haystack, each followed "
    "by itself.",
)
PLAIN_LIMITS = (
    "The filler tokens are of one class by construction (cosine of their rows about .997), so that the "
    "asking token stands out of a window of them; that spread was chosen on other haystacks than those "
    "measured. Where the other tokens are as unlike one another as symbols, nothing stands out and the "
    "activation-aware probe is no better than the mean query: those rows are on this card.",
    "Blocks are scored by the best of their keys. Squaring the activation bias is a variant of ours.",
)


def pairs_at(step: int, seed: int) -> int:
    """Return the size of the haystacks of a step: more often long than short, growing at first."""
    longest = SHORTEST + (LONGEST - SHORTEST) * min(1.0, step / GROWTH)
    part = math.sqrt(np.random.default_rng((seed, step, 1)).random())
    size: int = round(SHORTEST * (longest / SHORTEST) ** part)
    return size


def trained(options: Any, name: str, net: dict[str, Any]) -> Training:
    """Run a training to the end of its budget."""

    def loss(model: KeyValueLM, step: int) -> Tensor:
        pairs = pairs_at(step, options.seed)
        batch = max(1, TOKENS // (3 * pairs + TAIL))
        return lesson_loss(model, lesson((options.seed, step), batch, pairs, TAIL))

    torch.manual_seed(options.seed)
    training = Training(options, name, build(**net), loss)
    training.run(50)
    return training


def published(training: Training, name: str, net: dict[str, Any], limits: tuple[str, ...]) -> Path:
    """Round the weights as they are shipped, measure them and write weights and card."""
    from importlib import import_module

    options, module = training.options, name.replace("-", "_")
    model = training.result
    round_as_stored(model)
    recipe = import_module(f"components.models.recipes.{module}")
    metrics = recipe.evaluate(model, options.data, options.work)
    folder = Path(options.out) / name
    publish(folder, "kv_lm", net, model.state_dict(), {
        "licence": "Apache-2.0",
        "recipe": f"components/models/recipes/{module}.py",
        "command": f"python -m components.models.recipes.{module} --minutes {options.minutes:g}",
        "seed": options.seed, "steps": training.step, "cpu_seconds": round(training.spent),
        "data": [{"name": f"haystacks of {training.step} steps of {TOKENS} tokens "
                          "(components/models/recipes/_kv_lessons.py)",
                  "sha256": "made from seeds", "licence": "Apache-2.0"}],
        "metrics": metrics,
        "limits": list(limits),
    })  # fmt: skip
    return folder


def evaluate(model: Any, data: Path | None = None, work: Path | None = None) -> list[dict[str, Any]]:
    """Measure threads by length, depth and direction, threads in turns, and answers from a part of the cache.

    `data` and `work` are not used: the haystacks are made from seeds that lessons never use.
    """
    return [
        *measures.heat_map(model),
        *measures.together(model, 128),
        *measures.together(model, 400),
        measures.guessing(128),
        *measures.budget_trials(model, POLICIES),
        *measures.budget_trials(model, ("activation-aware", "mean query"), (16,), 150, like=False),
    ]


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    options = arguments("Train kv-lm on generated haystacks.", 1, argv=argv)
    return published(trained(options, NAME, NET), NAME, NET, (*LIMITS, *PLAIN_LIMITS))


if __name__ == "__main__":
    main()
