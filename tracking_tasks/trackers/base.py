"""What every tracker is: an outer loss for meta-training, and two pure functions for tracking."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, PyTree

import metaopt
from models import Backbone, EfficientNetLite0, Features
from models.backbone import STRIDE
from tracking_tasks import boxes, crops
from tracking_tasks.episode import Episode, EpisodeConfig, Frame, Prediction
from tracking_tasks.trackers.ranges import require_in_range
from tracking_tasks.trackers.soundness import contrast, where_due

# `typing.Self` is not for functions, in beartype.
_Tracker = TypeVar("_Tracker", bound="Tracker")
_Config = TypeVar("_Config", bound="TrackerConfig")

_BLANK = 1.0  # grey levels: a search region that varies less shows nothing


@dataclasses.dataclass(frozen=True)
class TrackerConfig:
    """The constants that every tracker has; each adds its own, and says where a value is from.

    Attributes:
        inner_steps: names of the constants that are numbers of inner steps, which a comparison on
            equal operations scales.
        crop_size: side of the search region in pixels, a multiple of 16.
        search_factor: side of the search region in square roots of the target's area.
        train_steps: inner steps of the fit in meta-training.
        initial_lr: step length from which rules start.
        min_inside: share of the box that is kept inside the frame.
        present_score: a score below says that the target is lost, hidden or away
            (experiments.presence on training videos: the least mean of both kinds of mistake).
        present_share: if not 0, the same in the place of it for a score in square roots of the
            usual one, which such a tracker keeps (see `usual_score`; likewise).
        found_again_score: a score from which a target is found elsewhere; a hundredth of the frames
            without it has so much (likewise).
        found_again_share: if not 0, the share of the usual score from which a target is found
            elsewhere, in a tracker that keeps it; it is gone below half of that score (here).
        redetect: look for an absent target all over the frame, see `online.redetection` (here).
        redetect_patience: frames that a target is gone before it is looked for elsewhere.
        redetect_places: that are looked at in a frame.
        redetect_spacing: of those places, in sides of the search region.
    """

    inner_steps: ClassVar[tuple[str, ...]] = ("train_steps",)

    crop_size: int = 192
    search_factor: float = 5.0
    train_steps: int = 5
    initial_lr: float = 0.1
    min_inside: float = 0.2
    present_score: float = 0.5
    present_share: float = 0.0
    found_again_score: float = 0.9
    found_again_share: float = 0.0
    redetect: bool = False
    redetect_patience: int = 3
    redetect_places: int = 2
    redetect_spacing: float = 0.4

    def __post_init__(self) -> None:
        """Raises InputError if a constant has a value that cannot be meant."""
        require_in_range(self)

    @classmethod
    def small(cls: type[_Config]) -> _Config:
        """Sizes for tests: a tracker that compiles in seconds and follows a plain target."""
        return cls()

    @property
    def target_cells(self) -> float:
        """Square root of the target's area on the grid, in cells."""
        return self.crop_size / self.search_factor / STRIDE

    def target_shape(self, size: Float[Array, "*batch 2"]) -> Float[Array, "*batch 2"]:
        """Width and height in cells of a target of that shape in a search region of its own."""
        return size / jnp.sqrt(jnp.prod(size, -1, keepdims=True)) * self.target_cells


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
    config_type: ClassVar[type[TrackerConfig]]
    default_rule: ClassVar[str]
    # The fields that hold inner optimizers; what `optimizer` is made by makes the others, too.
    optimizers: ClassVar[tuple[str, ...]] = ("optimizer",)
    # The fields of the online state that `learned` changes, together.
    adapted: ClassVar[tuple[str, ...]] = ()

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
    def blank(
        cls: type[_Tracker],
        rule: str | None = None,
        config: Any = None,
        backbone: Backbone | None = None,
    ) -> _Tracker:
        """`create` with zeros in all leaves but the backbone's, for the numbers of a checkpoint.

        Random numbers that nobody uses take seconds: each shape of them is compiled. A tracker
        whose making needs to see them is made as ever.
        """
        backbone = backbone or EfficientNetLite0.pretrained()
        structures = []

        def leaves() -> list[Array]:
            found, structure = jax.tree.flatten(
                cls.create(rule, config, backbone).replace(backbone=None)
            )
            structures.append(structure)
            return found

        try:
            shapes = jax.eval_shape(leaves)
        except (jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError):
            return cls.create(rule, config, backbone)
        zeros = [jax.device_put(np.zeros(x.shape, x.dtype)) for x in shapes]
        return jax.tree.unflatten(structures[0], zeros).replace(backbone=backbone)

    @classmethod
    @abc.abstractmethod
    def _create(cls: type[_Tracker], rule: str, config: Any, backbone: Backbone) -> _Tracker:
        """`create`, with everything given."""

    def seen(self, images: Float[Array, "n s s 3"] | Features) -> Features:
        """What the backbone sees in images; the images of an episode may be features already."""
        return images if isinstance(images, Features) else self.backbone(images)

    def seen_in(self, episode: Episode) -> tuple[Features, Features]:
        """What the backbone sees in the support and in the query, both at once."""
        n = len(episode.support_weights)
        together = lambda *parts: jnp.concatenate(parts)
        both = jax.tree.map(together, episode.support_images, episode.query_images)
        levels = self.seen(both)
        return Features(*(x[:n] for x in levels)), Features(*(x[n:] for x in levels))

    def search_side(self, size: Float[Array, "2"]) -> Float[Array, ""]:
        """The side in frame pixels of the search region of a target of that width and height."""
        return self.config.search_factor * jnp.sqrt(size[0] * size[1])

    def search_regions(
        self, frame: Frame, center: Float[Array, "2"], sides: Float[Array, " n"]
    ) -> Float[Array, "n s s 3"]:
        """The squares of those sides around a point, all in frame pixels, as crops."""
        cut = lambda side: crops.crop(
            frame.pixels, frame.extent, center, side, self.config.crop_size
        )
        return jax.vmap(cut)(sides)

    @property
    def episode_config(self) -> EpisodeConfig:
        """The episodes that it is meta-trained on."""
        return EpisodeConfig(self.config.crop_size, self.config.search_factor)

    def _centered_episodes(self, **changes: Any) -> EpisodeConfig:
        """Episodes whose support shows the target in the middle, as the first frame does."""
        config = self.config
        cut = EpisodeConfig(
            config.crop_size, config.search_factor, support_shift=0.0, support_scale=0.0
        )
        return dataclasses.replace(cut, **changes)

    @abc.abstractmethod
    def adapt(self, episode: Episode, steps: int) -> Adaptation:
        """Fits to the support by `steps` steps, and judges every iterate on the query."""

    def mix(self, episodes: Episode) -> Episode:
        """The tasks that a batch of episodes makes for the outer loss: each its own, by default."""
        return episodes

    @abc.abstractmethod
    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The loss on the query after the fit to the support, and metrics to log."""

    def learned_functions(self) -> dict[str, tuple[Array, Array]]:
        """What of the objective was learned, as curves to plot: name to (x, y); here nothing."""
        return {}

    @abc.abstractmethod
    def init(self, frame: Frame, box: Float[Array, "4"]) -> PyTree:
        """Fits to the target in the first frame; returns the online state."""

    def step(self, state: PyTree, frame: Frame) -> tuple[PyTree, Prediction]:
        """Finds the target in the next frame and learns from it."""
        images = self.search(state, frame)
        seen = self.follow(state, frame, self.backbone(images))
        return self.judged(state, contrast(images), *seen)

    @abc.abstractmethod
    def search(self, state: PyTree, frame: Frame) -> Float[Array, "n s s 3"]:
        """The crops of the next frame that the target is looked for in.

        Apart from what follows, so that one pass of the backbone sees the crops of many targets.
        """

    @abc.abstractmethod
    def follow(self, state: PyTree, frame: Frame, levels: Features) -> tuple[PyTree, Prediction]:
        """Finds the target in what the backbone sees in those crops, and learns from it."""

    def usual_score(self, state: PyTree) -> Float[Array, ""] | None:
        """The score that the target usually has, if the tracker keeps it; 0 for none yet."""
        return None

    def is_present(self, state: PyTree, score: Float[Array, ""]) -> Bool[Array, ""]:
        """Whether a score says that the target is there; the state is that before its frame."""
        return score >= self.config.present_score

    def learned(
        self,
        state: PyTree,
        due: Bool[Array, ""] | bool,
        update: Callable[[dict[str, PyTree]], dict[str, PyTree]],
    ) -> tuple[PyTree, Bool[Array, ""]]:
        """The state after an update of its fields `adapted`, and whether that was undone.

        They stay as they were where none is due, and where one is not finite.

        Args:
            state: the online state.
            due: whether there is an update.
            update: makes those fields, by name, of what they were.
        """
        before = {name: getattr(state, name) for name in self.adapted}
        after, undone = where_due(due, update, before)
        return state.replace(**after), undone

    def judged(
        self, before: PyTree, shown: Float[Array, ""], state: PyTree, prediction: Prediction
    ) -> tuple[PyTree, Prediction]:
        """The end of a step: whether the target is there.

        In a picture of one colour (a lens cap, a fade) nothing is seen, whatever a model makes of
        it: the target stays where it was, score 0. So it does where a response is not finite.

        Args:
            before: the state before the step.
            shown: the contrast of what `search` returned.
            state: what `follow` returned, like the prediction.
            prediction: likewise.
        """
        blank = shown < _BLANK
        blank |= ~(jnp.isfinite(prediction.box).all() & jnp.isfinite(prediction.score))
        center = jnp.where(blank, before.center, state.center)
        size = jnp.where(blank, before.size, state.size)
        box = jnp.where(blank, boxes.from_center(before.center, before.size), prediction.box)
        score = jnp.where(blank, 0.0, prediction.score)
        present = self.is_present(before, score)
        state = state.replace(center=center, size=size)
        return state, prediction._replace(box=box, score=score, present=present)
