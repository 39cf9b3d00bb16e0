"""Train `scene-vit`, a dense vision transformer, on generated scenes and measure it on others.

    python -m components.models.recipes.scene_vit --minutes 20 --work training/vision

The scenes are made on the way, two milliseconds each: nothing is read and no scene comes twice. A run that
was stopped goes on with --resume; `--minutes` counts the processor time of all its parts, so that `--resume
--minutes 0` publishes the last checkpoint as it stands. With `--resume --decoder-only` the minutes that are
left go to the decoder alone, at a fresh rate that falls to nothing: tokens stay as they are, so models that
read them are not touched.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from components.models.nets.dense_vit import DenseViT, build
from components.models.recipes._resumable import Optimisers, Resumable, moving_average, muon_and_adamw
from components.models.recipes._run import arguments, publish
from components.numerics.scene_shapes import COLOURS, TEXTURES
from components.numerics.scenes import CLASSES, HELD_OUT_SEEDS, HELD_OUT_STYLE, Scene, scene

NAME = "scene-vit"
NET: dict[str, Any] = {"size": 128, "patch": 8, "width": 160, "depth": 8, "heads": 2, "hidden": 480}
BATCH = 16
RATE = 2e-3
DECODER_RATE = 5e-4
WARM_UP = 200  # steps
BEND = 0.05  # disparity errors count squared below this and straight above
PLAIN = 0.3  # weight of sky and ground, which are four fifths of all pixels
TEST_SCENES = 200


def pictures(scenes: list[Scene]) -> Tensor:
    """Return RGB images (scenes, 3, size, size) from 0 to 1."""
    return torch.from_numpy(np.stack([s.image for s in scenes])).permute(0, 3, 1, 2).float() / 255


def truths(scenes: list[Scene], patch: int) -> dict[str, Tensor]:
    """Return what the heads should say; colour and texture are of the object in every patch's middle."""
    colours, textures = [], []
    names = tuple(COLOURS)
    for made in scenes:
        middle = made.instances[patch // 2 :: patch, patch // 2 :: patch].ravel()
        # One more entry at the end, so that -1 (no object) reads "ignore".
        colours.append(np.array([*(names.index(o.colour) for o in made.objects), -100])[middle])
        textures.append(np.array([*(TEXTURES.index(o.texture) for o in made.objects), -100])[middle])
    return {
        "segmentation": torch.from_numpy(np.stack([s.segmentation for s in scenes])).long(),
        "disparity": torch.from_numpy(np.stack([s.disparity for s in scenes])),
        "presence": torch.from_numpy(np.stack([s.presence for s in scenes])).float(),
        "colour": torch.from_numpy(np.stack(colours)),
        "texture": torch.from_numpy(np.stack(textures)),
    }


def loss_of(net: DenseViT, images: Tensor, truth: dict[str, Tensor],
            bend: float = BEND) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of the five losses and the heads' answers."""
    with torch.autocast(images.device.type, torch.bfloat16):
        tokens = net.embed(images)
        for block in net.blocks:
            tokens = block(tokens)
        answers = {k: v.float() for k, v in net.heads(tokens).items()}
        colour, texture = net.surfaces(tokens)
    weights = torch.ones(len(CLASSES), device=images.device)
    weights[:2] = PLAIN
    loss = F.cross_entropy(answers["segmentation"], truth["segmentation"], weights)
    # Small errors e count 40 e^2 whatever the bend.
    loss = loss + 80 * bend * F.smooth_l1_loss(answers["disparity"], truth["disparity"], beta=bend)
    loss = loss + 0.3 * F.binary_cross_entropy_with_logits(answers["presence"], truth["presence"])
    for logits, right in ((colour, truth["colour"]), (texture, truth["texture"])):
        loss = loss + 0.15 * F.cross_entropy(logits.float().flatten(0, 1), right.flatten())
    return loss, answers


def confusion(answers: dict[str, Tensor], truth: dict[str, Tensor]) -> Tensor:
    """Return pixel counts (true class, said class)."""
    said, right = answers["segmentation"].argmax(1), truth["segmentation"]
    classes = len(CLASSES)
    return torch.bincount((right * classes + said).flatten(), minlength=classes**2).view(classes, classes)


def mean_iou(counts: Tensor) -> float:
    """Return the mean over classes that occur of intersection over union of a confusion matrix."""
    hit = counts.diagonal().double()
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    return float((hit / union.clamp(min=1))[union > 0].mean())


def optimisers(net: DenseViT) -> Optimisers:
    """Return Muon for the matrices inside the blocks, where it learns faster, and AdamW for the rest."""
    inner = [p for p in net.blocks.parameters() if p.ndim == 2] + [net.decoder.spread.weight]
    return muon_and_adamw(net, inner, RATE)


@contextmanager
def fast_attention() -> Iterator[None]:
    """Attend in plain bf16 products in training: on a processor the fused kernel's gradient is slower."""
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    with sdpa_kernel(SDPBackend.MATH):
        yield
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(False)


class Training(Resumable):
    """A run with a moving average of the weights; the scenes of a step follow from its number."""

    kept = (*Resumable.kept, "fresh")

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        net = build(**NET).to(options.device)
        self.fresh: tuple[int, float] | None = None  # step and seconds at which the decoder was left alone
        super().__init__(options, NAME, net, optimisers(net), moving_average(500))
        if options.decoder_only:
            self._leave_decoder()

    def _leave_decoder(self) -> None:
        """Freeze all but the decoder, at the averaged weights where this begins now."""
        if self.fresh is None:
            self.fresh = (self.step, self.spent)
            self.net.load_state_dict(self.average.module.state_dict())
        self.net.requires_grad_(False)
        self.net.decoder.requires_grad_(True)

    def rate(self) -> float:
        """Return the learning rate of the next step: up in `WARM_UP` steps, then down to a hundredth."""
        step, spent = self.fresh or (0, 0.0)
        before = min(1.0, spent / max(60 * self.options.minutes, 1e-9))
        done = (self.budget.share() - before) / max(1 - before, 1e-9)
        if self.options.steps:
            done = max(done, (self.step - step) / (self.options.steps - step))
        top = DECODER_RATE if self.fresh else RATE
        rise = min(1.0, (self.step - step + 1) / WARM_UP)
        return float(top * rise * max(0.01, 1 - done))

    def advance(self) -> tuple[float, Tensor]:
        """Train on the next `BATCH` scenes; return the loss and the confusion matrix."""
        first = HELD_OUT_SEEDS + (self.options.seed * 10_000_000 + self.step) * BATCH
        scenes = [scene(first + i) for i in range(BATCH)]
        truth = {k: v.to(self.options.device) for k, v in truths(scenes, NET["patch"]).items()}
        bend = 1.0 if self.fresh else BEND  # at the end the error itself is what counts: its square
        loss, answers = loss_of(self.net, pictures(scenes).to(self.options.device), truth, bend)
        self.descend(loss, self.rate())
        return float(loss.detach()), confusion(answers, truth)

    def run(self, every: int = 100) -> None:
        """Train until the budget ends, printing the mean loss and the running mIoU every `every` steps."""
        counts, total, since = torch.zeros(len(CLASSES), len(CLASSES)), 0.0, 0
        while self.budget.left(self.step):
            loss, batch = self.advance()
            counts, total, since = counts + batch.cpu(), total + loss, since + 1
            if self.step % every == 0:
                print(f"step {self.step}  {self.minutes:.1f} min  loss {total / since:.3f}  "
                      f"running mIoU {mean_iou(counts):.3f}", flush=True)  # fmt: skip
                counts, total, since = torch.zeros_like(counts), 0.0, 0
            if self.step % (2 * every) == 0:
                self.save()
        self.save()


def measure(net: Any, scenes: list[Scene], on: str, prefix: str = "") -> list[dict[str, Any]]:
    """Return the metrics of a net over scenes: mIoU, pixel accuracy, disparity RMSE and presence F1."""
    counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.long)
    squared, hits, said, there = 0.0, 0, 0, 0
    device = next(net.parameters()).device
    for i in range(0, len(scenes), BATCH):
        part = scenes[i : i + BATCH]
        truth = truths(part, NET["patch"])
        with torch.inference_mode():
            answers = {k: v.float().cpu() for k, v in net(pictures(part).to(device)).items()}
        counts += confusion(answers, truth)
        squared += float((answers["disparity"] - truth["disparity"]).square().mean()) * len(part)
        yes, right = answers["presence"] > 0, truth["presence"] > 0
        hits, said, there = hits + int((yes & right).sum()), said + int(yes.sum()), there + int(right.sum())
    return _figures(prefix, len(scenes), on, {
        "mIoU": mean_iou(counts),
        "pixel accuracy": float(counts.diagonal().sum() / counts.sum()),
        "disparity RMSE": (squared / len(scenes)) ** 0.5,
        "presence F1": 2 * hits / max(1, said + there),
    })  # fmt: skip


