"""Visual object trackers as instantiations of one idea: an inner loop that fits to the target.

tracker = tracking_tasks.load("dimp")
tracker.init(image, box)                    # uint8 (H, W, 3) RGB; x, y, w, h in pixels, 0-based
prediction = tracker.update(next_image)     # .box, .score, .present
"""

import importlib
import importlib.util
import pathlib
from typing import TYPE_CHECKING, Any

_HOME = pathlib.Path(__file__).parents[1]
for _name in ("basics", "models"):
    _spec = importlib.util.find_spec(_name)
    _origin = pathlib.Path((_spec and _spec.origin) or _name)
    if _HOME not in _origin.parents:
        raise ImportError(
            f"{_origin} stands in the way of the package {_name!r} in {_HOME}: rename it, "
            "or run Python from another folder."
        )

from basics.errors import InputError as InputError  # noqa: E402 - after the look at whose it is

if TYPE_CHECKING:
    from tracking_tasks import evaluation as evaluation
    from tracking_tasks import trackers as trackers
    from tracking_tasks.online import MultiTracker as MultiTracker
    from tracking_tasks.online import OnlineTracker as OnlineTracker
    from tracking_tasks.online import load as load
    from tracking_tasks.online import shipped_weights as shipped_weights
    from tracking_tasks.trackers import TRACKERS as TRACKERS

# Imported when they are asked for (PEP 562): who reads data or scores needs no tracker.
_HOMES = {
    "MultiTracker": "online",
    "OnlineTracker": "online",
    "load": "online",
    "shipped_weights": "online",
    "TRACKERS": "trackers",
}
_PACKAGES = ("evaluation", "trackers")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"tracking_tasks.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"tracking_tasks.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_PACKAGES})
