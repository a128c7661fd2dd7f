"""Times this project's inner loops and what surrounds them.

All that a suite compares is timed in one run, interleaved, so that other load on the machine hits
all of it alike. Trust the ratios more than the times, and both on a quiet machine only: heavy load
slows long computations more than short ones.

Examples:
    python -m experiments.benchmark --suite=inner_loop
    python -m experiments.benchmark --suite=inner_loop --repeats=20 --output_dir=results
    python -m experiments.benchmark --suite=meta_gradient --output_dir=results
    python -m experiments.benchmark --suite=maml
    python -m experiments.benchmark --suite=meta_training
    python -m experiments.benchmark --suite=renderer
    python -m experiments.benchmark --suite=evaluation
    python -m experiments.benchmark --suite=roam
    python -m experiments.benchmark --suite=online --output_dir=results
    python -m experiments.benchmark --suite=pruning
    python -m experiments.benchmark --suite=optimizer_step
    python -m experiments.benchmark --suite=start
    python -m experiments.benchmark --suite=gpu --output_dir=results
    python -m experiments.benchmark --compare=before,after

Prints a table. With an output folder it also writes:
    results.json              the table's values, with facts about the machine
    times.png                 the times as bars, or the plots of the suite

--compare times nothing: it says which times of two such records differ beyond noise, and ends with
status 3 if any got slower, else with 0.
"""

import json
import sys
from collections.abc import Callable, Sequence

from absl import flags

from basics.figures import save_figure
from basics.files import write_atomic
from experiments.benchmarks import (
    evaluation,
    gpu,
    inner_loop,
    maml,
    meta_gradient,
    meta_training,
    online,
    optimizer_step,
    pruning,
    regressions,
    renderer,
    roam,
    start,
)
from experiments.benchmarks.report import Report, document, machine, plot, table
from experiments.command_line import cli
from experiments.command_line.output_folder import OptionalOutputFolder

# A suite takes the preset and the number of repeats.
SUITES: dict[str, Callable[[str, int], Report]] = {
    "inner_loop": inner_loop.run,
    "meta_gradient": meta_gradient.run,
    "maml": maml.run,
    "meta_training": meta_training.run,
    "renderer": renderer.run,
    "evaluation": evaluation.run,
    "roam": roam.run,
    "online": online.run,
    "pruning": pruning.run,
    "optimizer_step": optimizer_step.run,
    "start": start.run,
    "gpu": gpu.run,
}

FLAGS = flags.FlagValues()
_SUITE = flags.DEFINE_enum("suite", "inner_loop", list(SUITES), "What to time.", flag_values=FLAGS)
_PRESET = flags.DEFINE_enum(
    "preset", "full", ["smoke", "full"], "The sizes; smoke takes seconds.", flag_values=FLAGS
)
_REPEATS = flags.DEFINE_integer(
    "repeats", 5, "Rounds in which everything is timed once more.", 1, flag_values=FLAGS
)
_COMPARE = flags.DEFINE_list(
    "compare",
    None,
    "Two records to compare, before and after: results.json of one suite, or the folders of them.",
    flag_values=FLAGS,
)
_OUTPUT = OptionalOutputFolder(FLAGS)
_SLOWER = 3  # the status where something got slower


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    if _COMPARE.value is not None:
        _compare(_COMPARE.value)
        return
    folder = _OUTPUT.path
    report = SUITES[_SUITE.value](_PRESET.value, _REPEATS.value)
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(table(report))
    if folder:
        metadata = {name: FLAGS[name].value for name in ("suite", "preset", "repeats")}
        text = json.dumps(metadata | document(report), indent=2)
        figures = report.figures or {"times": plot(report, f"Benchmark {_SUITE.value}")}
        for name, figure in figures.items():
            save_figure(folder / f"{name}.png", figure)
        write_atomic(folder / "results.json", text + "\n")
        print(f"written to {folder}")


def _compare(paths: Sequence[str]) -> None:
    changes, machines = regressions.compare(paths)
    print(*machines, regressions.table(changes), sep="\n")
    if any(change.verdict == regressions.Verdict.SLOWER for change in changes):
        sys.exit(_SLOWER)


if __name__ == "__main__":
    cli.run(main, FLAGS)
