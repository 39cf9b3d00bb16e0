"""What the objects of a generated scene look like: outlines, textures, shading, and digits painted on them.

Everything is drawn in an object's own box: `u` runs from -1 (left) to 1 (right), `v` from -1 (top) to 1
(bottom), both (height, width).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

SHAPES = ("ball", "box", "cone", "ring", "star", "pole")
TEXTURES = ("plain", "striped", "dotted", "checked")
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.13, 0.13),
    "orange": (0.95, 0.52, 0.08),
    "yellow": (0.95, 0.88, 0.16),
    "green": (0.14, 0.62, 0.20),
    "cyan": (0.20, 0.82, 0.85),
    "blue": (0.14, 0.26, 0.85),
    "purple": (0.58, 0.18, 0.72),
    "white": (0.95, 0.95, 0.95),
}
# Width over height, (low, high); the pole is the thin object: three pixels wide where it stands far away.
ASPECT = {
    "ball": (1.0, 1.0),
    "box": (0.9, 1.35),
    "cone": (0.75, 1.05),
    "ring": (1.0, 1.0),
    "star": (1.0, 1.0),
    "pole": (0.16, 0.24),
}
# Rows of a 3 x 5 dot font, one digit a row, the leftmost dot the highest bit.
GLYPHS = {
    "0": (7, 5, 5, 5, 7), "1": (2, 6, 2, 2, 7), "2": (7, 1, 7, 4, 7), "3": (7, 1, 7, 1, 7),
    "4": (5, 5, 7, 1, 1), "5": (7, 4, 7, 1, 7), "6": (7, 4, 7, 5, 7), "7": (7, 1, 2, 2, 2),
    "8": (7, 5, 7, 5, 7), "9": (7, 5, 7, 1, 7), "A": (2, 5, 7, 5, 5), "C": (7, 4, 4, 4, 7),
    "E": (7, 4, 6, 4, 7), "H": (5, 5, 7, 5, 5), "T": (7, 2, 2, 2, 2), "X": (5, 5, 2, 5, 5),
}  # fmt: skip


def frame(height: int, width: int) -> tuple[Floats, Floats]:
    """Return the box's coordinates (u, v), each (height, width), at pixel centres."""
    u = (2 * np.arange(width, dtype=np.float32) + 1) / width - 1
    v = (2 * np.arange(height, dtype=np.float32) + 1) / height - 1
    return np.broadcast_to(u, (height, width)), np.broadcast_to(v[:, None], (height, width))


def outline(shape: str, u: Floats, v: Floats) -> Mask:
    """Return the pixels (height, width) that the shape covers."""
    if shape in ("box", "pole"):
        return np.ones(u.shape, dtype=np.bool_)
    if shape == "cone":
        return np.abs(u) <= (v + 1) / 2
    radius = np.hypot(u, v)
    if shape == "ball":
        return radius <= 1
    if shape == "ring":
        hollow: Mask = (radius <= 1) & (radius >= 0.55)
        return hollow
    # Five straight-edged points: in a tenth of the turn the edge runs from the tip (1) to the notch (0.45).
    tenth = np.pi / 5
    turn = np.abs(np.mod(np.arctan2(u, -v) + tenth, 2 * tenth) - tenth)
    edge = 0.45 * np.sin(tenth) / (np.sin(turn) + 0.45 * np.sin(tenth - turn))
    star: Mask = radius <= edge
    return star


def shading(shape: str, u: Floats, v: Floats, light: float) -> Floats:
    """Return the brightness (height, width), 0.5 to 1.2; `light` is the sun's side, -1 left to 1 right."""
    if shape == "ball":
        bulge = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
        bright = 0.6 + 0.5 * np.clip(0.45 * light * u - 0.5 * v + 0.6 * bulge, 0, 1)
    elif shape == "box":
        bright = np.where(v < -0.7, np.float32(1.15), 0.85 + 0.15 * light * u)
    elif shape == "ring":
        bright = 0.85 + 0.2 * (light * u - v) / 1.5
    else:
        bright = 0.85 + 0.25 * light * u
    shaded: Floats = bright.astype(np.float32, copy=False)
    return shaded


def pattern(texture: str, height: int, width: int) -> Mask:
    """Return where a texture is dark, (height, width); its period is a fifth of the height, or 4 px."""
    period = max(4.0, height / 5)
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    if texture == "striped":
        stripes: Mask = np.mod(x + y, period) < period / 2
        return stripes
    if texture == "checked":
        squares: Mask = (np.floor(2 * y / period) + np.floor(2 * x / period)) % 2 == 0
        return squares
    if texture == "dotted":
        offset = (np.floor(y / period) % 2) * period / 2
        dx, dy = np.mod(x + offset, period) - period / 2, np.mod(y, period) - period / 2
        dots: Mask = dx * dx + dy * dy < (0.3 * period) ** 2
        return dots
    return np.zeros((height, width), dtype=np.bool_)


def lettering(text: str) -> Mask:
    """Return the dots (5, 4 x characters - 1) of a short text in capitals and digits."""
    rows = np.zeros((5, 4 * len(text) - 1), dtype=np.bool_)
    for i, character in enumerate(text):
        for row, bits in enumerate(GLYPHS[character]):
            rows[row, 4 * i : 4 * i + 3] = [bits >> 2 & 1, bits >> 1 & 1, bits & 1]
    return rows
