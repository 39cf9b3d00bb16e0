"""What `scene-vlm` learns from: scenes through the frozen encoder, words for their patches, questions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.models.nets.scene_vlm import SceneVLM, look
from components.models.recipes.scene_vit import fast_attention, pictures
from components.numerics.scene_questions import KINDS, Question, SceneObject, meant
from components.numerics.scene_shapes import COLOURS, TEXTURES
from components.numerics.scenes import CLASSES, Scene

PATCH = 8
LEAST = 12  # pixels of 64: a patch with fewer of an object is labelled as what lies behind
IGNORE = -100
# What a patch is told to mean: one word of each group, colours and textures where there is an object.
GROUPS = (CLASSES, tuple(COLOURS), TEXTURES)


@dataclass(frozen=True, eq=False)
class Labels:
    """What is true of every patch of one scene, by rows.

    `words` (3, patches) are indices into GROUPS, or IGNORE; `owner` (patches,) is the object's id, -1 for
    none; `middle` (patches,) is the object's centre in picture widths.
    """

    words: NDArray[np.int64]
    owner: NDArray[np.int64]
    middle: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Seen:
    """A scene after the encoder: features (patches, width), its CLS's attention (patches,) and its labels."""

    features: Tensor
    attention: Tensor
    labels: Labels
    objects: tuple[SceneObject, ...]
    seed: int


def labels(made: Scene) -> Labels:
    """Label every patch by the object that most of it shows, and every object's fullest patch by itself."""
    side = len(made.image) // PATCH
    ids = np.arange(len(made.objects))
    grid = made.instances.reshape(side, PATCH, side, PATCH)
    pixels = (grid[..., None] == ids).sum((1, 3)).reshape(side * side, len(ids))
    owner = np.where(pixels.max(1) >= LEAST, pixels.argmax(1), -1)
    owner[pixels.argmax(0)] = ids
    behind = made.segmentation[PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].ravel().astype(np.int64)
    # One more entry at the end, so that an owner of -1 reads "none".
    shape = np.array([*(CLASSES.index(o.shape) for o in made.objects), -1])[owner]
    shape = np.where(owner >= 0, shape, np.where(behind < 2, behind, IGNORE))
    colour = np.array([*(GROUPS[1].index(o.colour) for o in made.objects), IGNORE])[owner]
    texture = np.array([*(TEXTURES.index(o.texture) for o in made.objects), IGNORE])[owner]
    middle = np.array([*(o.centre for o in made.objects), 0.0], dtype=np.float32)[owner]
    return Labels(np.stack([shape, colour, texture]), owner, middle)


def first_of_each(owner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which patches (patches,) are the first of their object, in the order a decoder reads them."""
    first = np.zeros(len(owner), dtype=np.bool_)
    found, at = np.unique(owner, return_index=True)
    first[at[found >= 0]] = True
    return first


def seen(encoder: Any, scenes: list[Scene], device: str = "cpu", quick: bool = False) -> list[Seen]:
    """Return scenes after the encoder; `quick` computes in bfloat16, as is enough in training."""
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=quick):
        if quick:
            with fast_attention():
                features, attention = look(encoder, pictures(scenes).to(device))
        else:
            features, attention = look(encoder, pictures(scenes).to(device))
    kind = torch.bfloat16 if quick else torch.float32
    features, attention = features.to(kind), attention.float()
    return [
        Seen(features[i].clone(), attention[i].clone(), labels(s), s.objects, s.seed)
        for i, s in enumerate(scenes)
    ]


@dataclass(frozen=True, eq=False)
class Asked:
    """Questions as ids: words (pictures, questions, L) padded behind, ends, answers and kinds (.., ..)."""

    words: Tensor
    ends: Tensor
    answers: Tensor
    kinds: Tensor


def asked(net: SceneVLM, questions: list[tuple[Question, ...]]) -> Asked:
    """Return the ids of as many questions a picture; all pictures have equally many."""
    device = net.table.device
    ids = [[net.encode(q.text) for q in row] for row in questions]
    longest = max(len(one) for row in ids for one in row)
    words = torch.tensor([[one + [0] * (longest - len(one)) for one in row] for row in ids], device=device)
    ends = torch.tensor([[len(one) - 1 for one in row] for row in ids], device=device)
    answers = torch.tensor([[net.codes[q.answer] for q in row] for row in questions], device=device)
    kinds = torch.tensor([[KINDS.index(q.kind) for q in row] for row in questions], device=device)
    return Asked(words, ends, answers, kinds)


def looked_at(scenes: list[Seen], questions: list[tuple[Question, ...]]) -> Tensor:
    """Return which patches show what each question means at its end (pictures, questions, patches)."""
    shown = []
    for one, row in zip(scenes, questions, strict=True):
        fits = np.zeros((len(row), len(one.objects) + 1), dtype=np.bool_)  # the last column: no object
        for i, question in enumerate(row):
            fits[i, list(meant(question, one.objects))] = True
        shown.append(fits[:, one.labels.owner])
    return torch.from_numpy(np.stack(shown))


def texts_before(net: SceneVLM, questions: list[tuple[Question, ...]], rng: np.random.Generator) -> Tensor:
    """Return a question of as many words for every picture (pictures, T), its own where it has one."""
    length = int(rng.integers(5, 8))
    fitting = [[net.encode(q.text) for q in row if len(q.text.split()) == length] for row in questions]
    anyone = [one for row in fitting for one in row]
    if not anyone:
        return torch.zeros(len(questions), 0, dtype=torch.long, device=net.table.device)
    chosen = [row[rng.integers(len(row))] if row else anyone[0] for row in fitting]
    return torch.tensor(chosen, device=net.table.device)
