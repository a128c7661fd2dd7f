"""Our trackers in the experiments of the got10k toolkit (the extra `toolkits` installs it).

from got10k.experiments import ExperimentGOT10k

tracker = Got10kTracker(tracking_tasks.load("dimp"))
ExperimentGOT10k("GOT-10k", subset="val").run(tracker)
"""

import numpy as np
from got10k.trackers import Tracker as Base
from jaxtyping import Float
from numpy.typing import ArrayLike
from PIL import Image

from tracking_tasks.evaluation.one_pass import Tracker


class Got10kTracker(Base):
    """One of our trackers as one of the toolkit's.

    Args:
        tracker: what `tracking_tasks.load` returns, or anything like it.
        name: under which the toolkit files its results; by default the tracker's own.
        first_pixel: what the data set calls the first pixel: 0 in GOT-10k, 1 in OTB and LaSOT,
            whose boxes the toolkit hands over as they are.
    """

    def __init__(self, tracker: Tracker, name: str | None = None, first_pixel: int = 0) -> None:
        super().__init__(name or getattr(tracker, "name", "tracker"), is_deterministic=True)
        self._tracker = tracker
        self._offset = np.array([first_pixel, first_pixel, 0, 0])

    def init(self, image: Image.Image, box: ArrayLike) -> None:
        self._tracker.init(np.asarray(image), np.asarray(box, np.float64) - self._offset)

    def update(self, image: Image.Image) -> Float[np.ndarray, "4"]:
        box = self._tracker.update(np.asarray(image)).box
        return np.asarray(box, np.float64) + self._offset
