"""What every tracker is: an outer loss for meta-training, and two pure functions for tracking."""

import abc
import dataclasses
import types
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

import metaopt
from models import Backbone, EfficientNetLite0
from tracking_tasks import crops

_Tracker = TypeVar("_Tracker", bound="Tracker")  # `typing.Self` is not for functions, in beartype


class Frame(NamedTuple):
    """A frame padded to a fixed shape, so that one compiled program serves many frame sizes.

    Attributes:
        pixels: RGB.
        extent: width and height of the picture, which lies in the upper left corner.
    """

    pixels: UInt8[Array, "h w 3"]
    extent: Int[Array, "2"]


class Prediction(NamedTuple):
    """Where the target is.

    Attributes:
        box: x, y, w, h in frame pixels.
        score: about 1 for a clearly seen target.
    """

    box: Float[Array | np.ndarray, "4"]
    score: Float[Array, ""] | float


@dataclasses.dataclass(frozen=True)
class EpisodeConfig:
    """How a tracker wants its episodes cut from videos.

    The defaults are those of Bhat et al. 2019 ("paper"), section 3.6, and its published code.

    Attributes:
        crop_size: side of the crops in pixels.
        search_factor: side of a crop in square roots of the target's area.
        support: support frames, from the first half of a segment (paper: 3).
        query: query frames, from its second half (paper: 3).
        segment: length of a segment in frames (paper: 60).
        in_order: instead, support and then query follow each other at equal distances: a clip.
        views: each support frame is seen in these ways: factors on the target's width and height.
        support_shift, query_shift: largest displacement of a crop from the target along an axis,
            in halves of the square root of the target's area (code: 3 and 4.5; here less, since
            photographs end close to their objects).
        support_scale, query_scale: standard deviation of the natural logarithm of a random factor
            on the side of a crop (code: 0.25 and 0.5; here less, as is met in tracking).
        query_stretch: largest natural logarithm of a random factor on the target's width, and of
            its inverse on the height.
        brightness: largest relative change of a frame's brightness (code: 0.2).
        grayscale: probability that a whole episode is grey (code: 0.05).
        least_visible: a frame that shows less than this share of the target counts for nothing.
    """

    crop_size: int = 192
    search_factor: float = 5.0
    support: int = 3
    query: int = 3
    segment: float = 60.0
    in_order: bool = False
    views: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    support_shift: float = 2.0
    query_shift: float = 3.0
    support_scale: float = 0.15
    query_scale: float = 0.25
    query_stretch: float = 0.0
    brightness: float = 0.2
    grayscale: float = 0.05
    least_visible: float = 0.3


class Episode(struct.PyTreeNode):
    """One simulated task: support samples to fit on and query samples to be judged on.

    A batch of episodes is an Episode whose leaves have a leading axis.

    Attributes:
        support_images: (n, s, s, 3), RGB in 0..255, square crops around the target; or the
            features that the tracker's backbone sees there.
        support_boxes: (n, 4), x, y, w, h in pixels of the crop.
        support_weights: (n,), how much each counts: their sum is 1, or 0 if none shows the target.
        query_images: (m, s, s, 3), of later frames; or likewise.
        query_boxes: (m, 4).
        query_weights: (m,), as the support's.
        key: for what an outer loss draws at random, such as proposals of boxes.
    """

    support_images: PyTree[Float[Array, "..."]]
    support_boxes: Float[Array, "*batch n 4"]
    support_weights: Float[Array, "*batch n"]
    query_images: PyTree[Float[Array, "..."]]
    query_boxes: Float[Array, "*batch m 4"]
    query_weights: Float[Array, "*batch m"]
    key: Key[Array, "*batch"]


class Adaptation(NamedTuple):
    """What a fit on an episode did.

    Attributes:
        inner_losses: the objective on the support, before each step and after the last.
        query_losses: the outer loss on the query, of the same iterates.
    """

    inner_losses: Float[Array, " steps_plus_1"]
    query_losses: Float[Array, " steps_plus_1"]


class Tracker(struct.PyTreeNode):
    """An instantiation: backbone, initial params, objective, inner optimizer, response to box.

    A pytree: `jax.jit`, `vmap` and `grad` take it and its methods directly. `backbone` is set apart
    because it is not meta-trained; all other leaves are meta-parameters.
    """

    name: ClassVar[str]
    config_type: ClassVar[type]
    default_rule: ClassVar[str]
    # The fields that hold inner optimizers; what `optimizer` is made by makes the others, too.
    optimizers: ClassVar[tuple[str, ...]] = ("optimizer",)
    # Constants that differ where inner optimizers are compared.
    in_comparisons: ClassVar[Mapping[str, Any]] = types.MappingProxyType({})
    # Of the outer loop: the episodes that go through the outer loss together on a CPU, all by
    # default; and the largest element of the outer gradient, before its norm is clipped.
    episodes_at_once: ClassVar[int | None] = None
    clip_elements: ClassVar[float | None] = None

    config: Any = struct.field(pytree_node=False)
    backbone: Any
    optimizer: metaopt.InnerOptimizer

    @classmethod
    def create(
        cls: type[_Tracker],
        rule: str | None = None,
        config: Any = None,
        backbone: Backbone | None = None,
    ) -> _Tracker:
        """An untrained tracker with the inner optimizer of that name.

        Args:
            rule: name of a registered inner optimizer; that of the tracker's paper if not given.
            config: the tracker's constants; its defaults if not given.
            backbone: a feature extractor; the default one with pretrained weights if not given.
        """
        return cls._create(
            rule or cls.default_rule,
            config or cls.config_type(),
            backbone or EfficientNetLite0.pretrained(),
        )

    @classmethod
    @abc.abstractmethod
    def _create(cls: type[_Tracker], rule: str, config: Any, backbone: Backbone) -> _Tracker:
        """`create`, with everything given."""

    def search_side(self, size: Float[Array, "2"]) -> Float[Array, ""]:
        """The side in frame pixels of the search region of a target of that width and height."""
        return self.config.search_factor * jnp.sqrt(size[0] * size[1])

    def search_regions(
        self, frame: Frame, center: Float[Array, "2"], sides: Float[Array, " n"]
    ) -> Float[Array, "n s s 3"]:
        """The squares of those sides around a point, all in frame pixels, as crops."""
        # A stack of crops, not a vmap: batched gathers are several times slower on the CPU.
        return jnp.stack(
            [
                crops.crop(frame.pixels, frame.extent, center, side, self.config.crop_size)
                for side in sides
            ]
        )

    @property
    def episode_config(self) -> EpisodeConfig:
        """The episodes that it is meta-trained on."""
        return EpisodeConfig(self.config.crop_size, self.config.search_factor)

    @abc.abstractmethod
    def adapt(self, episode: Episode, steps: int) -> Adaptation:
        """Fits to the support by `steps` steps, and judges every iterate on the query."""

    def mix(self, episodes: Episode) -> Episode:
        """The tasks that a batch of episodes makes for the outer loss: each its own, by default."""
        return episodes

    @abc.abstractmethod
    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The loss on the query after the fit to the support, and metrics to log."""

    @abc.abstractmethod
    def learned_functions(self) -> dict[str, tuple[Array, Array]]:
        """What of the objective was learned, as curves to plot: name to (x, y); may be empty."""

    @abc.abstractmethod
    def init(self, frame: Frame, box: Float[Array, "4"]) -> PyTree:
        """Fits to the target in the first frame; returns the online state."""

    @abc.abstractmethod
    def step(self, state: PyTree, frame: Frame) -> tuple[PyTree, Prediction]:
        """Finds the target in the next frame and learns from it."""
