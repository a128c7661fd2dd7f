"""What ROAM knows of its target."""

from typing import NamedTuple

from flax import struct
from jaxtyping import Array, Bool, Float, Int, PyTree

from tracking_tasks.memory import RecentSamples
from tracking_tasks.trackers.roam.model import ResizableModel
from tracking_tasks.trackers.roam.search import Found
from tracking_tasks.trackers.scale_filter import ScaleFilter


class ROAMState(struct.PyTreeNode):
    """The online state.

    Attributes:
        center: x, y of the target in frame pixels.
        size: its width and height in frame pixels.
        max_size: upper bound of the size, if that is more than the picture.
        model: the inner parameters.
        first_model: the same after the first frame.
        rule_state: the state of the inner optimizer.
        target: width and height in cells by which the filters are shaped.
        first_target: the same in the first frame.
        reference: the highest response on the first frame.
        lost: whether the motion map is wide: in the beginning, and after frames without the target.
        first_sample: of the first frame, as in the memory.
        memory: the newest samples: `features`, and `boxes` of the target in them, in cells.
        scale_filter: finds the size, too; None where it is not enabled.
        frames: number of frames since the first.
    """

    center: Float[Array, "2"]
    size: Float[Array, "2"]
    max_size: Float[Array, "2"]
    model: ResizableModel
    first_model: ResizableModel
    rule_state: PyTree
    target: Float[Array, "2"]
    first_target: Float[Array, "2"]
    reference: Float[Array, ""]
    lost: Bool[Array, ""]
    first_sample: dict[str, Array]
    memory: RecentSamples
    scale_filter: ScaleFilter | None
    frames: Int[Array, ""]


class Sample(struct.PyTreeNode):
    """Attributes: features of a search region; the target's box in it, in cells; worth keeping."""

    features: Float[Array, "h w c"]
    box: Float[Array, "4"]
    good: Bool[Array, ""]


class Seen(NamedTuple):
    """What is seen of a frame at one scale.

    Attributes:
        found: where the target is.
        scale: factor of the search region in which it was found.
        features: of that region.
    """

    found: Found
    scale: Float[Array, ""]
    features: Float[Array, "h w c"]
