"""Generated scenes with exact ground truth: shapes on a textured ground, drawn far to near, truly occluding.

One seed is one scene. Seeds below `HELD_OUT_SEEDS` are never trained on, nor is the style `fog`.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError
from components.numerics import scene_shapes as shapes
from components.numerics.scene_questions import Question, SceneObject, ask

Floats = NDArray[np.float32]

CLASSES = ("sky", "ground", *shapes.SHAPES)
HELD_OUT_SEEDS = 100_000
MOST = 8
FAR = 4.5  # the depth of the farthest object, in distances of the picture's bottom edge
LEAST_VISIBLE = 1 / 512  # of the picture's pixels (32 of 128 x 128): nothing asked about is smaller
LEAST_SHARE = 0.3  # of an object's own pixels


@dataclass(frozen=True)
class Style:
    """Light and camera. Colours are RGB from 0 to 1; `horizon` is (low, high) in heights from the top."""

    zenith: tuple[float, float, float]
    haze: tuple[float, float, float]
    light: tuple[float, float, float]
    horizon: tuple[float, float]
    lens: float
    noise: float
    fog: float = 0.0
    contrast: float = 1.0


STYLES = {
    "day": Style((0.35, 0.55, 0.86), (0.78, 0.86, 0.93), (1.0, 1.0, 0.98), (0.28, 0.44), 1.0, 0.02),
    "dusk": Style((0.30, 0.24, 0.42), (0.93, 0.62, 0.42), (0.88, 0.74, 0.66), (0.34, 0.5), 0.92, 0.03),
    "overcast": Style(
        (0.58, 0.61, 0.65), (0.74, 0.75, 0.77), (0.82, 0.84, 0.88), (0.24, 0.38), 1.1, 0.025, contrast=0.85
    ),
    "fog": Style(
        (0.76, 0.78, 0.78), (0.80, 0.81, 0.81), (0.9, 0.92, 0.95), (0.3, 0.42), 1.0, 0.035, fog=0.3
    ),
}  # fmt: skip
TRAINED_STYLES = ("day", "dusk", "overcast")
HELD_OUT_STYLE = "fog"
GROUNDS = ((0.46, 0.42, 0.34), (0.40, 0.45, 0.36), (0.52, 0.50, 0.48), (0.36, 0.34, 0.36), (0.58, 0.52, 0.42))
GROUND_PATTERNS = ("grain", "tiles", "planks")


@dataclass(frozen=True)
class Scene:
    """A picture and all that is true of it; every map is (size, size), the origin at the top left.

    `image` is RGB uint8 (size, size, 3); `segmentation` holds indices into CLASSES (uint8); `disparity` is
    1 / depth, 0 in the sky and 1 at the ground's bottom edge (float32); `instances` is the id of the object
    seen, -1 for none (int8).
    Object ids are their places in `objects`, which runs from the farthest to the nearest.
    """

    seed: int
    style: str
    image: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    disparity: Floats
    instances: NDArray[np.int8]
    objects: tuple[SceneObject, ...]

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """Return one question of every kind that this scene has an answer to."""
        return ask(self.objects, self.seed)

    @property
    def presence(self) -> NDArray[np.bool_]:
        """Return which shapes are in the scene, (6,), in the order of CLASSES[2:]."""
        return np.array([any(o.shape == s for o in self.objects) for s in shapes.SHAPES])


def scene(seed: int, size: int = 128, objects: int | None = None, style: str = "any") -> Scene:
    """Draw a seed's scene: `objects` from 1 to 8 (None: 2 to 6), `style` one of STYLES or `any` trained.

    Fewer objects come back where the picture has no room left to show them all. Raises InputError.
    """
    if not 32 <= size <= 512 or size % 8:
        raise InputError(f"A scene of {size} pixels was asked for; use a multiple of 8 from 32 to 512.")
    if objects is not None and not 1 <= objects <= MOST:
        raise InputError(f"{objects} objects were asked for; a scene holds 1 to {MOST}.")
    if style != "any" and style not in STYLES:
        raise InputError(f"There is no style {style!r}; use any, {', '.join(STYLES)}.")
    if seed < 0:
        raise InputError(f"The seed is {seed}; use a whole number from 0 up.")
    rng = np.random.default_rng(seed)
    chosen = TRAINED_STYLES[rng.integers(len(TRAINED_STYLES))]
    count = int(rng.integers(2, 7))
    chosen, count = chosen if style == "any" else style, count if objects is None else objects
    look = STYLES[chosen]
    horizon = round(size * rng.uniform(*look.horizon))
    placed = _place(rng, count, size, horizon, look.lens)
    instances = _instances(placed, size)
    light = float(rng.uniform(-1, 1))
    image, disparity = _background(rng, size, horizon, look)
    _shadows(image, placed, light, size)
    segmentation = np.where(np.arange(size)[:, None] < horizon, 0, 1) + np.zeros((1, size), dtype=np.int64)
    for item in placed:
        _paint(image, item, light, rng)
    codes = np.array([2 + shapes.SHAPES.index(o.shape) for o in placed])
    near = np.array([o.disparity for o in placed], dtype=np.float32)
    seen = instances >= 0
    segmentation[seen] = codes[instances[seen]]
    disparity[seen] = near[instances[seen]]
    finished = _expose(image, disparity, look, rng)
    return Scene(seed, chosen, finished, segmentation.astype(np.uint8), disparity, instances, placed)


def _place(
    rng: np.random.Generator, count: int, size: int, horizon: int, lens: float
) -> tuple[SceneObject, ...]:
    """Add objects at random, refusing one that would hide another or be hidden; return them far to near."""
    placed: tuple[SceneObject, ...] = ()
    for _ in range(40 * count):
        tried = sorted((*placed, _object(rng, size, horizon, lens)), key=lambda o: -o.depth)
        candidate = tuple(replace(o, id=i) for i, o in enumerate(tried))
        counted = _counted(candidate, size)
        if all(o.visible >= max(LEAST_VISIBLE * size * size, LEAST_SHARE * area) for o, area in counted):
            placed = tuple(o for o, _ in counted)
        if len(placed) == count:
            break
    return placed


def _object(rng: np.random.Generator, size: int, horizon: int, lens: float) -> SceneObject:
    """Return a random object: its disparity sets where it stands and, with its own scale, its height."""
    shape = shapes.SHAPES[rng.integers(len(shapes.SHAPES))]
    colour = tuple(shapes.COLOURS)[rng.integers(len(shapes.COLOURS))]
    texture = shapes.TEXTURES[rng.integers(len(shapes.TEXTURES))]
    disparity = float(rng.uniform(1 / FAR, 0.92))
    height = 0.5 * lens * size * disparity * rng.uniform(0.85, 1.15) * (1.35 if shape == "pole" else 1.0)
    high = max(9, round(height))
    wide = max(3, round(high * rng.uniform(*shapes.ASPECT[shape])))
    foot = round(horizon + (size - horizon) * disparity)
    left = int(rng.integers(-wide // 4, max(1, size - wide + wide // 4)))
    text = ""
    if shape in ("ball", "box", "star") and high >= size // 6 and rng.random() < 0.4:
        text = "".join(rng.choice(tuple(shapes.GLYPHS), size=int(rng.integers(1, 3))))
    box = (left, foot - high, left + wide, foot)
    return SceneObject(-1, shape, colour, texture, 1 / disparity, box, (left + wide / 2) / size, 0, text)


def _window(item: SceneObject, size: int) -> tuple[slice, slice, slice, slice]:
    """Return the part of the picture an object falls on (rows, columns) and the same part of its box."""
    left, top, right, bottom = item.box
    rows, columns = slice(max(0, top), min(size, bottom)), slice(max(0, left), min(size, right))
    own_rows = slice(rows.start - top, rows.stop - top)
    return rows, columns, own_rows, slice(columns.start - left, columns.stop - left)


def _mask(item: SceneObject, size: int) -> tuple[slice, slice, shapes.Mask]:
    left, top, right, bottom = item.box
    rows, columns, own_rows, own_columns = _window(item, size)
    covered = shapes.outline(item.shape, *shapes.frame(bottom - top, right - left))
    return rows, columns, covered[own_rows, own_columns]


def _instances(placed: tuple[SceneObject, ...], size: int) -> NDArray[np.int8]:
    """Return the id of the nearest object at every pixel (size, size), -1 where there is none."""
    seen = np.full((size, size), -1, dtype=np.int8)
    for item in placed:
        rows, columns, covered = _mask(item, size)
        seen[rows, columns][covered] = item.id
    return seen


def _counted(placed: tuple[SceneObject, ...], size: int) -> list[tuple[SceneObject, int]]:
    """Return every object with its visible pixels filled in, and the pixels of its whole outline in view."""
    seen = np.full((size, size), -1, dtype=np.int8)
    areas = []
    for item in placed:
        rows, columns, covered = _mask(item, size)
        seen[rows, columns][covered] = item.id
        areas.append(int(covered.sum()))
    visible = np.bincount(seen.ravel() + 1, minlength=len(placed) + 1)[1:]
    return [(replace(o, visible=int(visible[o.id])), areas[o.id]) for o in placed]


def _background(rng: np.random.Generator, size: int, horizon: int, look: Style) -> tuple[Floats, Floats]:
    """Return the empty scene's RGB (size, size, 3) and disparity (size, size): sky, and a plane below it."""
    image = np.empty((size, size, 3), dtype=np.float32)
    fade = np.linspace(0, 1, horizon, dtype=np.float32)[:, None, None]
    zenith, haze = np.array(look.zenith, np.float32), np.array(look.haze, np.float32)
    clouds = _cloud(rng, size)[:horizon, :, None] * 0.12
    image[:horizon] = zenith + (haze - zenith) * fade + clouds
    # Pixel centres, so that the plane's disparity is above 0 in its first row and below 1 in its last.
    row: Floats = ((np.arange(horizon, size) + 0.5 - horizon) / (size - horizon)).astype(np.float32)
    disparity = np.zeros((size, size), dtype=np.float32)
    disparity[horizon:] = row[:, None]
    base = np.array(GROUNDS[rng.integers(len(GROUNDS))], np.float32)
    tint = _ground_tint(rng, row, size) + 0.15 * _cloud(rng, size)[horizon:]
    # Far ground fades into one grey: the texture is finer than a pixel there.
    image[horizon:] = base * (1 + tint * np.minimum(1, 3 * row)[:, None])[:, :, None]
    return image, disparity


