"""What DiMP carries from frame to frame."""

from typing import NamedTuple

from flax import struct
from jaxtyping import Array, Float, Int, PyTree

from models import Features
from tracking_tasks.memory import SampleMemory
from tracking_tasks.trackers.dimp.iou import Reference
from tracking_tasks.trackers.dimp.localization import LookAlike
from tracking_tasks.trackers.scale_filter import ScaleFilter


class Seen(NamedTuple):
    """What is seen of a frame at one scale.

    Attributes:
        scale: factor of the search region.
        levels: of the backbone.
        features: of the head.
        scores: the filter's response.
    """

    scale: Float[Array, ""]
    levels: Features
    features: Float[Array, "h w c"]
    scores: Float[Array, "h w"]


class DiMPState(struct.PyTreeNode):
    """The online state.

    Attributes:
        center: x, y of the target in frame pixels.
        size: its width and height in frame pixels.
        min_size: lower bound of the size, in frame pixels.
        max_size: upper bound, if that is more than the picture.
        target_filter: the inner parameters.
        rule_state: the state of the inner optimizer.
        reference: what the overlap is predicted from; None in a search over scales.
        scale_filter: finds the size, too; None where it is not enabled.
        memory: samples with `features` and `centers` (in cells).
        frames: number of frames since the first.
        usual_score: that the target has while it is there; 0 until the second frame.
        look_alike: what looks like it, in frame pixels.
    """

    center: Float[Array, "2"]
    size: Float[Array, "2"]
    min_size: Float[Array, "2"]
    max_size: Float[Array, "2"]
    target_filter: Float[Array, "k k c"]
    rule_state: PyTree
    reference: Reference | None
    scale_filter: ScaleFilter | None
    memory: SampleMemory
    frames: Int[Array, ""]
    usual_score: Float[Array, ""]
    look_alike: LookAlike
