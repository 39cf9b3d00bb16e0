"""Questions about a generated scene with one-word answers, drawn from its list of objects.

Seven kinds: colour, shape, count, exists, closest, texture, left. A question is only asked where it has one
right answer: the object named is the only one of its description, the closest is closer by a margin, left is
left by one.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from components.numerics.scene_shapes import COLOURS, SHAPES, TEXTURES

KINDS = ("colour", "shape", "count", "exists", "closest", "texture", "left")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
CLOSER = 1.06  # the closest object's disparity is at least this factor above the next one's
APART = 6 / 128  # in widths of the picture: centres this far apart may be called left of one another


@dataclass(frozen=True)
class SceneObject:
    """One object as the picture shows it.

    `box` is (left, top, right, bottom) in pixels of its whole outline, right and bottom exclusive; it may
    reach over the picture's edge. `depth` is in units of the distance at which the picture's bottom edge
    stands (disparity = 1 / depth); `centre` is the outline's middle column in widths of the picture;
    `visible` counts the pixels that no nearer object covers.
    """

    id: int
    shape: str
    colour: str
    texture: str
    depth: float
    box: tuple[int, int, int, int]
    centre: float
    visible: int
    text: str = ""

    @property
    def disparity(self) -> float:
        """Return 1 / depth."""
        return 1 / self.depth


@dataclass(frozen=True)
class Question:
    """A question in words, its one-word answer and the id of the object asked about (-1: no single one)."""

    kind: str
    text: str
    answer: str
    target: int


def words() -> tuple[str, ...]:
    """Return every word that questions and answers use, sorted."""
    asked = "what colour is the shape object how many are there a left of closest texture which yes no"
    plural = tuple(plural_of(s) for s in SHAPES)
    return tuple(sorted({*asked.split(), *plural, *SHAPES, *COLOURS, *TEXTURES, *NUMBERS, "objects"}))


def plural_of(shape: str) -> str:
    """Return a shape's plural."""
    return shape + ("es" if shape == "box" else "s")


def ask(objects: tuple[SceneObject, ...], seed: int, each: int = 1) -> tuple[Question, ...]:
    """Return up to `each` different questions of every kind, in the order of KINDS."""
    return tuple(question for pile in _piles(objects, seed) for question in pile[:each])


def drill(objects: tuple[SceneObject, ...], seed: int, total: int) -> tuple[Question, ...]:
    """Return exactly `total` questions, the kinds by turns until all are asked, then from the start again."""
    piles = _piles(objects, seed)
    turns = range(max(map(len, piles)))
    order = [pile[turn] for turn in turns for pile in piles if turn < len(pile)]
    return tuple(order[i % len(order)] for i in range(total))


def meant(question: Question, objects: tuple[SceneObject, ...]) -> frozenset[int]:
    """Return the ids of all objects that the question's last description fits: where to look last.

    That is the second of the two in a question of kind `left`, and the nearest in one of kind `closest`.
    """
    if question.kind == "closest":
        return frozenset({question.target})
    said = question.text.split()
    if question.kind == "left":
        said = said[-1:]
    colours = [word for word in said if word in COLOURS]
    shapes = [shape for shape in SHAPES if shape in said or plural_of(shape) in said]
    return frozenset(
        o.id for o in objects if (not colours or o.colour in colours) and (not shapes or o.shape in shapes)
    )


def _piles(objects: tuple[SceneObject, ...], seed: int) -> list[list[Question]]:
    """Return every possible question, one list a kind, each in a random order; see `_balanced`."""
    rng = np.random.default_rng((seed, 77))
    piles = []
    for make in (_colours, _shapes, _counts, _exists, _closest, _textures, _lefts):
        possible = make(objects)
        if make is _exists or make is _lefts or make is _counts:
            piles.append(_balanced(possible, rng))
        else:
            piles.append([possible[i] for i in rng.permutation(len(possible))])
    return piles


def _balanced(questions: list[Question], rng: np.random.Generator) -> list[Question]:
    """Order questions at random with every answer's turn coming round: no answer is the safe guess."""
    by_answer: dict[str, list[Question]] = {}
    for i in rng.permutation(len(questions)):
        by_answer.setdefault(questions[i].answer, []).append(questions[i])
    piles = [by_answer[a] for a in sorted(by_answer)]
    piles = [piles[i] for i in rng.permutation(len(piles))]
    turns = range(max(map(len, piles), default=0))
    return [pile[turn] for turn in turns for pile in piles if turn < len(pile)]


def _alone(objects: tuple[SceneObject, ...], key: str) -> list[SceneObject]:
    """Return the objects whose `key` no other object shares."""
    seen = Counter(getattr(o, key) for o in objects)
    return [o for o in objects if seen[getattr(o, key)] == 1]


def _colours(objects: tuple[SceneObject, ...]) -> list[Question]:
    alone = _alone(objects, "shape")
    return [Question("colour", f"what colour is the {o.shape}", o.colour, o.id) for o in alone]


def _shapes(objects: tuple[SceneObject, ...]) -> list[Question]:
    alone = _alone(objects, "colour")
    return [Question("shape", f"what shape is the {o.colour} object", o.shape, o.id) for o in alone]


def _textures(objects: tuple[SceneObject, ...]) -> list[Question]:
    by_shape = [(o, o.shape) for o in _alone(objects, "shape")]
    by_colour = [(o, f"{o.colour} object") for o in _alone(objects, "colour")]
    named = by_shape + by_colour
    return [Question("texture", f"what texture is the {name}", o.texture, o.id) for o, name in named]


def _counts(objects: tuple[SceneObject, ...]) -> list[Question]:
    asked = []
    for key, values in (("shape", SHAPES), ("colour", tuple(COLOURS))):
        for value in values:
            found = [o.id for o in objects if getattr(o, key) == value]
            name = plural_of(value) if key == "shape" else f"{value} objects"
            target = found[0] if len(found) == 1 else -1
            asked.append(Question("count", f"how many {name} are there", NUMBERS[len(found)], target))
    return asked


def _exists(objects: tuple[SceneObject, ...]) -> list[Question]:
    """Half the noes are hard: the colour is there and the shape is there, but not on one object."""
    there = {(o.colour, o.shape): o.id for o in objects}
    asked = [Question("exists", f"is there a {c} {s}", "yes", i) for (c, s), i in there.items()]
    colours, shapes = {o.colour for o in objects}, {o.shape for o in objects}
    hard = [(c, s) for c in sorted(colours) for s in sorted(shapes) if (c, s) not in there]
    easy = [(c, s) for c in COLOURS for s in SHAPES if c not in colours or s not in shapes]
    thinned = easy[:: max(1, len(easy) // max(1, len(hard)))]
    return asked + [Question("exists", f"is there a {c} {s}", "no", -1) for c, s in hard + thinned]


def _closest(objects: tuple[SceneObject, ...]) -> list[Question]:
    near = sorted(objects, key=lambda o: o.depth)
    if len(near) > 1 and near[0].disparity < CLOSER * near[1].disparity:
        return []
    return [
        Question("closest", "what shape is the closest object", near[0].shape, near[0].id),
        Question("closest", "what colour is the closest object", near[0].colour, near[0].id),
    ]


def _lefts(objects: tuple[SceneObject, ...]) -> list[Question]:
    asked = []
    alone = _alone(objects, "shape")
    for a in alone:
        for b in alone:
            if a is not b and abs(a.centre - b.centre) >= APART:
                answer = "yes" if a.centre < b.centre else "no"
                asked.append(Question("left", f"is the {a.shape} left of the {b.shape}", answer, a.id))
    return asked
