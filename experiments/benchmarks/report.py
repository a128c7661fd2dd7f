"""What a suite found out: as a table, as JSON, and as a plot."""

import dataclasses
import itertools
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from matplotlib.figure import Figure

from experiments.benchmarks.timing import Measurement


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One problem solved in several ways.

    Attributes:
        case: what was computed, by the name of the column.
        times: what it took, by the way; this project's own first.
        numbers: ratios, floors and differences, by the name of the column.
    """

    case: dict[str, str | int]
    times: dict[str, Measurement]
    numbers: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Report:
    """What a suite returns.

    Attributes:
        comparisons: the rows; those in succession with the same columns form a table.
        notes: sentences that explain the columns, with what else was measured.
        figures: plots by the name of their file; if there are none, the times are drawn as bars.
    """

    comparisons: Sequence[Comparison]
    notes: Sequence[str]
    figures: Mapping[str, Figure] = dataclasses.field(default_factory=dict)


def table(report: Report) -> str:
    """The comparisons in aligned columns, times as minimum / median, and the notes below."""
    lines: list[str] = []
    for columns, comparisons in itertools.groupby(report.comparisons, _columns):
        lines += [*aligned([columns, *map(_row, comparisons)]), ""]
    return "\n".join([*lines, *report.notes])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many cells as lines whose columns end at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.rjust, row, widths)) for row in rows]


def _columns(comparison: Comparison) -> list[str]:
    ways = [f"{way}, min / median ms" for way in comparison.times]
    return [*comparison.case, *ways, *comparison.numbers]


def _row(comparison: Comparison) -> list[str]:
    times = [
        f"{_short(1e3 * time.minimum)} / {_short(1e3 * time.median)}"
        for time in comparison.times.values()
    ]
    numbers = [_short(number) for number in comparison.numbers.values()]
    return [*map(str, comparison.case.values()), *times, *numbers]


def document(report: Report) -> dict[str, Any]:
    """The same for `results.json`, with the machine that it was measured on."""
    return {
        "machine": machine(),
        "notes": list(report.notes),
        "comparisons": [
            {
                "case": comparison.case,
                "milliseconds": {
                    way: {"minimum": 1e3 * time.minimum, "median": 1e3 * time.median}
                    for way, time in comparison.times.items()
                },
                **comparison.numbers,
            }
            for comparison in report.comparisons
        ],
    }


def machine() -> dict[str, str | int]:
    """What the times depend on."""
    return {
        "platform": platform.platform(),
        "cpu_count": os.cpu_count() or 1,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
    }


def plot(report: Report, title: str) -> Figure:
    """Median times as bars, a group for each case."""
    ways = list(report.comparisons[0].times)
    group = max(0.5, 0.18 * len(ways))  # inches, so that every bar has room for its label
    figure = Figure(figsize=(8, 1.5 + group * len(report.comparisons)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(ways)
    for index, way in enumerate(ways):
        middles = [row + (index + 0.5) * height - 0.4 for row in range(len(report.comparisons))]
        medians = [1e3 * row.times[way].median for row in report.comparisons]
        bars = axes.barh(middles, medians, 0.9 * height, label=way)
        axes.bar_label(bars, [_short(value) for value in medians], padding=3, fontsize="small")
    labels = [_case(comparison) for comparison in report.comparisons]
    axes.set(title=title, xlabel="median time (ms)", xscale="log")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    figure.legend(loc="outside lower center", ncols=len(ways), frameon=False)
    return figure


def _case(comparison: Comparison) -> str:
    values = comparison.case.items()
    return ", ".join(v if isinstance(v, str) else f"{v} {name}" for name, v in values)


def _short(number: float) -> str:
    """Three significant digits, without an exponent where they can be read without."""
    if 0.01 <= abs(number) < 1e5:
        return f"{number:.3g}" if abs(number) < 100 else f"{number:.0f}"
    return f"{number:.1e}"
