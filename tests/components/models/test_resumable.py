"""A resumable run: one step worked out by hand, and the parts of a run that is stopped and goes on."""

import argparse

import pytest
import torch

from components.models.recipes._resumable import Resumable, moving_average, muon_and_adamw


class Counted(Resumable):
    kept = (*Resumable.kept, "seen")

    def __init__(self, options, follow=None):
        net = torch.nn.Linear(2, 1, bias=False)
        torch.nn.init.zeros_(net.weight)
        self.seen = 0
        down = torch.optim.SGD(net.parameters(), lr=9.0, momentum=0.5)
        super().__init__(options, "try", net, (down,), follow)

    def go(self, gradient, rate):
        self.seen += 3
        self.descend((self.net.weight * torch.tensor(gradient)).sum(), rate)
        return self.net.weight.tolist()[0]


def options(work, **given):
    plain = {"work": work, "resume": False, "device": "cpu", "minutes": 5.0, "steps": None}
    return argparse.Namespace(**{**plain, **given})


def test_a_step_goes_down_the_clipped_gradient_at_the_given_rate(tmp_path):
    run = Counted(options(tmp_path), lambda average, now, seen: (average + now) / 2)
    assert run.go([0.5, 0.0], 0.1) == pytest.approx([-0.05, 0.0])
    # Momentum .5 of the last, and (30, 40) has the length 50: it is cut to one.
    assert run.go([30.0, 40.0], 0.01) == pytest.approx([-0.05 - 0.01 * (0.25 + 0.6), -0.008])
    assert run.average.module.weight.tolist()[0] == pytest.approx([(-0.05 - 0.0585) / 2, -0.004])
    assert run.step == 2


@pytest.mark.parametrize("follow", [None, lambda average, now, seen: (average + now) / 2])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, follow):
    whole = Counted(options(tmp_path / "whole"), follow)
    first = Counted(options(tmp_path / "parts"), follow)
    for run in (whole, first):
        run.go([0.5, 0.1], 0.1)
    first.budget.started -= 60
    first.save()
    second = Counted(options(tmp_path / "parts", resume=True), follow)
    assert (second.step, second.seen) == (1, 3)
    assert 1 <= second.minutes < 1.5
    assert second.go([0.2, 0.3], 0.2) == whole.go([0.2, 0.3], 0.2)
    if follow:
        assert torch.equal(second.average.module.weight, whole.average.module.weight)


def test_a_run_is_over_by_its_time_or_its_steps(tmp_path):
    run = Counted(options(tmp_path, steps=4))
    assert run.done() < 0.01
    run.go([0.1, 0.1], 0.1)
    assert run.done() == 1 / 4
    run.budget.started -= 150
    assert run.done() == pytest.approx(0.5, abs=0.01)
    assert Counted(options(tmp_path)).done() < 0.01


@pytest.mark.parametrize(("steps", "seen", "share"), [(200, 0, 1), (200, 90, 1 / 10), (200, 9990, 1 / 200),
                                                      (500, 9990, 1 / 500), (4, 90, 1 / 4)])  # fmt: skip
def test_a_moving_average_takes_in_a_tenth_of_all_steps_and_later_a_fixed_number(steps, seen, share):
    average, current = torch.tensor([1.0, 3.0]), torch.tensor([5.0, 3.0])
    found = moving_average(steps)(average, current, torch.tensor(seen))
    assert found.tolist() == pytest.approx([1 + 4 * share, 3])


def test_what_is_frozen_is_given_to_no_optimiser_and_decays_are_as_asked():
    """After one step without any gradient only weight decay, rate times decay, has moved a weight."""
    net = torch.nn.ParameterDict({name: torch.nn.Parameter(torch.ones(2, 2)) for name in "abc"})
    net["c"].requires_grad_(False)
    for one in muon_and_adamw(net, [net["a"]], 0.5, decay=(0.2, 0.1), beta=0.9):
        for group in one.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        one.step()
    assert [float(net[name].detach().mean()) for name in "abc"] == pytest.approx([0.9, 0.95, 1.0])
    (alone,) = muon_and_adamw(net, [], 0.5)
    assert {id(p) for group in alone.param_groups for p in group["params"]} == {id(net["a"]), id(net["b"])}
    assert alone.param_groups[0]["betas"] == (0.9, 0.98)
