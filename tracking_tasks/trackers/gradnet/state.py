"""What GradNet sees in an episode, and what it knows online."""

from flax import struct
from jaxtyping import Array, Float, Int, PyTree

from tracking_tasks.trackers.gradnet.loss import SearchSamples
from tracking_tasks.trackers.scale_filter import ScaleFilter


class TemplateTask(struct.PyTreeNode):
    """What there is to see in an episode.

    Attributes:
        exemplar: the initial params.
        support: search regions to fit to.
        query: search regions to be judged on.
    """

    exemplar: Float[Array, "*batch e e c8"]
    support: SearchSamples
    query: SearchSamples


class Reliable(struct.PyTreeNode):
    """The frame to learn from: the one of the highest score since the last update.

    Attributes:
        features: what the backbone saw.
        center: x, y of the target in it, in cells.
        score: of the target; 0 if there was no reliable frame.
    """

    features: Float[Array, "h w c"]
    center: Float[Array, "2"]
    score: Float[Array, ""]


class GradNetState(struct.PyTreeNode):
    """The online state.

    Attributes:
        center: x, y of the target in frame pixels.
        size: its width and height in frame pixels.
        min_size: lower bound of the size, in frame pixels.
        max_size: upper bound, if that is more than the picture.
        first: the inner params before the first fit.
        first_seen: the first frame's search region.
        exemplar: the inner params.
        rule_state: the state of the inner optimizer.
        initial: the template of the first frame.
        template: what is searched for.
        min_score: the score from which a frame is reliable.
        newest: the frame to learn from.
        scale_filter: finds the size, too; None where it is not enabled.
        frames: number of frames since the first.
    """

    center: Float[Array, "2"]
    size: Float[Array, "2"]
    min_size: Float[Array, "2"]
    max_size: Float[Array, "2"]
    first: Float[Array, "e e c8"]
    first_seen: SearchSamples
    exemplar: Float[Array, "e e c8"]
    rule_state: PyTree
    initial: Float[Array, "k k c"]
    template: Float[Array, "k k c"]
    min_score: Float[Array, ""]
    newest: Reliable
    scale_filter: ScaleFilter | None
    frames: Int[Array, ""]
