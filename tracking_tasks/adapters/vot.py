"""Our trackers in vot-toolkit (0.9 and later), by its `python` protocol.

The toolkit reads from `trackers.ini` which class to call, and calls it in a process of its own;
`experiments.vot_trackers` writes that file. Nothing of the toolkit is needed here.
"""

import configparser
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

import tracking_tasks
from basics.compilation import keep_compiled_programs
from basics.errors import InputError, said_by
from basics.files import write_atomic
from tracking_tasks.data.sequences import read_image

Box = tuple[float, float, float, float]
Region = Box | Sequence[tuple[float, float]]
Frame = str | Mapping[str, str]

# Seconds for each answer. The toolkit waits 30 by default: enough for programs that are kept, and
# on an idle machine to compile them; a busy one may take longer the first time.
_TIMEOUT = 120


class VotTracker:
    """What the toolkit calls. It follows one target.

    The first frame of a new size is answered when all programs for it are compiled, so that no
    later one waits for a compiler; they are kept for the next start.

    Args:
        tracker: a name that `tracking_tasks.load` knows.
        inner_optimizer: the name of a rule; that of the weights if empty.
        checkpoint: a file of weights; those shipped if empty.
    """

    multiobject = False

    def __init__(
        self, tracker: str = "dimp", inner_optimizer: str = "", checkpoint: str = ""
    ) -> None:
        keep_compiled_programs()
        self._tracker = tracking_tasks.load(
            tracker, inner_optimizer or None, checkpoint=checkpoint or None
        )
        self._ready: set[tuple[int, ...]] = set()

    def init(
        self, frame: Frame, new: tuple[Region, Any], properties: Mapping[str, Any]
    ) -> tuple[Box, dict[str, Any]]:
        """Starts on a target.

        Args:
            frame: the path of the image, or one for each channel, of which `color` is taken.
            new: the target's region, a box or an outline, and what the toolkit says of it.
            properties: what else it says.

        Returns:
            The target's box, and the tracker's confidence in it.
        """
        image, box = _read(frame), upright(new[0])
        if image.shape not in self._ready:
            self.compile(*image.shape[:2])
        self._tracker.init(image, box)
        return _box(box), {"confidence": 1.0}

    def compile(self, height: int, width: int) -> None:
        """Compiles what frames of a size need, or loads it if it was kept."""
        blank = np.zeros((height, width, 3), np.uint8)
        self._tracker.init(blank, np.array([width, height, width, height]) / 4)
        self._tracker.update(blank)
        self._ready.add(blank.shape)

    def update(self, frame: Frame) -> tuple[Box, dict[str, Any]]:
        """Finds the target in the next image; takes and returns what `init` does."""
        prediction = self._tracker.update(_read(frame))
        return _box(np.asarray(prediction.box)), {"confidence": float(prediction.score)}


def upright(region: Region) -> Float[np.ndarray, "4"]:
    """Returns the box around a region, which is a box (4 numbers) or an outline (points x, y)."""
    numbers = np.asarray(region, np.float64)
    if numbers.ndim == 1:
        return numbers
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    return np.concatenate([low, high - low])


def add_to_registry(path: pathlib.Path, identifier: str, arguments: Mapping[str, str]) -> None:
    """Adds a tracker to a `trackers.ini`, or replaces it there; others are kept.

    Args:
        path: the file; made if it is not there.
        identifier: of the tracker: letters, digits, - and _.
        arguments: for `VotTracker`.

    Raises:
        InputError: what is there cannot be read.
    """
    registry = configparser.ConfigParser()
    try:
        registry.read(path)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged: repair or remove it ({said_by(error)})") from error
    registry[identifier] = {
        "label": identifier,
        "protocol": "python",
        "command": f"{__name__}:{VotTracker.__name__}",
        **{f"arg_{key}": value.replace("%", "%%") for key, value in arguments.items()},
        "convert": "rectangle",  # of a true outline
        "multiobject": "",  # empty is no: `vot test` would send three targets
        "timeout": str(_TIMEOUT),
    }
    text = io.StringIO()
    registry.write(text)
    write_atomic(path, text.getvalue())


def _read(frame: Frame) -> np.ndarray:
    return read_image(pathlib.Path(frame if isinstance(frame, str) else frame["color"]))


def _box(box: Float[np.ndarray, "4"]) -> Box:
    x, y, width, height = box.tolist()
    return x, y, width, height
