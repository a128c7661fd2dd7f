"""Frames of one sequence side by side, with the boxes of several trackers and the true ones."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke

from basics.figures import line_style, save_figure
from tracking_tasks.data.sequences import Sequence

_COLUMNS = 4
_INCHES = 3.2  # the width of a frame
# A dark rim keeps every colour, and the white of the truth, visible on any picture.
_RIM = [Stroke(linewidth=3.2, foreground="black", alpha=0.6), Normal()]
_TRUTH = {"color": "white", "linestyle": "--"}


def save_strip(
    path: pathlib.Path,
    sequence: Sequence,
    boxes: Mapping[str, Float[np.ndarray, "frames 4"]],
    count: int = 8,
) -> None:
    """Saves evenly spaced frames, the first and the last among them, as a PNG.

    Args:
        path: where to; the file appears when it is complete.
        sequence: its true boxes are drawn in white dashes where there are any.
        boxes: one a frame, by the name to show, in the colours that plots of the same names have.
        count: the number of frames, at least 2; fewer if the sequence is shorter.
    """
    chosen = np.unique(np.linspace(0, len(sequence) - 1, count).round().astype(int)).tolist()
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    height, width = sequence.frame(0).shape[:2]
    styles: dict[str, dict[str, Any]] = {
        name: line_style(index) for index, name in enumerate(boxes)
    }
    size = (columns * _INCHES, rows * _INCHES * height / width + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, index in zip(panels, chosen, strict=False):
        image = sequence.frame(index)
        axes.imshow(image, extent=(0, image.shape[1], image.shape[0], 0))
        number = axes.text(
            *(0.02, 0.97, f"#{index + 1}"),
            transform=axes.transAxes,
            va="top",
            color="yellow",
            weight="bold",
        )
        number.set_path_effects(_RIM)
        for name, style in styles.items():
            _draw(axes, boxes[name][index], style)
        if sequence.annotated[index]:  # last: through its gaps the others can be seen
            _draw(axes, sequence.boxes[index], _TRUTH)
    handles = [
        Line2D([], [], linewidth=2, label=name, path_effects=_RIM, **style)
        for name, style in [("ground truth", _TRUTH), *styles.items()]
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
    save_figure(path, figure)


def _draw(axes: Any, box: Float[np.ndarray, "4"], style: Mapping[str, Any]) -> None:
    outline = Rectangle((box[0], box[1]), box[2], box[3], fill=False, linewidth=1.8, **style)
    outline.set_path_effects(_RIM)
    axes.add_patch(outline)
