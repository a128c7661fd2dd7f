r"""Runs every tracker with every inner optimizer on equal terms: the whole matrix.

Each trial is one tracker with one rule, meta-trained with one seed on rendered videos and judged on
held-out ones, as in experiments.compare; with --dataset_dir on real targets too, which have a
matrix and tests of their own. Trials that fail are reported and do not stop the others.

Examples:
    python -m experiments.sweep --preset=smoke
    python -m experiments.sweep --trackers=dimp,roam --inner_optimizers=all --seeds=3 --workers=2
    python -m experiments.sweep --budget=inner_flops --dataset_dir=OTB100 --output_dir=runs/otb
    python -m experiments.sweep --flagfile=runs/sweep/flags.txt --resume
    python -m experiments.report runs/sweep

Writes to the output folder:
    results.json              every trial; for each tracker and rule the mean with its 95 % interval
                              over seeds and sequences (bootstrap), for each tracker paired tests
                              between its rules and their critical-difference ranking; the same
                              of real targets
    table.txt                 the matrix that is printed at the end
    matrix.png                the same as a heat map
    <tracker>/cells/          finished trials, which --resume does not do again
    <tracker>/checkpoints/    the trained trackers
    <tracker>/training/       metrics as JSON lines and TensorBoard events, and states to go on from
    run.json, flags.txt       the whole configuration; --flagfile=flags.txt runs it again
"""

import sys
from collections.abc import Sequence

from absl import flags

from experiments.command_line import cli
from experiments.command_line.choices import choose
from experiments.matrix import matrix_run, sweep_results
from experiments.matrix.matrix_flags import MatrixFlags
from tracking_tasks.trackers import TRACKERS

FLAGS = flags.FlagValues()
_TRACKERS = flags.DEFINE_list(
    "trackers", "all", f"Of: {', '.join(sorted(TRACKERS))}; or all.", flag_values=FLAGS
)
_MATRIX = MatrixFlags(FLAGS, "all", "runs/sweep")


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    trackers = choose(_TRACKERS.value, sorted(TRACKERS), "tracker")
    metadata, results, failures = matrix_run.run(_MATRIX, trackers)
    if results:
        sweep_results.write(_MATRIX.folder, metadata, results, failures)
        print((_MATRIX.folder / "table.txt").read_text())
        print(f"written to {_MATRIX.folder}")
    if failures:
        sys.exit(f"error: {len(failures)} trial(s) failed, see above; --resume tries them again")


if __name__ == "__main__":
    cli.run(main, FLAGS)
