r"""Evaluates a tracker on annotated sequences, in one pass.

The tracker starts from the first true box of each sequence and is never restarted. The given box
counts as the prediction of the first frame, as in the Object Tracking Benchmark.

Examples:
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=results
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=more \
        --sequences=Couple,Jogging.1 --inner_optimizer=gradient_descent

Writes to the output folder:
    results.json              auc (21 thresholds), precision20 (centre error at most 20 pixels),
                              mean_overlap and fps (updates a second, without reading files and
                              without the first update of a sequence, which compiles): means over
                              the sequences, and the same for each
    boxes/<sequence>.txt      x,y,w,h in pixels from 0, a line a frame, the given box first
    success.png, precision.png
"""

import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from absl import flags

from experiments import cli, common
from tracking_tasks import evaluation
from tracking_tasks.evaluation import plots
from tracking_tasks.files import write_atomic

_MOST_CURVES = 12  # single sequences are plotted beside their mean up to so many

FLAGS = flags.FlagValues()
_TRACKER = common.LoadedTracker(FLAGS)
_DATASET = common.Dataset(FLAGS)
_SEQUENCES = flags.DEFINE_list(
    "sequences", None, "Names of sequences, separated by commas; by default all.", FLAGS
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "The folder to write to.", required=True, flag_values=FLAGS
)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = pathlib.Path(_OUTPUT_DIR.value)
    cli.require_folder(folder)
    chosen = _DATASET.read(_SEQUENCES.value)
    tracker = _TRACKER.load()
    results = evaluation.evaluate(tracker, chosen)
    heading = {"tracker": tracker.name, "inner_optimizer": tracker.inner_optimizer}
    save(folder, heading, results)
    print(table(results))
    print(f"written to {folder}")


def save(
    folder: pathlib.Path, heading: dict[str, str], results: Sequence[evaluation.SequenceResult]
) -> None:
    """Writes boxes, plots and, when those are complete, `results.json`."""
    for result in results:
        write_atomic(folder / "boxes" / f"{result.name}.txt", format_boxes(result.boxes))
    label = f"{heading['tracker']}, {heading['inner_optimizer']} (mean)"
    title = f"One-pass evaluation on {len(results)} sequences"
    plots.save_success_plot(
        folder / "success.png", _curves(label, results, evaluation.success_curve), title
    )
    plots.save_precision_plot(
        folder / "precision.png", _curves(label, results, evaluation.precision_curve), title
    )
    scores = {result.name: result.scores() for result in results}
    document = heading | evaluation.summarize(results) | {"sequences": scores}
    write_atomic(folder / "results.json", json.dumps(document, indent=2) + "\n")


def format_boxes(boxes: np.ndarray) -> str:
    """Returns (N, 4) boxes as lines `x,y,w,h` with four decimals."""
    return "".join(",".join(f"{value:.4f}" for value in box) + "\n" for box in boxes)


def table(results: Sequence[evaluation.SequenceResult]) -> str:
    """Returns the scores as a table for the terminal, the mean last."""
    rows = [(result.name, result.scores()) for result in results]
    rows.append(("mean", evaluation.summarize(results)))
    width = max(len(name) for name, _ in rows)
    lines = [f"{'sequence':{width}}  {'auc':>6}  {'prec20':>6}  {'overlap':>7}  {'fps':>6}"]
    for name, score in rows:
        lines.append(
            f"{name:{width}}  {score['auc']:6.3f}  {score['precision20']:6.3f}  "
            f"{score['mean_overlap']:7.3f}  {score['fps']:6.1f}"
        )
    return "\n".join(lines)


def _curves(
    label: str,
    results: Sequence[evaluation.SequenceResult],
    curve: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    curves = {result.name: curve(result.boxes, result.truth) for result in results}
    mean = {label: np.mean(list(curves.values()), axis=0)}
    return mean | curves if len(results) <= _MOST_CURVES else mean


if __name__ == "__main__":
    cli.run(main, FLAGS)
