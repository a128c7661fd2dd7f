"""Videos that a user gives, and runs of several rules on one of them, side by side."""

import dataclasses
import io
import itertools
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

import tracking_tasks
from basics.errors import InputError
from experiments.demo.inner_losses import inner_losses
from experiments.tracks.following import Row, follow
from experiments.tracks.results import Tables
from tracking_tasks.boxes import validate_box
from tracking_tasks.data.videos import Video, read_video

_LONGEST = 640  # pixels of a side of the pictures that the page gets
_MOST_FRAMES = 600  # of a video that are run, so that its pictures fit into memory


@dataclasses.dataclass
class Lane:
    """One rule of a run.

    Attributes:
        rule: its name.
        tracker: that it fits, once it is loaded.
        rows: what it found so far.
        seconds: how long each update took.
        losses: of its inner loop on the first frame, see `inner_losses`.
        error: why it does not run; "" if it does.
    """

    rule: str
    tracker: Any = None
    rows: list[Row] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    losses: list[float] = dataclasses.field(default_factory=list)
    error: str = ""

    def since(self, first: int) -> dict[str, Any]:
        """What the page shows, of the frames from `first` on."""
        return {
            "rule": self.rule,
            "losses": [_plain(loss) for loss in self.losses],
            "boxes": [[_plain(value) for value in row.box] for row in self.rows[first:]],
            "scores": [_plain(row.score) for row in self.rows[first:]],
            "present": [row.present for row in self.rows[first:]],
            "seconds": self.seconds[first:],
            "error": self.error,
        }


class Run:
    """Tracks a target by several rules, frame by frame in turns, in a thread of its own.

    Args:
        video: what to track in.
        box: of the target in the first frame.
        tracker: the name of the tracker.
        rules: the names of its inner optimizers.
        load: makes a tracker; `tracking_tasks.load`.
        losses: see `inner_losses`.

    Raises:
        InputError: the box cannot start a tracker.

    Attributes:
        lanes: one a rule.
        pictures: the frames so far, as JPEG.
        ended: whether it has nothing more to do.
    """

    def __init__(
        self,
        video: Video,
        box: Sequence[float],
        tracker: str,
        rules: Sequence[str],
        load: Callable[..., Any] | None = None,
        losses: Callable[[Any, np.ndarray, np.ndarray], list[float]] = inner_losses,
    ) -> None:
        self.lanes = [Lane(rule) for rule in rules]
        self.pictures: list[bytes] = []
        self.ended = False
        self.tracker = tracker
        self._video, self._box = video, validate_box(box, next(iter(video)).shape)
        self._load, self._losses = load or tracking_tasks.load, losses
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it after the frame that is being tracked."""
        self._stopped.set()
        self._thread.join()

    def state(self, first: int) -> dict[str, Any]:
        """What the page shows, of the frames from `first` on."""
        lanes = [lane.since(first) for lane in self.lanes]
        return {"lanes": lanes, "frames": len(self.pictures), "ended": self.ended}

    def table(self, rule: str, suffix: str) -> bytes:
        """The results of a rule as a .csv or .json file."""
        (lane,) = [lane for lane in self.lanes if lane.rule == rule]
        with tempfile.TemporaryDirectory() as folder:
            paths = {name: pathlib.Path(folder, f"table.{name}") for name in ("csv", "json")}
            heading = {"tracker": self.tracker, "inner_optimizer": rule}
            with Tables(paths["csv"], paths["json"], **heading) as tables:
                tables.add(lane.rows)
            return paths[suffix].read_bytes()

    def _run(self) -> None:
        try:
            self._follow([lane for lane in self.lanes if self._prepare(lane)])
        except InputError as error:
            for lane in self.lanes:
                lane.error = lane.error or str(error)
        finally:
            self.ended = True

    def _prepare(self, lane: Lane) -> bool:
        try:
            lane.tracker = self._load(self.tracker, inner_optimizer=lane.rule)
        except InputError as error:
            lane.error = str(error)
            return False
        return True

    def _follow(self, lanes: list[Lane]) -> None:
        frames = itertools.islice(self._video.frames(), _MOST_FRAMES)
        starts = {0: {"1": self._box}}
        copies = itertools.tee(frames, len(lanes) + 1)
        each = [
            follow(lane.tracker, copy, starts) for lane, copy in zip(lanes, copies, strict=False)
        ]
        for frame in copies[-1]:
            for lane, followed in zip(lanes, each, strict=True):
                if self._stopped.is_set():
                    return
                before = time.perf_counter()
                _, rows = next(followed)
                lane.rows += rows
                lane.seconds.append(round(time.perf_counter() - before, 5))
                if frame.number == 0:
                    lane.losses = self._losses(lane.tracker, frame.pixels, self._box)
            self.pictures.append(picture(frame.pixels))


def open_video(path: pathlib.Path) -> tuple[Video, dict[str, Any]]:
    """A video, and what the page has to know of it.

    Raises:
        InputError: it cannot be read.
    """
    video = read_video(path)
    height, width = next(iter(video)).shape[:2]
    return video, {"width": width, "height": height, "fps": video.fps, "length": video.length}


def picture(pixels: np.ndarray) -> bytes:
    """A frame as JPEG, no larger than a page shows it."""
    image = Image.fromarray(pixels)
    image.thumbnail((_LONGEST, _LONGEST))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _plain(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None
