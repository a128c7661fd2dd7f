"""Makes a page to look at from what experiments.sweep or experiments.compare left.

Examples:
    python -m experiments.report runs/sweep
    python -m experiments.report runs/compare --output=page.html

Writes one HTML file that needs nothing else, by default report.html in the folder: the matrix as a
heat map, and for each tracker success plots, ranks, losses of every inner step, AUC against the
time of an update, learned rates and loss functions, and a clip with the boxes of every rule.
"""

import pathlib
from collections.abc import Sequence

from absl import flags

from basics.errors import InputError
from basics.files import read_json, write_atomic
from experiments.command_line import cli
from experiments.report_page import page

FLAGS = flags.FlagValues()
_OUTPUT = flags.DEFINE_string(
    "output", None, "The file to write; by default report.html in the folder.", flag_values=FLAGS
)


def main(arguments: Sequence[str]) -> None:
    """Runs the program."""
    folder = pathlib.Path(arguments[1])
    text = page_of(folder)
    target = pathlib.Path(_OUTPUT.value or folder / "report.html")
    write_atomic(target, text)
    print(f"written to {target}")


def page_of(folder: pathlib.Path) -> str:
    """The page of a folder.

    Raises:
        InputError: it holds no results of a matrix, or damaged ones.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise InputError(f"{path} is not there: give a folder of experiments.sweep or compare")
    results = read_json(path)
    try:
        return page.build(results, folder)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(
            f"{path} is damaged, or not of experiments.sweep or compare ({error!r})"
        ) from None


if __name__ == "__main__":
    cli.run(main, FLAGS, positional="RESULTS_DIR")