def _ground_tint(rng: np.random.Generator, row: Floats, size: int) -> Floats:
    """Return the ground's brightness pattern (rows, size) around 0, in perspective."""
    kind = GROUND_PATTERNS[rng.integers(len(GROUND_PATTERNS))]
    along = 1 / row[:, None]
    across = (np.arange(size, dtype=np.float32)[None] / size - 0.5) * along
    shift, scale = rng.uniform(0, 1), rng.uniform(4, 8)
    if kind == "tiles":
        odd: Floats = (np.floor(across * scale + shift) + np.floor(along * scale)) % 2
        return np.float32(0.14) - np.float32(0.28) * odd
    if kind == "planks":
        odd = np.floor(across * 2 * scale + shift) % 2
        return np.float32(0.16) - np.float32(0.32) * odd
    grain: Floats = 0.1 * rng.standard_normal((len(row), size), dtype=np.float32)
    return grain


def _cloud(rng: np.random.Generator, size: int) -> Floats:
    """Return smooth noise (size, size), about -1 to 1: an 8 x 8 grid of random heights, joined bilinearly."""
    grid = rng.standard_normal((9, 9), dtype=np.float32) * 0.5
    at = np.arange(size, dtype=np.float32) * (8 / size)
    low = at.astype(int)
    part = (at - low)[:, None]
    rows = grid[low] * (1 - part) + grid[low + 1] * part
    smooth: Floats = (rows[:, low] * (1 - part.T) + rows[:, low + 1] * part.T).astype(np.float32)
    return smooth


