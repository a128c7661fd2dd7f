"""Names that constants and parts had before: checkpoints and flag files may still use them.

A name is written as that of a flag is: tracker, part, constant, with dots between.
"""

import functools
from collections.abc import Mapping
from typing import Any

from basics.errors import InputError

# What checkpoints of format 1 call otherwise. A part stands before what it holds.
RENAMED: Mapping[str, str] = {
    "dimp.hard_negative_rate": "dimp.hard_negative_lr",
    "dimp.initial_rate": "dimp.initial_lr",
    "dimp.least_inside": "dimp.min_inside",
    "dimp.localization.not_found": "dimp.localization.lost_threshold",
    "dimp.loss.smallest_regularization": "dimp.loss.min_regularization",
    "dimp.maximizer": "dimp.refiner",
    "dimp.overlap": "dimp.iou",
    "dimp.iou.center_rate": "dimp.iou.center_lr",
    "dimp.iou.largest_aspect": "dimp.iou.max_aspect",
    "dimp.iou.largest_change": "dimp.iou.max_change",
    "dimp.iou.least_overlap": "dimp.iou.min_overlap",
    "dimp.iou.size_rate": "dimp.iou.size_lr",
    "dimp.scale_rate": "dimp.scale_lr",
    "dslt.initial_rate": "dslt.initial_lr",
    "dslt.least_inside": "dslt.min_inside",
    "dslt.least_score": "dslt.lost_threshold",
    "dslt.least_trusted": "dslt.update_threshold",
    "dslt.online_rate": "dslt.online_lr_factor",
    "dslt.paper_rate": "dslt.paper_lr",
    "dslt.scale_above": "dslt.scale_threshold",
    "dslt.scale_rate": "dslt.scale_lr",
    "dslt.usual_rate": "dslt.usual_lr",
    "gradnet.gradient_scale": "gradnet.loss_scale",
    "gradnet.initial_rate": "gradnet.initial_lr",
    "gradnet.least_inside": "gradnet.min_inside",
    "gradnet.reliable": "gradnet.update_threshold",
    "gradnet.scale_rate": "gradnet.scale_lr",
    "gradnet.update_rate": "gradnet.update_lr",
    "gradnet.window": "gradnet.window_influence",
    "meta_rtt.clearly_present": "meta_rtt.update_threshold",
    "meta_rtt.initial_rate": "meta_rtt.initial_lr",
    "meta_rtt.least_inside": "meta_rtt.min_inside",
    "meta_rtt.present": "meta_rtt.lost_threshold",
    "meta_rtt.reference_rate": "meta_rtt.reference_lr",
    "meta_rtt.size_rate": "meta_rtt.size_lr",
    "roam.found_again": "roam.redetection_threshold",
    "roam.initial_rate": "roam.initial_lr",
    "roam.least_inside": "roam.min_inside",
    "roam.model.largest_log": "roam.model.max_log",
    "roam.model.least_error": "roam.model.min_error",
    "roam.present": "roam.lost_threshold",
    "roam.search.loose_motion": "roam.search.lost_motion",
    "roam.search.size_rate": "roam.search.size_lr",
    "roam.smallest": "roam.min_size",
}

# Constants that are gone, and the value that they always have now.
RETIRED: Mapping[str, Any] = {
    "meta_rtt.training": "episodes",  # the other ways are outer losses of the tables' own
    "meta_rtt.domain_steps": 10,
    "meta_rtt.sparsity": 0.01,
}


def current(name: str) -> str:
    """The name of today of what a checkpoint of format 1 or an old flag calls `name`."""
    for old, new in RENAMED.items():
        name = _replaced(name, old, new)
    return name


@functools.cache  # each program asks it of every constant
def former(name: str) -> str:
    """The name that checkpoints of format 1 have for what `name` is today."""
    for old, new in reversed(list(RENAMED.items())):
        name = _replaced(name, new, old)
    return name


def current_constants(tracker: str, constants: Mapping[str, Any]) -> dict[str, Any]:
    """The nested constants of a checkpoint of format 1 under the names of today.

    Args:
        tracker: its name.
        constants: by their old names; parts are mappings.

    Raises:
        InputError: if a constant that is gone has a value that nothing stands for today.
    """
    renamed: dict[str, Any] = {}
    for old, value in _flat(tracker, constants).items():
        if old not in RETIRED:
            *parts, name = current(old).split(".")[1:]
            part = renamed
            for each in parts:
                part = part.setdefault(each, {})
            part[name] = value
        elif value != RETIRED[old]:
            raise InputError(
                f"{old}={value}: this constant is gone, and always {RETIRED[old]} now; train again"
            )
    return renamed


def _replaced(name: str, old: str, new: str) -> str:
    inside = name == old or name.startswith(f"{old}.")
    return new + name.removeprefix(old) if inside else name


def _flat(prefix: str, constants: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in constants.items():
        path = f"{prefix}.{name}"
        flat |= _flat(path, value) if isinstance(value, Mapping) else {path: value}
    return flat
