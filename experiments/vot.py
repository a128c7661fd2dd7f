r"""Evaluates a tracker as the VOT challenges do: it is started again where it fails.

Until 2019 a tracker that lost its target was started again five frames later, up to fifteen times
over each sequence (three if they are equal). From 2020 on it is started from several frames of each
sequence, the anchors, and runs to the end or to the beginning.

Examples:
    python -m experiments.vot --challenge=vot2018 --dataset_dir=VOT2018 --output_dir=workspace
    python -m experiments.vot --challenge=vot2022 --dataset_dir=VOT2022-STB --output_dir=workspace

Writes to the output folder:
    results.json      accuracy, robustness and expected average overlap (eao), over all sequences;
                      the first two of each. Robustness is failures a sequence until 2019, the share
                      of frames before a failure since. And the expected overlap curve
    accuracy_robustness.png, expected_overlap.png
    results/<tracker>/baseline/<sequence>/     the runs of each sequence as soon as they end, in the
                      files of vot-toolkit, whose `vot analysis` and `vot report` work on them
    run.json          what the run is

--resume keeps the runs of sequences that are complete, and refuses a folder of another run.

experiments.plot draws several such folders into the same two plots.

The overlap is that of the toolkit: with the outline of the target where the data set has one, of
regions rounded to pixels.
"""

import json
from collections.abc import Sequence

from absl import flags

from basics.files import write_atomic
from experiments.command_line import cli, dataset_flags, shared_flags, tracker_flags
from experiments.command_line.output_folder import OutputFolder
from experiments.pictures import vot_plots
from experiments.reproduction import benchmarks
from tracking_tasks.evaluation import vot_anchor, vot_files, vot_supervised
from tracking_tasks.evaluation.reports import Report

_ANCHORED = ("vot2020", "vot2021", "vot2022")

FLAGS = flags.FlagValues()
_TRACKER = tracker_flags.LoadedTracker(FLAGS)
_DATASET = dataset_flags.Dataset(FLAGS)
FLAGS.set_default("dataset_format", "vot")
_SEQUENCES = shared_flags.sequences_flag(FLAGS)
_PAPER = benchmarks.paper_flag(FLAGS)
_CHALLENGE = flags.DEFINE_enum(
    "challenge",
    None,
    [*vot_supervised.EAO_INTERVALS, *_ANCHORED],
    "Whose experiment, and whose interval of lengths in the expected average overlap.",
    required=True,
    flag_values=FLAGS,
)
_OUTPUT = OutputFolder(FLAGS, resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    path, challenge = _OUTPUT.path, _CHALLENGE.value
    sequences = _DATASET.read(_SEQUENCES.value)
    tracker = _TRACKER.load()
    runs = path / "results" / tracker.name / "baseline"
    metadata = _TRACKER.metadata(tracker) | {"challenge": challenge}
    identity = metadata | {"checkpoint": _TRACKER.digest()}
    taken = runs.exists() or (path / "results.json").exists()
    _OUTPUT.lock(identity, taken=taken)
    interval = vot_supervised.EAO_INTERVALS.get(challenge, vot_anchor.VOT2022.interval)
    if challenge in _ANCHORED:
        report = vot_anchor.evaluate_anchored(
            tracker,
            sequences,
            lambda sequence, each: vot_files.write_anchored(runs, sequence.name, each),
            lambda sequence: vot_files.read_anchored(runs, sequence),
        )
    else:
        report = vot_supervised.evaluate_supervised(
            tracker,
            sequences,
            interval,
            lambda sequence, each: vot_files.write_supervised(runs, sequence.name, each),
            lambda sequence: vot_files.read_supervised(runs, sequence),
        )
    curve = {"interval": interval, "expected_overlap": report["expected_overlap"]}
    document = metadata | report["scores"] | {"sequences": report["sequences"]} | curve
    vot_plots.save(path, {f"{tracker.name}, {tracker.inner_optimizer}": document})
    write_atomic(path / "results.json", json.dumps(document, indent=2) + "\n")
    print(table(report))
    if _PAPER.value:
        print(benchmarks.BENCHMARKS[_PAPER.value].beside(report["scores"]))
    print(f"written to {path}")


def table(report: Report) -> str:
    """Returns the scores as a table for the terminal, those over all sequences last."""
    rows = {**report["sequences"], "all": report["scores"]}
    width = max(map(len, rows))
    keys = list(report["scores"])
    lines = [f"{'sequence':{width}}" + "".join(f"  {key:>11}" for key in keys)]
    for name, scores in rows.items():
        values = (f"{scores[key]:11.3f}" if key in scores else " " * 11 for key in keys)
        lines.append(f"{name:{width}}  " + "  ".join(values))
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    cli.run(main, FLAGS)
