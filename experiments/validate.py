r"""Scores a tracker for choices: trials of each validation target, paired with another's.

A constant, a default or a checkpoint is chosen on these and nothing else. Each target is run
several times: once through the whole video, once more while something hides it now and then, and
then in short: from later frames (OTB's TRE), from its true box and from perturbed ones (OTB's SRE),
on the video as it is and on degraded copies (dark, grey, blurred, noisy, with half the pixels,
shaken). All of it is drawn by --seed, the same for every tracker.

Examples:
    python -m experiments.validate --videos_dir=VIDEOS --output_dir=runs/shipped
    python -m experiments.validate --videos_dir=VIDEOS --output_dir=runs/scales \
        --dimp.box_estimation=scale_search --baseline=runs/shipped
    python -m experiments.validate --videos_dir=VIDEOS --output_dir=runs/new \
        --checkpoint=OUT/dimp.safetensors --baseline=runs/shipped --trials=8

--videos_dir holds videos in the layout of OTB and split.json, which names the targets of each
split: {"val": [...], "val_hard": [...]}. Scores of `val` and `val_hard` are printed, those of
clean, hidden and degraded video, and of all; with --baseline the mean paired differences with 95 %
bootstrap intervals over targets.

Writes to the output folder:
    boxes/, scores/, times/   of each trial as soon as it ends, as experiments.evaluate does
    run.json                  what ran
    results.json              the scores of each trial, their means, fps, and the differences
Degraded frames are made once and kept in --frames_dir, which runs can share.

--resume goes on with a run; with more --trials, too.

Several runs go side by side, see --parallel_videos of experiments.evaluate: fps is of all together.
"""

import json
import pathlib
from collections.abc import Sequence

from absl import flags

from basics.files import write_atomic
from experiments.analysis import validation_results
from experiments.analysis.evaluation_folder import EvaluationFolder
from experiments.command_line import cli, dataset_flags, tracker_flags
from experiments.command_line.output_folder import OutputFolder
from tracking_tasks import evaluation
from tracking_tasks.data.formats import read_dataset
from tracking_tasks.data.sequences import Sequence as Video
from tracking_tasks.evaluation import trials

FLAGS = flags.FlagValues()
_TRACKER = tracker_flags.LoadedTracker(FLAGS)
_VIDEOS_DIR = flags.DEFINE_string(
    "videos_dir", None, "The folder with videos and split.json.", required=True, flag_values=FLAGS
)
_SPLITS = flags.DEFINE_list("splits", ["val", "val_hard"], "Whose targets are run.", FLAGS)
_TRIALS = flags.DEFINE_integer("trials", 4, "Trials of each target.", 1, flag_values=FLAGS)
_FRAMES = flags.DEFINE_integer(
    "frames", 90, "Most frames of a trial, but for the first two.", 2, flag_values=FLAGS
)
_SEED = flags.DEFINE_integer("seed", 0, "Of what the trials are.", 0, flag_values=FLAGS)
_FRAMES_DIR = flags.DEFINE_string(
    "frames_dir",
    None,
    "Where degraded frames are kept; by default in the output folder.",
    flag_values=FLAGS,
)
_PARALLEL_VIDEOS = flags.DEFINE_integer(
    "parallel_videos", 4, "How many trials run side by side.", 1, flag_values=FLAGS
)
_BASELINE = flags.DEFINE_string(
    "baseline", None, "The output folder of the run to compare with.", flag_values=FLAGS
)
_OUTPUT = OutputFolder(FLAGS, resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    path = _OUTPUT.path
    baseline = _BASELINE.value and validation_results.read(pathlib.Path(_BASELINE.value))
    drawn = _draw(pathlib.Path(_FRAMES_DIR.value or path / "frames"))
    tracker = _TRACKER.load()
    metadata = _TRACKER.metadata(tracker) | {"checkpoint": _TRACKER.digest()}
    settings = {name: FLAGS[name].value for name in ("frames", "seed")}
    folder = EvaluationFolder(path, metadata | settings, _OUTPUT.resumed)
    runs = [run for _, _, run in drawn]
    missing = [run for run in runs if folder.load(run) is None]
    evaluation.evaluate(tracker, missing, parallel_videos=_PARALLEL_VIDEOS.value, keep=folder.save)
    results = [result for run in runs if (result := folder.load(run))]
    rows = [
        validation_results.row(trial, split, result)
        for (split, trial, _), result in zip(drawn, results, strict=True)
    ]
    means = validation_results.means(rows)
    compared = validation_results.differences(rows, baseline) if baseline else None
    found = {
        **metadata,
        **settings,
        "means": means,
        "fps": round(evaluation.summarize(results)["fps"], 1),
        "baseline": _BASELINE.value,
        "differences": compared,
        "trials": rows,
    }
    write_atomic(path / "results.json", json.dumps(found, indent=1) + "\n")
    print(validation_results.table(means, compared))
    print(f"{found['fps']} frames/s; written to {path}")


def _draw(frames_dir: pathlib.Path) -> list[tuple[str, trials.Trial, Video]]:
    """Split, trial and video of all runs; degraded frames are made here.

    Raises:
        InputError: `split.json` or a target is missing, or a frame cannot be read.
    """
    folder = pathlib.Path(_VIDEOS_DIR.value)
    targets = {
        name: split for split in _SPLITS.value for name in dataset_flags.targets_of(folder, split)
    }
    drawn = []
    for sequence in read_dataset(folder, "otb", names=list(targets)):
        for trial in trials.draw(sequence, _TRIALS.value, _FRAMES.value, _SEED.value):
            video = trials.video(sequence, trial, frames_dir)
            drawn.append((targets[sequence.name], trial, video))
    return drawn


if __name__ == "__main__":
    cli.run(main, FLAGS)
