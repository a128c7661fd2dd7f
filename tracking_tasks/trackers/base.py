"""What every tracker is: an outer loss for meta-training, and two pure functions for tracking."""

import abc
import types
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PyTree

import metaopt
from models import Backbone, EfficientNetLite0
from tracking_tasks import crops
from tracking_tasks.episode import Episode, EpisodeConfig, Frame, Prediction

_Tracker = TypeVar("_Tracker", bound="Tracker")  # `typing.Self` is not for functions, in beartype


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