def baselines(scenes: list[Scene], on: str) -> list[dict[str, Any]]:
    """Return what needs no net: the commonest class, the true class's mean disparity, all shapes present."""
    truth = truths(scenes, NET["patch"])
    classes, disparity = truth["segmentation"].flatten(), truth["disparity"].flatten()
    sizes = torch.bincount(classes, minlength=len(CLASSES))
    counts = torch.zeros(len(CLASSES), len(CLASSES), dtype=torch.long)
    counts[:, int(sizes.argmax())] = sizes
    means = torch.bincount(classes, disparity.double(), minlength=len(CLASSES)) / sizes.clamp(min=1)
    share = float(truth["presence"].mean())
    return _figures("baseline ", len(scenes), on, {
        "mIoU (majority class)": mean_iou(counts),
        "pixel accuracy (majority class)": float(sizes.max() / sizes.sum()),
        "disparity RMSE (mean of the true class)": float((means[classes] - disparity).square().mean().sqrt()),
        "presence F1 (always yes)": 2 * share / (1 + share),
    })  # fmt: skip


def _figures(prefix: str, n: int, on: str, values: dict[str, float]) -> list[dict[str, Any]]:
    fixed = {"unit": "", "n": n, "on": on}
    return [{"name": prefix + name, "value": round(value, 4), **fixed} for name, value in values.items()]


