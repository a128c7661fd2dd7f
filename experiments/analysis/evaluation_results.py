"""What an evaluation found: `results.json`, a table for the terminal, and plots."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from basics.files import write_atomic
from tracking_tasks import evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation import plots

_MOST_CURVES = 12  # single sequences are plotted beside their mean up to so many

Results = Sequence[evaluation.SequenceResult]


def report(
    protocol: str, results: Results, sequences: Sequence[sequences_lib.Sequence]
) -> dict[str, Any]:
    """Returns what a protocol makes of the results, with the mean overlap and the speed.

    Returns:
        The protocol's scores over all sequences, `mean_overlap` and `fps`; `sequences`: the same of
        each; `attributes`: the protocol's scores over the sequences that have one.

    Raises:
        InputError: the truth is withheld.
    """
    found = evaluation.PROTOCOLS[protocol](results, sequences)
    common = ("mean_overlap", "fps")
    plain = {result.name: result.scores() for result in results}
    means = evaluation.summarize(results)
    each = {
        name: scores | {key: plain[name][key] for key in common}
        for name, scores in found["sequences"].items()
    }
    scores = found["scores"] | {key: means[key] for key in common}
    return {**scores, "sequences": each, "attributes": found["attributes"]}


def save(
    folder: pathlib.Path, metadata: Mapping[str, Any], results: Results, found: Mapping[str, Any]
) -> None:
    """Writes the plots and, when those are complete, `results.json`."""
    label = f"{metadata['tracker']}, {metadata['inner_optimizer']}"
    title = f"One-pass evaluation on {len(results)} sequences"
    curves = lambda curve: _curves(f"{label} (mean)", results, curve)
    plots.save_success_plot(folder / "success.png", curves(evaluation.success_curve), title)
    plots.save_precision_plot(folder / "precision.png", curves(evaluation.precision_curve), title)
    plots.save_normalized_precision_plot(
        folder / "normalized_precision.png", curves(evaluation.normalized_precision_curve), title
    )
    attributes = found["attributes"]
    if attributes:
        score = next(key for key in next(iter(attributes.values())) if key != "sequences")
        plots.save_attribute_plot(
            folder / "attributes.png",
            {label: {name: each[score] for name, each in attributes.items()}},
            {name: each["sequences"] for name, each in attributes.items()},
            title,
            score,
        )
    document = {**metadata, **found}
    write_atomic(folder / "results.json", json.dumps(document, indent=2) + "\n")


def table(found: Mapping[str, Any]) -> str:
    """Returns the scores as a table for the terminal, those over all sequences last."""
    columns = [key for key in found if key not in ("sequences", "attributes")]
    rows = {**found["sequences"], "all": found}
    width = max(len("sequence"), *map(len, rows))
    widths = [max(6, len(column)) for column in columns]
    lines = ["  ".join([f"{'sequence':{width}}", *map(str.rjust, columns, widths)])]
    for name, scores in rows.items():
        texts = [f"{scores[key]:.1f}" if key == "fps" else f"{scores[key]:.3f}" for key in columns]
        lines.append("  ".join([f"{name:{width}}", *map(str.rjust, texts, widths)]))
    return "\n".join(lines)


def _curves(
    label: str, results: Results, curve: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    curves = {result.name: curve(result.boxes, result.truth) for result in results}
    mean = {label: np.mean(list(curves.values()), axis=0)}
    return mean | curves if len(results) <= _MOST_CURVES else mean
