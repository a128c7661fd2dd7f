r"""Evaluates a tracker on annotated sequences, in one pass.

The tracker starts from the first true box of each sequence and is never restarted. The given box
counts as the prediction of the first frame, as in the Object Tracking Benchmark.

Examples:
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=results
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=results --resume
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=more --parallel_videos=8 \
        --sequences=Couple,Jogging.1 --inner_optimizer=gradient_descent

Writes to the output folder, the boxes of each sequence as soon as it ends:
    boxes/<sequence>.txt      x,y,w,h in pixels from 0, a line a frame, the given box first
    scores/<sequence>.txt     the tracker's confidence in each box, 1 for the given one
    times/<sequence>.txt      seconds that each update took, from the second frame on
    run.json                  what ran: tracker, inner optimizer, checkpoint (its SHA-256), data set
    results.json              auc (21 thresholds), precision20 (centre error at most 20 pixels),
                              mean_overlap and fps (updates a second, without reading files and
                              without the first update of a sequence, which compiles): means over
                              the sequences, and the same for each; computed from the files above
    success.png, precision.png

--resume tracks only the sequences that have no boxes yet, or damaged ones, and refuses a folder
that another tracker, checkpoint or data set filled. Without it a folder that holds results is
refused: nothing is ever overwritten or mixed.

--parallel_videos=N tracks N videos side by side, for a whole benchmark in less time. On the CPU the
boxes are the same to the last bit; on other devices they agree to rounding.
"""

import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from absl import flags

from experiments import cli, common
from experiments.result_folder import ResultFolder
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
_PARALLEL_VIDEOS = flags.DEFINE_integer(
    "parallel_videos", 1, "How many videos are tracked side by side.", 1, flag_values=FLAGS
)
_RESUME = flags.DEFINE_bool(
    "resume", False, "Keep what the output folder holds of the same run.", flag_values=FLAGS
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "The folder to write to.", required=True, flag_values=FLAGS
)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    path = pathlib.Path(_OUTPUT_DIR.value)
    cli.require_folder(path)
    chosen = _DATASET.read(_SEQUENCES.value)
    tracker = _TRACKER.load()
    heading = {"tracker": tracker.name, "inner_optimizer": tracker.inner_optimizer}
    settings = {name: FLAGS[name].value for name in ("dataset_format", "dataset_split")}
    identity = heading | {"checkpoint": _TRACKER.digest()} | settings
    folder = ResultFolder(path, identity, _RESUME.value)
    missing = [sequence for sequence in chosen if folder.load(sequence) is None]
    if len(missing) < len(chosen):
        print(f"{len(chosen) - len(missing)} of {len(chosen)} sequences are done already")
    evaluation.evaluate(tracker, missing, parallel_videos=_PARALLEL_VIDEOS.value, keep=folder.save)
    results = [result for sequence in chosen if (result := folder.load(sequence))]
    summarize(path, heading, results)
    print(table(results))
    print(f"written to {path}")


def summarize(
    folder: pathlib.Path, heading: dict[str, str], results: Sequence[evaluation.SequenceResult]
) -> None:
    """Writes plots and, when those are complete, `results.json`."""
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
