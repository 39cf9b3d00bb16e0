import subprocess
import sys
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.vision import Picture
from components.vision._pictures import read_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def saved(tmp_path, name, image=None, **options):
    path = tmp_path / name
    (image or Image.fromarray(PIXELS)).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.gif", "a.jpg"])
def test_every_format_is_read(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    read = read_picture(saved(tmp_path, name, **options))
    assert read.pixels.shape == (20, 30, 3)
    if name[2:] in ("png", "bmp", "webp"):
        assert np.array_equal(read.pixels, PIXELS)


def test_of_a_moving_picture_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert read_picture(path).pixels[3, 3].tolist() == [255, 0, 0]


def test_the_cameras_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to see it upright
    read = read_picture(saved(tmp_path, "a.png", exif=exif))
    assert np.array_equal(read.pixels, np.rot90(PIXELS, -1))


def test_greys_palettes_and_clear_parts_become_rgb(tmp_path):
    deep = Image.fromarray(np.full((9, 9), 0x8040, dtype=np.uint16))
    assert (read_picture(saved(tmp_path, "deep.png", deep)).pixels == 0x80).all()
    clear = Image.new("RGBA", (9, 9), (10, 20, 30, 0))
    assert (read_picture(saved(tmp_path, "clear.png", clear)).pixels == 255).all()
    palette = Image.new("RGB", (9, 9), "lime").quantize(4)
    assert read_picture(saved(tmp_path, "palette.png", palette)).pixels[0, 0].tolist() == [0, 255, 0]


def bomb(side):
    """A PNG of side × side white pixels in a few kilobytes."""

    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    data = zlib.compress(b"\0" * side * (1 + -(-side // 8)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


MEASURE = """
import resource, sys, time
from components.errors import InputError
from components.vision._pictures import read_picture
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
try:
    read_picture(sys.argv[1])
except InputError as error:
    refusal = str(error)
spent = time.perf_counter() - started
print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, refusal)
"""


@pytest.mark.parametrize("side", [9000, 14000])
def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded(tmp_path, side):
    """In a process of its own, so that the peak of its memory is this file's."""
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(side))
    assert path.stat().st_size < 30_000
    ran = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    seconds, kibibytes, refusal = ran.stdout.split(" ", 2)
    assert "16.8 million" in refusal
    assert float(seconds) < 1
    assert int(kibibytes) < 100 << 10


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", b"%PDF-1.4", b"RIFF"],
)
def test_what_is_no_picture_is_refused(tmp_path, body):
    path = tmp_path / "a.png"
    path.write_bytes(body)
    with pytest.raises(InputError, match="PNG, JPEG, WebP, GIF or BMP"):
        read_picture(path)


def test_a_format_that_is_not_on_the_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="PNG, JPEG, WebP, GIF or BMP"):
        read_picture(saved(tmp_path, "a.tiff"))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp"])
def test_a_file_that_ends_too_early_is_refused(tmp_path, name):
    path = saved(tmp_path, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match="ends too early"):
        read_picture(path)


def test_a_broken_body_is_refused(tmp_path):
    out = BytesIO()
    Image.fromarray(PIXELS).save(out, "PNG")
    body = bytearray(out.getvalue())
    body[60:90] = bytes(30)
    (tmp_path / "a.png").write_bytes(bytes(body))
    with pytest.raises(InputError, match="broken"):
        read_picture(tmp_path / "a.png")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError):
        read_picture(tmp_path / "none.png")


def test_one_pixel_is_refused(tmp_path):
    with pytest.raises(InputError, match="8 × 8"):
        read_picture(saved(tmp_path, "a.png", Image.new("RGB", (1, 1))))


@pytest.mark.parametrize(
    "pixels", [np.zeros((9, 9)), np.zeros((9, 9, 3)), np.zeros((9, 9, 4), dtype=np.uint8)]
)
def test_arrays_that_are_no_rgb_picture_are_refused(pixels):
    with pytest.raises(InputError):
        Picture(pixels)


def test_the_network_is_given_the_centre_square():
    wide = np.zeros((64, 192, 3), dtype=np.uint8)
    wide[:, 64:128] = 200
    assert (Picture(wide).square(128) == 200).all()
    assert Picture(PIXELS[:16, :16]).square(128).shape == (128, 128, 3)
    scene = Picture.of_scene(1)
    assert scene.square(128) is scene.pixels


def test_a_scene_brings_its_truth_and_equal_pixels_have_equal_digests():
    made = Picture.of_scene(3, objects=4, style="dusk")
    assert made.scene is not None
    assert made.scene.style == "dusk"
    assert made.digest == Picture(made.pixels.copy()).digest != Picture.of_scene(4).digest
