"""DSLT: filters on two fused feature levels, regressed to a soft label with the shrinkage loss.

Lu, Ma, Ni, Yang, Reid, Yang, "Deep Regression Tracking with Shrinkage Loss", ECCV 2018.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PyTree

import metaopt
from models import Backbone, Features
from models.heads.filter_head import align
from models.heads.regression_head import Levels, RegressionHead
from tracking_tasks import augmentation, boxes, labels
from tracking_tasks.episode import Episode, Frame, Prediction
from tracking_tasks.peaks import search_scales
from tracking_tasks.trackers import scale_filter
from tracking_tasks.trackers.base import Adaptation
from tracking_tasks.trackers.dslt.config import DSLTConfig as DSLTConfig
from tracking_tasks.trackers.dslt.objective import MapsOf, RegressionSamples
from tracking_tasks.trackers.registry import register
from tracking_tasks.trackers.scale_filter import ScaleFilter
from tracking_tasks.trackers.scale_search import ScaleSearch, SeenPeak


class DSLTState(struct.PyTreeNode):
    """The online state.

    Attributes:
        center: x, y of the target in frame pixels.
        size: its width and height in frame pixels.
        min_size: lower bound of the size, in frame pixels.
        max_size: upper bound, if that is more than the picture.
        head: the inner parameters.
        rule_state: the state of the inner optimizer.
        memory: samples of the first frame, in slot 0, and of the latest ones: the maps that the
            filters work on, and where the target is in them.
        scale_filter: finds the size, too; None where it is not enabled.
        usual: moving average of the scores.
        trusted: whether the latest score was not far below it.
        frames: number of frames since the first.
        init_steps: steps taken on the first frame.
        update_steps: steps taken since, together.
    """

    center: Float[Array, "2"]
    size: Float[Array, "2"]
    min_size: Float[Array, "2"]
    max_size: Float[Array, "2"]
    head: RegressionHead
    rule_state: PyTree
    memory: RegressionSamples
    scale_filter: ScaleFilter | None
    usual: Float[Array, ""]
    trusted: Bool[Array, ""]
    frames: Int[Array, ""]
    init_steps: Int[Array, ""]
    update_steps: Int[Array, ""]


@register
class DSLT(ScaleSearch):
    """See the module; `initial` is meta-trained together with the inner optimizer.

    A hand-designed rule runs until it has converged, a learned one for the number of steps it was
    made for.
    """

    name: ClassVar[str] = "dslt"
    config_type: ClassVar[type] = DSLTConfig
    default_rule: ClassVar[str] = "adam"
    adapted: ClassVar[tuple[str, ...]] = ("head", "rule_state", "update_steps")

    initial: RegressionHead

    @classmethod
    def _create(cls, rule: str, config: DSLTConfig, backbone: Backbone) -> "DSLT":
        initial = RegressionHead.create(
            jax.random.key(0), backbone.channels, config.channels, config.filter_size, config.fusion
        )
        rate = config.paper_lr if rule == cls.default_rule else config.initial_lr
        return cls(
            config=config,
            backbone=backbone,
            optimizer=metaopt.optimizers.make(rule, initial, steps=config.train_steps, rate=rate),
            initial=initial,
        )

    def levels(self, images: Float[Array, "n s s 3"] | Features) -> Levels:
        """Both levels, at the finer resolution, of square crops or of what the backbone sees."""
        return align(self.seen(images), self.backbone.grid)

    def maps(self, head: RegressionHead, levels: Levels) -> Float[Array, "n h w m"]:
        """What the filters work on."""
        return head.maps(levels, self.config.fusion)

    def adapt(self, episode: Episode, steps: int) -> Adaptation:
        """The query losses are those of the same regression on the query."""
        support, query = self.episode_samples(episode)
        regression = self.config.regression

        def query_loss(head: RegressionHead) -> Float[Array, ""]:
            response = head.response(self.maps(head, query.features), query.target)
            return regression.data_loss(response, query)

        result = metaopt.fit(
            self.optimizer, regression.objective(self.maps), self.initial, support, steps=steps,
            adjoint=metaopt.Unrolled(remat=False), observe=query_loss,
        )  # fmt: skip
        return Adaptation(result.losses, result.observed)

    def episode_samples(self, episode: Episode) -> tuple[RegressionSamples, RegressionSamples]:
        """What is fitted to, and what it is judged on; the target has its size in the support."""
        support, query = map(self.levels, self.seen_in(episode))
        size = episode.support_weights @ episode.support_boxes[:, 2:]
        target = self.config.target_shape(jnp.maximum(size, 1.0))
        cells = lambda where: self.backbone.grid.to_cells(boxes.center(where))
        return (
            RegressionSamples(
                support, cells(episode.support_boxes), episode.support_weights, target
            ),
            RegressionSamples(query, cells(episode.query_boxes), episode.query_weights, target),
        )

    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The query loss after the last step."""
        adaptation = self.adapt(episode, self.config.train_steps)
        metrics = {
            "query_loss_initial": adaptation.query_losses[0],
            "query_loss_final": adaptation.query_losses[-1],
            "inner_loss_final": adaptation.inner_losses[-1],
        }
        return adaptation.query_losses[-1], metrics

    def first_samples(self, frame: Frame, box: Float[Array, "4"]) -> RegressionSamples:
        """The levels of the first frame, seen in several ways; the untouched one first."""
        config = self.config
        images, offsets = augmentation.first_frame_samples(
            frame.pixels, frame.extent, boxes.center(box), self.search_side(box[2:]),
            config.crop_size, config.first_frame,
        )  # fmt: skip
        n = len(images)
        centers = self.backbone.grid.to_cells(config.crop_size / 2 + offsets)
        target = config.target_shape(box[2:])
        return RegressionSamples(self.levels(images), centers, jnp.full(n, 1 / n), target)

    def first_fit(self, samples: RegressionSamples) -> metaopt.ConvergedFit:
        """Fits to the samples of the first frame."""
        config, learned = self.config, self.optimizer.learned
        max_steps = config.train_steps if learned else config.init_steps
        return self._fit(self.optimizer, self.maps, self.initial, samples, max_steps)

    def init(self, frame: Frame, box: Float[Array, "4"]) -> DSLTState:
        config = self.config
        samples = self.first_samples(frame, box)
        fitted = self.first_fit(samples)
        slots = config.memory_size
        first = self.maps(fitted.params, tuple(level[:1] for level in samples.features))
        return DSLTState(
            center=boxes.center(box),
            size=box[2:],
            min_size=box[2:] / 10,
            max_size=box[2:],
            head=fitted.params,
            rule_state=fitted.state,
            memory=RegressionSamples(
                jnp.repeat(first, slots, 0),
                jnp.repeat(samples.centers[:1], slots, 0),
                jnp.full(slots, (1 - config.first_share) / (slots - 1))
                .at[0]
                .set(config.first_share),
                samples.target,
            ),
            scale_filter=scale_filter.create(config.scale_filter, frame, box),
            usual=jnp.asarray(1 - config.converged_error, jnp.float32),
            trusted=jnp.array(True),
            frames=jnp.zeros((), jnp.int32),
            init_steps=fitted.steps,
            update_steps=jnp.zeros((), jnp.int32),
        )

    def look(
        self,
        state: DSLTState,
        levels: Features,
        scales: Float[Array, " n"],
        counts: Bool[Array, " n"],
    ) -> SeenPeak:
        config = self.config
        maps = self.maps(state.head, self.levels(levels))
        responses = state.head.response(maps, state.memory.target)
        _, height, width = responses.shape
        near = labels.elliptic(
            self._middle, state.memory.target, height, width, 0.5 / config.motion_sigma**2
        )
        likely = responses * jnp.where(state.trusted, near, 1.0)
        likely = jnp.where(counts[:, None, None], likely, -jnp.inf)
        best, position, score = search_scales(responses, likely, scales, config.scale_penalty)
        return SeenPeak(scales[best], position, score, maps[best])

    def take(self, state: DSLTState, frame: Frame, seen: SeenPeak) -> tuple[DSLTState, Prediction]:
        config, score = self.config, seen.score
        found = score >= config.lost_threshold
        shift = (seen.position - self._middle) * seen.scale * self._pixels_per_cell(state)
        center = state.center + jnp.where(found, shift, 0.0)
        factor = 1 + config.scale_lr * (seen.scale - 1)
        size = jnp.where(score > config.scale_threshold, state.size * factor, state.size)
        size *= scale_filter.growth(state.scale_filter, frame, center, state.size, found)
        center, size = boxes.bounded(
            center, size, state.min_size, state.max_size, frame.extent, config.min_inside
        )
        trusted = found & (score >= config.update_threshold * state.usual)
        usual = state.usual + config.usual_lr * (score - state.usual)
        fitted = scale_filter.learned(state.scale_filter, frame, center, size, found)
        state = state.replace(
            center=center, size=size, usual=usual, trusted=trusted, scale_filter=fitted
        )
        state = state.replace(frames=state.frames + 1)
        state, undone = self._learn(state, seen.features, seen.position)
        return state, Prediction(boxes.from_center(center, size), score, undone=undone)

    def _learn(
        self,
        state: DSLTState,
        maps: Float[Array, "h w m"],
        position: Float[Array, "2"],
    ) -> tuple[DSLTState, Bool[Array, ""]]:
        """Stores a trusted sample for the oldest but the first, and updates the filters."""
        config, memory = self.config, state.memory
        slot = 1 + (state.frames - 1) % (config.memory_size - 1)
        # Writing the old content back keeps the update in place.
        keep = lambda new, old: old.at[slot].set(jnp.where(state.trusted, new, old[slot]))
        memory = memory.replace(
            features=keep(maps, memory.features), centers=keep(position, memory.centers)
        )
        # The reducers stay as the first frame left them (code): the maps in the memory are theirs.
        given = lambda head, maps: maps
        rule = self.optimizer.with_scaled_rate(config.online_lr_factor)
        steps = config.learned_update_steps if rule.learned else config.update_steps

        def update(before: dict[str, PyTree]) -> dict[str, PyTree]:
            head, taken = before["head"], before["update_steps"]
            fitted = self._fit(rule, given, head, memory, steps, before["rule_state"])
            return {
                "head": head.replace(filters=fitted.params.filters),
                "rule_state": fitted.state,
                "update_steps": taken + fitted.steps,
            }

        return self.learned(state.replace(memory=memory), state.trusted, update)

    def _fit(
        self,
        rule: metaopt.InnerOptimizer,
        maps: MapsOf,
        head: RegressionHead,
        samples: RegressionSamples,
        max_steps: int,
        state: PyTree = None,
    ) -> metaopt.ConvergedFit:
        """Runs a hand-designed rule until it has converged, any other for all its steps."""
        regression = self.config.regression

        def converged(head: RegressionHead) -> Bool[Array, ""]:
            if rule.learned:
                return jnp.array(False)
            response = head.response(maps(head, samples.features), samples.target)
            return regression.max_error(response, samples) < self.config.converged_error

        return metaopt.fit_until(
            rule, regression.objective(maps), head, samples, converged=converged,
            max_steps=max_steps, state=state,
        )  # fmt: skip
