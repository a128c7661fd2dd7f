"""Figures in one style, written whole."""

import io
import pathlib
from typing import Any

from matplotlib.figure import Figure

from basics.files import write_atomic


def line_style(index: int) -> dict[str, Any]:
    """The colour of the curve of that index, the same in every plot; dashed from the tenth on."""
    return {"color": f"C{index % 10}", "linestyle": ("-", "--", ":")[index // 10 % 3]}


def save_figure(path: pathlib.Path, figure: Figure) -> None:
    """Saves a figure as a PNG that appears when it is complete."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_atomic(path, buffer.getvalue())
