"""A training run that can be stopped at any step: its whole state is in a checkpoint that it goes on from."""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from components.models.recipes._run import Budget, load_checkpoint, save_checkpoint

Optimisers = tuple[torch.optim.Optimizer, ...]
Follow = Callable[[Tensor, Tensor, Tensor | int], Tensor]


class Resumable:
    """The state of a run: net, perhaps its moving average, optimisers, and the attributes named in `kept`.

    A subclass that adds names to `kept` sets these attributes before it calls this `__init__`.
    """

    kept: tuple[str, ...] = ("step", "spent")

    def __init__(self, options: argparse.Namespace, name: str, net: Any, optimisers: Optimisers,
                 follow: Follow | None = None) -> None:  # fmt: skip
        """`options` are the recipe's; `follow` makes the next average of the last, the net and the steps."""
        self.options, self.net, self.optimisers = options, net, optimisers
        self.average: Any = AveragedModel(net, avg_fn=follow) if follow else None
        self.step, self.spent = 0, 0.0
        self.path = Path(options.work) / f"{name}.pt"
        state = load_checkpoint(self.path, options.device) if options.resume else None
        if state:
            self._restore(state)
        # A resumed run has already used `spent` seconds of its budget.
        self.budget = Budget(options.minutes, options.steps, time.process_time() - self.spent)

    def _restore(self, state: dict[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        for one, saved in zip(self.optimisers, state["optimisers"], strict=True):
            one.load_state_dict(saved)
        for name in self.kept:
            setattr(self, name, state.get(name, getattr(self, name)))

    def save(self) -> None:
        """Write the checkpoint."""
        self.spent = time.process_time() - self.budget.started
        state = {name: getattr(self, name) for name in self.kept}
        if self.average is not None:
            state["average"] = self.average.state_dict()
        optimisers = [one.state_dict() for one in self.optimisers]
        save_checkpoint(self.path, net=self.net.state_dict(), optimisers=optimisers, **state)

    @property
    def minutes(self) -> float:
        """Processor time that all parts of the run have used."""
        return (time.process_time() - self.budget.started) / 60

    def done(self) -> float:
        """Return the part of the run that is over, 0 to 1, by time or where given by steps."""
        share = self.budget.share()
        return max(share, self.step / self.options.steps) if self.options.steps else share

    def descend(self, loss: Tensor, rate: float) -> None:
        """Take one step down the loss at a learning rate, and move the average."""
        for group in (g for one in self.optimisers for g in one.param_groups):
            group["lr"] = rate
        self.net.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for one in self.optimisers:
            one.step()
        if self.average is not None:
            self.average.update_parameters(self.net)
        self.step += 1


def muon_and_adamw(
    net: nn.Module,
    inner: Sequence[Tensor],
    rate: float,
    decay: tuple[float, float] = (0.03, 0.01),
    beta: float = 0.98,
) -> Optimisers:
    """Return Muon for the matrices inside blocks, where it learns faster, and AdamW for the rest.

    `decay` are their weight decays, `beta` is AdamW's second.
    """
    chosen = {id(p) for p in inner}
    rest = [p for p in net.parameters() if id(p) not in chosen and p.requires_grad]
    adamw = torch.optim.AdamW(rest, lr=rate, betas=(0.9, beta), weight_decay=decay[1])
    if not inner:
        return (adamw,)
    muon = torch.optim.Muon(
        inner, lr=rate, momentum=0.95, weight_decay=decay[0], adjust_lr_fn="match_rms_adamw"
    )
    return muon, adamw


def moving_average(steps: int) -> Follow:
    """Return the rule of a moving average over so many steps or, while young, a tenth of all."""

    def follow(average: Tensor, current: Tensor, seen: Tensor | int) -> Tensor:
        return average + (current - average) * max(1 / steps, 10 / (10 + float(seen)))

    return follow
