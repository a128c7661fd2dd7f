"""What MetaRTT knows of its target."""

from flax import struct
from jaxtyping import Array, Bool, Float, Int

from models import MLP
from models.layers.fast_convolutions import PointwiseConv
from tracking_tasks.memory import RecentSamples
from tracking_tasks.trackers.meta_rtt.box_regression import BoxRegressor
from tracking_tasks.trackers.scale_filter import ScaleFilter


class MetaRTTState(struct.PyTreeNode):
    """The online state.

    Attributes:
        center: x, y of the target in frame pixels.
        size: its width and height in frame pixels.
        min_size: lower bound of the size, in frame pixels.
        max_size: upper bound, if that is more than the picture.
        shared: the layer that all boxes of a frame share, as far as it is not pruned.
        first: the inner parameters as the first frame left them.
        classifier: the inner parameters.
        regressor: refines a box.
        scale_filter: finds the size, too; None where it is not enabled.
        first_target: what the classifier sees of the target in the first frame.
        positives, negatives: samples of the newest frames that clearly showed the target.
        lost: whether the latest frame did not.
        frames: number of frames since the first.
    """

    center: Float[Array, "2"]
    size: Float[Array, "2"]
    min_size: Float[Array, "2"]
    max_size: Float[Array, "2"]
    shared: PointwiseConv
    first: MLP
    classifier: MLP
    regressor: BoxRegressor
    scale_filter: ScaleFilter | None
    first_target: Float[Array, " d"]
    positives: RecentSamples
    negatives: RecentSamples
    lost: Bool[Array, ""]
    frames: Int[Array, ""]