def evaluate(model: Any, data: Path | None = None, work: Path | None = None) -> list[dict[str, Any]]:
    """Measure on 200 scenes with seeds never trained on, in the trained styles and in the held-out style.

    `data` and `work` are not used: the scenes are made from their seeds.
    """
    known = [scene(i) for i in range(TEST_SCENES)]
    strange = [scene(i, style=HELD_OUT_STYLE) for i in range(TEST_SCENES)]
    on = f"generated scenes, seeds 0 to {TEST_SCENES - 1}"
    return [
        *measure(model, known, on),
        *measure(model, strange, f"{on}, style {HELD_OUT_STYLE}, never trained on", f"{HELD_OUT_STYLE}: "),
        *baselines(known, on),
    ]


def own_options(parser: argparse.ArgumentParser) -> None:
    """Add this recipe's own option."""
    parser.add_argument("--decoder-only", action="store_true", help="with --resume: train the decoder alone")


def main(argv: list[str] | None = None) -> Path:
    """Train, measure and publish; return the folder of the published model."""
    options = arguments("Train scene-vit on generated scenes.", 20, own_options, argv)
    training = Training(options)
    with fast_attention():
        training.run()
    net = training.average.module.eval()
    metrics = evaluate(net, options.data, options.work)
    folder = Path(options.out) / NAME
    publish(folder, "dense_vit", NET, net.state_dict(), {
        "licence": "Apache-2.0",
        "recipe": "components/models/recipes/scene_vit.py",
        "command": f"python -m components.models.recipes.scene_vit --minutes {options.minutes:g}",
        "seed": options.seed, "steps": training.step, "cpu_seconds": round(training.spent),
        "data": [{"name": f"{training.step * BATCH} generated scenes (components/numerics/scenes.py)",
                  "sha256": "made from seeds", "licence": "Apache-2.0"}],
        "metrics": metrics,
        "limits": [
            "Trained on generated scenes alone: its labels mean nothing on photographs. What its tokens do "
            "there (agreement with its own unreduced output, regions, time) can be shown, not its accuracy.",
            "It takes 128 x 128 pixels and sees patches of 8: far, thin and half hidden objects suffer most.",
            f"The style {HELD_OUT_STYLE} was never trained on; its figures stand apart.",
        ],
    })  # fmt: skip
    return folder


if __name__ == "__main__":
    main()
