"""Figures in one style, written whole."""

import io
import pathlib
from typing import Any

from matplotlib.figure import Figure

from basics.files import write_atomic

# By Okabe and Ito, "Color Universal Design", 2008: told apart with any kind of colour vision. Their
# yellow, which is hardly seen on white, is left out.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = ("-", "--", "-.", ":")


def line_style(index: int) -> dict[str, Any]:
    """Colour and dashes of the curve of that index, the same in every plot; 28 differ."""
    return {"color": _COLORS[index % len(_COLORS)], "linestyle": _LINES[index % len(_LINES)]}


def save_figure(path: pathlib.Path, figure: Figure) -> None:
    """Saves a figure as a PNG that appears when it is complete."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_atomic(path, buffer.getvalue())
