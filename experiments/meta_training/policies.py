"""How each tracker is best meta-trained: what depends on it in the outer loop, not in tracking."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tracking_tasks.trackers import TRACKERS


@dataclasses.dataclass(frozen=True)
class Policy:
    """What the outer loop does with a tracker.

    Attributes:
        in_comparisons: constants that differ where inner optimizers are compared.
        microbatch: the episodes that go through the outer loss together on a CPU, all by
            default.
        clip_elements: the largest element of the outer gradient, before its norm is clipped; any
            by default.
    """

    in_comparisons: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    microbatch: int | None = None
    clip_elements: float | None = None


_POLICIES = {
    "dimp": Policy({"box_estimation": "scale_search"}),
    "dslt": Policy(microbatch=1),
    # What minutes can teach; and a recurrent rule weighs many times the params.
    "meta_rtt": Policy({"channels": 32, "hidden": 64}, microbatch=1),
    # The rule's state is large; the published code clips elements.
    "roam": Policy(microbatch=1, clip_elements=1.0),
}


def policy_of(tracker: str) -> Policy:
    """The policy of a tracker by its name; the default of one that needs none."""
    return _POLICIES.get(tracker, Policy())


def comparison_config(tracker: str, crop_size: int) -> Any:
    """A tracker's constants where inner optimizers are compared, on crops of that side."""
    changes = policy_of(tracker).in_comparisons
    return dataclasses.replace(TRACKERS[tracker].config_type(), crop_size=crop_size, **changes)
