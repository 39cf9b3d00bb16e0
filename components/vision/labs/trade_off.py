"""What is kept against what is saved: every reducer over a range of budgets, on held-out scenes."""

from dataclasses import dataclass

import numpy as np

from components.method import Card, Curves, Finding, Floats, Panel, knob
from components.models import ModelStore
from components.vision import MODEL, Picture, VisionLab, labs, reducers
from components.vision._trial import Trial, trial
from components.vision.labs.as_a_matrix import at_budget

KEEPS = (0.1, 0.25, 0.5, 0.75)


@labs.add
@dataclass(frozen=True)
class TradeOff(VisionLab):
    """Kept mIoU, disparity error and presence against saved multiply-accumulates."""

    scenes: int = knob(24, 8, 64, 8, "Held-out scenes", live=False)
    layer: int = knob(2, 1, 8, 1, "Pruning after the attention of layer", live=False)

    card = Card(
        title="What is kept against what is saved",
        authors="Liang et al. (Expediting ViTs)",
        year=2022,
        url="https://arxiv.org/abs/2210.01035",
        claim="On dense prediction, pruning by class attention loses more mIoU than merging at equal"
        " multiply-accumulates.",
        figure="Segmenter ViT-L/16, ADE20K, 51.8 mIoU: ToMe 47.1 at 321 GFLOPs, EViT 38.9 at 352 GFLOPs",
        differs="A small ViT on generated scenes, no training of any method, and pruning at one layer.",
    )
    opening = (
        "The papers agree that pruned tokens cost dense tasks first, and that merged ones cost little.",
        "Move the pruning layer: late pruning saves little and loses little.",
        "Look for the lines that fall first: mIoU and disparity suffer long before presence does.",
    )

    def __call__(self, picture: Picture, models: ModelStore) -> tuple[Panel, ...]:
        """Return three panels over the held-out scenes; the picture on the page plays no part."""
        full = trial(reducers.create("none"), models, self.scenes)
        swept = {
            name: self._sweep(name, models) for name in reducers.names() if "keep" in reducers[name].knobs()
        }
        shown = (
            ("mIoU kept", "mIoU (% of unreduced)", "miou", 100 / full.miou),
            ("Error of disparity", "RMSE (disparity, 0 to 1)", "rmse", 1.0),
            ("Shapes recognised", "F1 of presence", "presence", 1.0),
        )
        return tuple(self._panel(panel, swept, full) for panel in shown)

    def _panel(
        self, shown: tuple[str, str, str, float], swept: dict[str, list[Trial]], full: Trial
    ) -> Curves:
        """Return one quantity of the trials, scaled, against the share of multiply-accumulates saved."""
        title, axis, name, scale = shown
        lines: dict[str, tuple[Floats, Floats]] = {
            reducers[n].card.title: (_saved(ts, full), np.array([scale * getattr(t, name) for t in ts]))
            for n, ts in swept.items()
        }
        title = f"{title}, {self.scenes} held-out scenes"
        return Curves(title, "multiply-accumulates saved (%)", axis, lines)

    def _sweep(self, name: str, models: ModelStore) -> list[Trial]:
        return [trial(at_budget(name, keep=keep, layer=self.layer), models, self.scenes) for keep in KEEPS]

    @classmethod
    def check(cls, models: ModelStore) -> Finding:
        """Interpolate both lines at 35 % saved, on 16 held-out scenes."""
        lab = cls(scenes=16)
        full = trial(reducers.create("none"), models, lab.scenes)
        kept = {}
        for name in ("tome", "class_attention"):
            runs = sorted(lab._sweep(name, models), key=lambda t: -t.macs)
            kept[name] = float(np.interp(35, _saved(runs, full), [100 * t.miou / full.miou for t in runs]))
        return Finding(
            f"at 35 % saved: merging keeps {kept['tome']:.1f} % of the mIoU,"
            f" class attention {kept['class_attention']:.1f} %",
            cls.card.figure, kept["tome"] > kept["class_attention"], f"{lab.scenes} held-out scenes", MODEL,
        )  # fmt: skip


def _saved(trials: list[Trial], full: Trial) -> Floats:
    return np.array([100 * (1 - t.macs / full.macs) for t in trials])
