"""Files that are small on disk and huge once decoded are refused before they are decoded."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# runs one call after the modules are loaded; tells by how many MiB memory rose, how long it took, what came
MEASURE = """
import resource, sys, time
sys.argv.pop(0)
{setup}
path = sys.argv[0]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = peak(), time.process_time()
try:
    said = "took " + repr({call})[:200]
except Exception as error:
    said = type(error).__name__ + ": " + str(error)
print(f"{{peak() - before:.1f}}|{{time.process_time() - start:.3f}}|{{said}}")
"""
PICTURE = """
import gradio as gr
from gradio.data_classes import ImageData
from demos._server import bound_images
bound_images()
part = gr.Image(type="{kind}")
"""
SOUND = """
import gradio as gr
from gradio.data_classes import FileData
part = gr.Audio(type="filepath")
"""


def png(path: Path, width: int, height: int) -> Path:
    """Write a blank one-bit PNG, row by row."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pack = zlib.compressobj(9)
    row = b"\0" * (1 + (width + 7) // 8)
    body = b"".join(pack.compress(row) for _ in range(height)) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    return path


def measured(setup: str, call: str, path: Path) -> tuple[float, float, str]:
    code = MEASURE.format(setup=setup, call=call)
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True,
                          timeout=120, check=True)  # fmt: skip
    rise, seconds, said = done.stdout.strip().rsplit("\n", 1)[-1].split("|", 2)
    return float(rise), float(seconds), said


@pytest.mark.parametrize("kind", ["numpy", "filepath"])
def test_a_picture_of_81_megapixels_is_refused_unread(tmp_path: Path, kind: str) -> None:
    path = png(tmp_path / "bomb.png", 9000, 9000)
    assert path.stat().st_size < 20_000
    call = "part.preprocess(ImageData(path=path, orig_name='bomb.png'))"
    rise, seconds, said = measured(PICTURE.format(kind=kind), call, path)
    assert said.startswith("DecompressionBombError")
    assert rise < 100
    assert seconds < 1


@pytest.mark.parametrize(("height", "refused"), [(4096, False), (4097, True)])
def test_the_limit_is_exactly_4096_by_4096(tmp_path: Path, height: int, refused: bool) -> None:
    path = png(tmp_path / "edge.png", 4096, height)
    setup = "from PIL import Image\nfrom demos._server import bound_images\nbound_images()"
    _, _, said = measured(setup, "Image.open(path).size", path)
    assert said.startswith("DecompressionBombError" if refused else "took (4096, 4096)")


def test_three_hours_of_sound_are_handed_on_as_a_path(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 16000, 1) as file:
        for _ in range(180):
            file.write(np.zeros(16000 * 60, np.int16))
    assert path.stat().st_size < 5_000_000
    rise, seconds, said = measured(SOUND, "part.preprocess(FileData(path=path))", path)
    assert said == f"took {str(path)!r}"
    assert rise < 100
    assert seconds < 1
