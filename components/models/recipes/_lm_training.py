"""How the language models are trained: crops of a token stream, the loss, two optimisers, checkpoints.

A run is `Training(options, name, net, loss)`: `loss(net, step)` returns the mean loss in nats of the next
batch. The last weights decay linearly to a hundredth of the rate and a moving average of them is kept.
"""

import argparse
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.models.recipes._resumable import Optimisers, Resumable, moving_average, muon_and_adamw

RATE = 0.012
WARM_UP = 100  # steps
CHUNK = 256  # rows of logits that are in the cache at once


class _ReadOut(torch.autograd.Function):
    """Cross-entropy of states under output rows, the gradient taken at once, a few rows at a time.

    The full matrix of logits (tokens, symbols) is never written: it costs more than the products do.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, rows: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of states (tokens, width) under rows (symbols, width), in nats."""
        total = states.new_zeros((), dtype=torch.float32)
        grad_states, grad_rows = torch.empty_like(states), torch.zeros_like(rows, dtype=torch.float32)
        half = rows.to(states.dtype)
        kept = int((targets >= 0).sum())
        for at in range(0, len(states), CHUNK):
            part, right = states[at : at + CHUNK], targets[at : at + CHUNK]
            known = right >= 0
            index = right.clamp(min=0)[:, None]
            logits = (part @ half.T).float()
            most = logits.amax(1, keepdim=True)
            true = logits.gather(1, index) - most
            odds = logits.sub_(most).exp_()
            mass = odds.sum(1, keepdim=True)
            total += ((mass.log() - true)[:, 0] * known).sum()
            odds.div_(mass)
            odds.scatter_add_(1, index, odds.new_full(index.shape, -1.0))
            slope = odds.mul_(known[:, None] / kept).to(states.dtype)
            grad_states[at : at + CHUNK] = slope @ half
            grad_rows += slope.T @ part
        ctx.save_for_backward(grad_states, grad_rows)
        return total / kept

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None]:
        """Scale the stored gradients."""
        states, rows = ctx.saved_tensors
        return states * grads[0].to(states.dtype), rows * grads[0], None


def read_out_loss(states: Tensor, rows: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats of states (batch, time, width); targets below 0 do not count."""
    loss: Tensor = _ReadOut.apply(states.flatten(0, -2), rows, targets.flatten())  # type: ignore[no-untyped-call]
    return loss


def crops(stream: NDArray[np.integer[Any]], length: int, batch: int, seed: int, step: int) -> Tensor:
    """Return random pieces (batch, length + 1) of a token stream, the same for the same seed and step."""
    random = np.random.default_rng((seed, step))
    starts = random.integers(0, len(stream) - length - 1, batch)
    return torch.from_numpy(np.stack([stream[s : s + length + 1] for s in starts]).astype(np.int64))


def optimisers(net: nn.Module, rate: float = RATE) -> Optimisers:
    """Return Muon for the matrices of all blocks and AdamW for tables, gains and everything else."""
    inner = [p for name, p in net.named_parameters() if p.ndim == 2 and "blocks." in name
             and name.endswith("weight")]  # fmt: skip
    return muon_and_adamw(net, inner, rate, decay=(0.02, 0.0), beta=0.97)


class Training(Resumable):
    """A run with a moving average of the weights and the curve of its loss."""

    kept = (*Resumable.kept, "curve")

    def __init__(self, options: argparse.Namespace, name: str, net: nn.Module,
                 loss: Callable[[Any, int], Tensor], rate: float = RATE) -> None:
        """`options` are the recipe's; `net` is trained in place on `options.device`."""
        self.loss, self.rate = loss, rate
        self.curve: list[tuple[int, float]] = []
        net = net.to(options.device)
        super().__init__(options, name, net, optimisers(net, rate), moving_average(200))

    def advance(self) -> float:
        """Train on the next batch and return its loss in nats."""
        # Full rate for the first third, then down in a straight line.
        factor = min(1, (self.step + 1) / WARM_UP) * max(0.01, min(1.0, (1 - self.done()) / 0.67))
        self.net.train()
        loss = self.loss(self.net, self.step)
        self.descend(loss, self.rate * factor)
        return float(loss.detach())

    def run(self, every: int = 100) -> None:
        """Train until the budget ends; print and note the mean loss every `every` steps."""
        total, since = 0.0, 0
        while self.budget.left(self.step):
            total, since = total + self.advance(), since + 1
            if self.step % every == 0:
                self.curve.append((self.step, round(total / since, 4)))
                print(f"step {self.step}  {self.minutes:.1f} min  loss {total / since:.4f} nats "
                      f"({total / since / math.log(2):.4f} bits)", flush=True)  # fmt: skip
                total, since = 0.0, 0
            if self.step % (2 * every) == 0:
                self.save()
        self.save()

    @property
    def result(self) -> Any:
        """The averaged weights, in evaluation mode."""
        return self.average.module.eval()
