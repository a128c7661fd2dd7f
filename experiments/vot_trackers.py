"""Registers a tracker with the VOT toolkit: writes the `trackers.ini` that it reads.

Examples:
    python -m experiments.vot_trackers --output=workspace/trackers.ini
    python -m experiments.vot_trackers --output=workspace/trackers.ini \
        --identifier=ours --checkpoint=runs/train/checkpoint.safetensors

Trackers that the file holds already are kept; one of the same identifier is replaced. What frames
of --frame_sizes need is compiled now and kept, for the toolkit waits for a limited time only. Other
sizes are compiled when the toolkit first shows them.

Then, with the extra `toolkits` installed (pip install -e '.[toolkits]'):
    vot --registry workspace test dimp
    vot evaluate --workspace workspace dimp
"""

import pathlib
import re
from collections.abc import Sequence

from absl import flags
from tqdm import tqdm

from basics.errors import InputError
from experiments.command_line import cli, tracker_flags
from tracking_tasks.adapters import vot

FLAGS = flags.FlagValues()
_TRACKER = tracker_flags.LoadedTracker(FLAGS, constants=False)
_OUTPUT = flags.DEFINE_string(
    "output", None, "The file to write: trackers.ini.", required=True, flag_values=FLAGS
)
_IDENTIFIER = flags.DEFINE_string(
    "identifier", None, "Its name in the toolkit; by default the tracker's.", flag_values=FLAGS
)
_FRAME_SIZES = flags.DEFINE_list(
    "frame_sizes", "640x480", "Widths and heights to compile for.", flag_values=FLAGS
)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    sizes = [parse_size(text) for text in _FRAME_SIZES.value]
    tracker = _TRACKER.load()  # whatever cannot be loaded is found out here, not in the toolkit
    identifier = tracker.name if _IDENTIFIER.value is None else _IDENTIFIER.value
    if not re.fullmatch("[a-zA-Z0-9_-]+", identifier):
        raise InputError(f"--identifier={identifier} may hold letters, digits, - and _ only")
    arguments = {"tracker": tracker.name, "inner_optimizer": tracker.inner_optimizer}
    if FLAGS["checkpoint"].value:
        arguments["checkpoint"] = str(pathlib.Path(FLAGS["checkpoint"].value).resolve())
    path = pathlib.Path(_OUTPUT.value)
    vot.add_to_registry(path, identifier, arguments)
    compiled = vot.VotTracker(**arguments)
    for width, height in tqdm(sizes, desc="compiling", unit="size"):
        compiled.compile(height, width)
    print(f"wrote {path}; try: vot --registry {path.parent} test {identifier}")


def parse_size(text: str) -> tuple[int, int]:
    """Returns the width and height that a text like 640x480 gives.

    Raises:
        InputError: it is no such text, or less than 16 pixels.
    """
    match = re.fullmatch("([0-9]{2,4})x([0-9]{2,4})", text)
    width, height = map(int, match.groups()) if match else (0, 0)
    if min(width, height) < 16:
        raise InputError(f"--frame_sizes={text} is no size: write WIDTHxHEIGHT, such as 640x480")
    return width, height


if __name__ == "__main__":
    cli.run(main, FLAGS)
