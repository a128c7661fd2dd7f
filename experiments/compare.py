r"""Compares inner optimizers: one tracker, meta-trained once per rule and seed, on equal terms.

Every rule sees the same episodes in the same order, takes the same number of outer and inner steps,
and is judged on the same held-out videos. The default asks the question of DiMP's Table 1: is the
target filter best predicted by the initializer alone (none), by gradient descent with learned
rates, or by steepest descent?

Examples:
    python -m experiments.compare
    python -m experiments.compare --inner_optimizers=adam,steepest_descent --seeds=5
    python -m experiments.compare --dataset_dir=OTB100 --output_dir=runs/otb --resume

Writes to the output folder:
    results.json              every trial (rule and seed) and the means with 95 % intervals
    table.txt                 the table that is printed at the end
    inner_loss.png            loss on support and query against the inner step, per rule
    success.png               success plot over the held-out videos
    learned_functions.png     what of the inner loss was learned, and where it started
    <tracker>/                finished trials, which --resume does not do again, checkpoints, and
                              the metrics of each meta-training, for TensorBoard too
    run.json, flags.txt       the whole configuration; --flagfile=flags.txt runs it again
"""

import sys
from collections.abc import Sequence

from absl import flags

from experiments.command_line import cli, tracker_flags
from experiments.matrix import comparison_results, matrix_run
from experiments.matrix.matrix_flags import MatrixFlags
from tracking_tasks.trackers import TRACKERS

FLAGS = flags.FlagValues()
_TRACKER = tracker_flags.tracker_flag(FLAGS)
_MATRIX = MatrixFlags(FLAGS, "none,learned_rates,steepest_descent", "runs/compare")


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    cls = TRACKERS[_TRACKER.value]
    metadata, results, failures = matrix_run.run(_MATRIX, [cls.name])
    folder = _MATRIX.folder
    if results:
        config = metadata["configuration"]["trackers"][cls.name]
        paper = {"tracker": cls.name, "paper_rule": cls.default_rule, "tracker_config": config}
        comparison_results.write(folder, metadata | paper, results)
        print((folder / "table.txt").read_text())
        print(f"written to {folder}")
    if failures:
        sys.exit(f"error: {len(failures)} trial(s) failed, see above; --resume tries them again")


if __name__ == "__main__":
    cli.run(main, FLAGS)
