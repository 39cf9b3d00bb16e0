"""Colours that mean the same everywhere, and the layout all figures share; the page sets ink and ground.

Figures leave paper, plot ground, font and grid colours to the page, which knows whether it is light or dark.
"""

from typing import Any

# Okabe and Ito's colour-blind safe set, in the order in which methods are chosen; legible on light and dark
# ground
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# The classes of a scene, of Tol's muted set, apart from the methods' hues; sky is pale, ground grey
CLASS_COLOURS = ("#CFE3F2", "#9A9A94", "#CC6677", "#332288", "#DDCC77", "#117733", "#AA4499", "#44AA99")
ACCENT = "#E6007A"
DIMMED = "rgba(128,128,128,0.25)"
SCALE = "Viridis"
DIVERGING = "RdBu"


def hue(slot: int) -> str:
    """Return the hue of the method in position `slot`; beyond six they repeat."""
    return HUES[slot % len(HUES)]


def tints(slot: int) -> tuple[str, str]:
    """Return two tints of a slot's hue, which neighbouring pieces take in turn so that boundaries show."""
    return translucent(hue(slot), 0.85), translucent(hue(slot), 0.45)


def translucent(colour: str, share: float) -> str:
    """Return `#rrggbb` as an rgba string with opacity `share`."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{share:g})"


def base_layout(title: str, height: int) -> dict[str, Any]:
    """Return what every figure's layout starts from: a title that says what is seen, and tight margins."""
    return {
        "title": {"text": title, "x": 0, "xanchor": "left", "font": {"size": 14}},
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 36, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": -0.18, "yanchor": "top", "x": 0},
        "clickmode": "event+select",
        "hovermode": "closest",
    }
