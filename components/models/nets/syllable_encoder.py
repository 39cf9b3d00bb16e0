"""A log-mel front end, depth-wise separable convolutions, and three outputs: features, boundary, speech.

Frame `i` (from 0) is centred at `0.02 * i + 0.010` seconds: 50 frames a second, each the middle of samples
`320 i` to `320 (i + 1)`. `samples // 320` frames come out, at least one. The features are the
self-segmentation distillation of Sylber (arXiv 2410.07168): near one vector of length 1 through a syllable,
near zero outside speech. The two logits follow its successor's boundary detector (arXiv 2601.22306). Only
convolutions look sideways, so a frame depends on `REACH` frames to either side and on nothing else: windows
that overlap by that much give the same numbers as the whole.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SAMPLE_RATE = 16_000
HOP = 320  # samples a frame
STEP = 160  # samples a mel column; two columns make a frame
WINDOW = 400  # samples under the analysis window
DILATIONS = (1, 1, 2, 1, 4, 1, 8, 2)
KERNEL = 9


def mel_filters(bands: int, low: float, high: float, bins: int) -> Tensor:
    """Return triangular filters (bins, bands), even on the mel scale from `low` to `high` Hz, of area one."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    edges = 700 * (10 ** (torch.linspace(mel(low), mel(high), bands + 2, dtype=torch.float64) / 2595) - 1)
    hertz = torch.linspace(0, SAMPLE_RATE / 2, bins, dtype=torch.float64)[:, None]
    rise = (hertz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - hertz) / (edges[2:] - edges[1:-1])
    triangles = torch.minimum(rise, fall).clamp(min=0)
    return (triangles / triangles.sum(0).clamp(min=1e-9)).float()


class LogMel(nn.Module):
    """Waveform (batch, samples) → scaled log-mel energies (batch, frames, 2 · bands): two columns a frame."""

    filters: Tensor
    window: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(bands, 50, 7600, WINDOW // 2 + 1), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Window each 25 ms around the middle of each 10 ms; short input is padded to one frame."""
        frames = max(1, waveform.shape[1] // HOP)
        before = (WINDOW - STEP) // 2
        after = frames * HOP + before - waveform.shape[1]
        padded = functional.pad(waveform.float(), (before, max(after, 0)))[:, : frames * HOP + 2 * before]
        columns = padded.unfold(1, WINDOW, STEP) * self.window
        with torch.autocast(waveform.device.type, enabled=False):  # a spectrum needs more than eight bits
            power = torch.fft.rfft(columns, n=WINDOW).abs().square()
            mel = (power @ self.filters + 1e-5).log() / 4.0 + 0.75  # speech: about zero mean, unit deviation
        joined: Tensor = mel.reshape(mel.shape[0], frames, -1)
        return joined


class Block(nn.Module):
    """Depth-wise convolution over time, then a two-layer perceptron in each frame, around a residual path."""

    def __init__(self, width: int, expand: int, dilation: int) -> None:
        super().__init__()
        reach = dilation * (KERNEL // 2)
        self.depthwise = nn.Conv1d(width, width, KERNEL, padding=reach, dilation=dilation, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expand * width)
        self.down = nn.Linear(expand * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, frames, width) to the same shape."""
        y = self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.down(functional.gelu(self.up(self.norm(y))))
        return out


class SyllableEncoder(nn.Module):
    """Waveform (batch, samples) at 16 kHz → features, boundary and speech logits at 50 Hz."""

    def __init__(self, width: int, bands: int, dim: int, expand: int) -> None:
        super().__init__()
        self.front = LogMel(bands)
        self.enter = nn.Linear(2 * bands, width)
        self.trunk = nn.ModuleList(Block(width, expand, d) for d in DILATIONS[:-1])
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, 2)
        self.segment = Block(width, expand, DILATIONS[-1])
        self.project = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim))

    def states(self, waveform: Tensor) -> Tensor:
        """Return the trunk's last states (batch, frames, width)."""
        x = self.enter(self.front(waveform))
        for block in self.trunk:
            x = block(x)
        return x  # type: ignore[no-any-return]

    def outputs(self, states: Tensor) -> dict[str, Tensor]:
        """Return `features` (batch, frames, dim), `boundary` and `speech` logits (batch, frames)."""
        logits = self.heads(self.norm(states)).float()
        return {
            "features": self.project(self.segment(states)).float(),
            "boundary": logits[..., 0],
            "speech": logits[..., 1],
        }

    def forward(self, waveform: Tensor) -> dict[str, Tensor]:
        """Encode (batch, samples) float32 in -1 to 1."""
        return self.outputs(self.states(waveform))


REACH = KERNEL // 2 * sum(DILATIONS) + 1  # frames to either side that a frame can depend on


def build(width: int = 192, bands: int = 40, dim: int = 64, expand: int = 4) -> nn.Module:
    """Build the encoder; see the module's docstring for the timing of its frames."""
    return SyllableEncoder(width, bands, dim, expand)