def _shadows(image: Floats, placed: tuple[SceneObject, ...], light: float, size: int) -> None:
    """Darken a flat ellipse at every object's foot, away from the light: the cue of where it stands."""
    for item in placed:
        left, top, right, bottom = item.box
        wide, flat = max(4, round(0.6 * (right - left))), max(2, (bottom - top) // 10)
        middle = (left + right) // 2 - round(light * 0.3 * (right - left))
        rows = slice(max(0, bottom - flat), min(size, bottom + flat))
        columns = slice(max(0, middle - wide), min(size, middle + wide))
        y = (np.arange(rows.start, rows.stop)[:, None] + 0.5 - bottom) / flat
        x = (np.arange(columns.start, columns.stop)[None] + 0.5 - middle) / wide
        image[rows, columns] *= np.where(x * x + y * y < 1, 0.62, 1).astype(np.float32)[:, :, None]


def _paint(image: Floats, item: SceneObject, light: float, rng: np.random.Generator) -> None:
    """Draw one object over what lies behind it, in place."""
    left, top, right, bottom = item.box
    high, wide = bottom - top, right - left
    u, v = shapes.frame(high, wide)
    bright = shapes.shading(item.shape, u, v, light) * rng.uniform(0.9, 1.08)
    bright = np.where(shapes.pattern(item.texture, high, wide), 0.55 * bright, bright)
    if item.text:
        bright = _lettered(bright, item.text)
    rows, columns, own_rows, own_columns = _window(item, len(image))
    covered = shapes.outline(item.shape, u, v)[own_rows, own_columns]
    colour = np.array(shapes.COLOURS[item.colour], np.float32)
    image[rows, columns][covered] = bright[own_rows, own_columns][covered][:, None] * colour


def _lettered(bright: Floats, text: str) -> Floats:
    """Return the brightness with dark letters at the middle of the box, as large as half its width allows."""
    dots = shapes.lettering(text)
    high, wide = bright.shape
    scale = max(1, int(min(0.55 * wide / dots.shape[1], 0.4 * high / 5)))
    stamp = np.kron(dots, np.ones((scale, scale), dtype=np.bool_))[:high, :wide]
    top, left = (high - stamp.shape[0]) // 2, (wide - stamp.shape[1]) // 2
    lettered = bright.copy()
    lettered[top : top + stamp.shape[0], left : left + stamp.shape[1]][stamp] = 0.12
    return lettered


def _expose(image: Floats, disparity: Floats, look: Style, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the photograph: the style's light, its fog by distance, the sensor's noise, as 8-bit RGB."""
    lit = image * np.array(look.light, np.float32) * rng.uniform(0.9, 1.08)
    if look.fog:
        # Beer-Lambert along the ray; the sky is as far as the fog is thick.
        through = np.exp(-look.fog / np.maximum(disparity, 0.12))[:, :, None]
        lit = lit * through + np.array(look.haze, np.float32) * (1 - through)
    lit = (lit - 0.5) * look.contrast + 0.5
    lit += look.noise * rng.standard_normal(lit.shape, dtype=np.float32)
    return (np.clip(lit, 0, 1) * 255 + 0.5).astype(np.uint8)
