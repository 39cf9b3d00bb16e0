"""Characters as small pictures, and vectors made of them (arXiv 2507.04886, section 3).

Every character is drawn in its own square cell; a token of several characters is its cells side by side,
resized to one cell. The dark and light pixels are the bits that a principal component analysis turns into
vectors of length 1. The font is whichever of `FONTS` the machine has.
"""

from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from components.errors import InputError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SIDE = 16  # pixels a side of a token's picture
CELL = 32  # pixels a side of the cell a character is drawn in before it is made smaller
NARROW = 20  # columns of a cell that stay in a picture of several characters
POINT = 26  # font size at which accents and descenders stay inside the cell
# Share of a pixel that must be covered for it to count as dark; of n cells, 1 / sqrt(n) of it, for their
# strokes get n times as thin.
INK = 0.3
FONTS = ("DejaVuSans.ttf", "unifont.otf", "unifont.ttf")
# What has no ink of its own but must not look like a space.
SHOWN = {"\n": "↵", "\t": "→", "\u00a0": "␣"}
NOWHERE = "\U0010ffff"  # in no font: what is drawn for it is the font's mark of a missing character

Bits = NDArray[np.bool_]
Vectors = NDArray[np.float32]


@lru_cache(1)
def font() -> "FreeTypeFont":
    """Return the first of `FONTS` that is installed, or refuse where there is none."""
    from PIL import ImageFont

    folders = [""]
    plots = find_spec("matplotlib")
    if plots is not None and plots.origin is not None:
        folders.append(str(Path(plots.origin).parent / "mpl-data" / "fonts" / "ttf"))
    for name in FONTS:
        for folder in folders:
            try:
                return ImageFont.truetype(str(Path(folder) / name), POINT)
            except OSError:
                continue
    raise InputError("No font to draw characters with was found; install DejaVu Sans or GNU Unifont.")


def font_name() -> str:
    """Return the family of the font in use."""
    return str(font().getname()[0])


@lru_cache(4096)
def _cell(character: str) -> NDArray[np.float32]:
    """Return the ink (CELL, CELL), 0 to 1, of one character, centred, all on one base line."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (CELL, CELL), 0)
    pencil = ImageDraw.Draw(picture)
    pencil.text((CELL / 2, 0.78 * CELL), SHOWN.get(character, character), fill=255, font=font(), anchor="ms")
    return (np.asarray(picture) / 255).astype(np.float32)


def knows(character: str) -> bool:
    """Say whether the font has a picture of a character of its own."""
    return character.isspace() or not np.array_equal(_cell(character), _cell(NOWHERE))


def draw(token: str) -> Bits:
    """Return a token's picture (SIDE, SIDE), true where there is ink.

    Raises InputError where the token is empty.
    """
    if not token:
        raise InputError("The token is empty; a picture needs at least one character; type one.")
    from PIL import Image

    cells = np.concatenate([_cell(character) for character in token], 1)
    if len(token) > 1:
        side = (CELL - NARROW) // 2
        cells = cells.reshape(CELL, -1, CELL)[:, :, side : side + NARROW].reshape(CELL, -1)
    small = Image.fromarray(cells).resize((SIDE, SIDE), Image.Resampling.BOX)
    dark: Bits = np.asarray(small) >= INK / len(token) ** 0.5
    return dark


def bits(tokens: Iterable[str]) -> Bits:
    """Return the pictures of tokens as rows (tokens, SIDE * SIDE), read line by line."""
    return np.stack([draw(token).ravel() for token in tokens])


def principal_axes(pictures: Bits, width: int) -> tuple[Vectors, Vectors]:
    """Return the mean picture (bits,) and the first `width` principal axes (bits, width).

    Each axis points to where its largest weight is positive, so that the result is the same everywhere.
    """
    values = pictures.astype(np.float64)
    mean = values.mean(0)
    _, _, rows = np.linalg.svd(values - mean, full_matrices=False)
    if len(rows) < width:
        raise InputError(f"{len(pictures)} pictures have {len(rows)} principal axes, not {width}; draw more.")
    rows = rows[:width]
    signs = np.sign(rows[np.arange(width), np.abs(rows).argmax(1)])
    return mean.astype(np.float32), (rows * signs[:, None]).T.astype(np.float32)


def vectors(pictures: Any, mean: Any, axes: Any) -> Vectors:
    """Return unit vectors (tokens, width) of pictures (tokens, bits): projections over their length.

    A picture that equals the mean has no direction and becomes zeros.
    """
    found = (np.asarray(pictures, np.float64) - mean) @ np.asarray(axes, np.float64)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    unit: Vectors = np.divide(found, length, out=np.zeros_like(found), where=length > 0).astype(np.float32)
    return unit
