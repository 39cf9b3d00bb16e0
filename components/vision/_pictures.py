"""Picture files: bounded by their header before a pixel is decoded, turned upright, as RGB."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from components.errors import InputError
from components.vision import LARGEST, Picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
FIT = "give a PNG, JPEG, WebP, GIF or BMP picture"


def read_picture(path: str | Path, question: str = "") -> Picture:
    """Read a picture file of at most 16.8 million pixels; of a moving one the first frame.

    The size is read from the header, so that a small file that unpacks to gigabytes is refused at once.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound below is stricter
            with Image.open(path, formats=FORMATS) as opened:
                width, height = opened.size
                if width * height > LARGEST:
                    raise InputError(_too_large(f"{width} × {height}"))
                return Picture(_upright(opened), question)
    except Image.DecompressionBombError:
        raise InputError(_too_large("too many")) from None
    except UnidentifiedImageError:
        raise InputError(f"This file is no picture that can be read here; {FIT}.") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"This picture is broken or ends too early; {FIT} that other programs can open."
        ) from None


def _too_large(pixels: str) -> str:
    return f"The picture has {pixels} pixels; at most 16.8 million (4096 × 4096) fit: make it smaller."


def _upright(opened: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return RGB pixels with the camera's orientation applied, 16-bit greys scaled, clear parts on white."""
    frame = ImageOps.exif_transpose(opened) or opened
    if frame.mode.startswith("I"):
        frame = Image.fromarray((np.asarray(frame).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    if "A" in frame.getbands() or "transparency" in frame.info:
        clear = frame.convert("RGBA")
        frame = Image.new("RGB", clear.size, "white")
        frame.paste(clear, mask=clear.getchannel("A"))
    return np.asarray(frame.convert("RGB"), dtype=np.uint8)
