"""ROAM and ROAM++: resizable filters, fitted in one or two steps by a recurrent optimizer.

Yang, Xu, Hu, Chai, Chan, "ROAM: Recurrently Optimizing Tracking Model", CVPR 2020.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

import metaopt
from models import Backbone, Features
from models.heads.filter_head import fuse
from tracking_tasks import augmentation, boxes
from tracking_tasks.episode import Episode, EpisodeConfig, Frame, Prediction
from tracking_tasks.memory import RecentSamples
from tracking_tasks.trackers import scale_filter
from tracking_tasks.trackers.base import Adaptation
from tracking_tasks.trackers.registry import register
from tracking_tasks.trackers.roam import clips
from tracking_tasks.trackers.roam import model as resizable
from tracking_tasks.trackers.roam.clips import ClipSamples, Updates
from tracking_tasks.trackers.roam.config import ROAMConfig
from tracking_tasks.trackers.roam.model import ResizableModel, ResizableSamples
from tracking_tasks.trackers.roam.search import Past, search
from tracking_tasks.trackers.roam.state import ROAMState, Sample, Seen
from tracking_tasks.trackers.scale_search import ScaleSearch


@register
class ROAM(ScaleSearch):
    """See the module; `initial` is meta-trained together with the inner optimizer."""

    name: ClassVar[str] = "roam"
    config_type: ClassVar[type] = ROAMConfig
    default_rule: ClassVar[str] = "lstm"
    adapted: ClassVar[tuple[str, ...]] = ("model", "rule_state", "target", "reference")

    initial: ResizableModel

    @classmethod
    def _create(cls, rule: str, config: ROAMConfig, backbone: Backbone) -> "ROAM":
        initial = ResizableModel.create(jax.random.key(0), sum(backbone.channels), config.model)
        return cls(
            config=config,
            backbone=backbone,
            optimizer=metaopt.optimizers.make(rule, initial, steps=2, rate=config.initial_lr),
            initial=initial,
        )

    @property
    def episode_config(self) -> EpisodeConfig:
        """A clip: stretched patches of its first frame, then blocks of later frames."""
        config = self.config
        return self._centered_episodes(
            support=1,
            query=config.blocks * config.block,
            segment=config.clip,
            in_order=True,
            views=config.views,
            query_shift=config.clip_shift,
            query_scale=config.clip_scale,
            query_stretch=config.clip_stretch,
        )

    def features(self, images: Float[Array, "n s s 3"] | Features) -> Float[Array, "n h w c"]:
        """Fused features of square crops, or of what the backbone sees in them."""
        return fuse(self.seen(images), self.backbone.grid)

    def fit(
        self, rule: metaopt.InnerOptimizer, model: ResizableModel, **options
    ) -> metaopt.FitResult:
        """The inner loop: `metaopt.fit` of the model."""
        return metaopt.fit(rule, resizable.objective(self.config.model), model, **options)

    def clip(self, episode: Episode) -> ClipSamples:
        """What is to be seen in an episode."""
        config = self.config
        return clips.from_episode(
            episode, self.backbone.grid, self.features, config.target_shape, config.blocks
        )

    def adapt(self, episode: Episode, steps: int) -> Adaptation:
        """Fits to the first frame; the query losses are the same loss on the first block."""
        clip = self.clip(episode)
        first = clip.first
        query = jax.tree.map(lambda leaf: leaf[0], clip.blocks).replace(target=first.target)
        loss = resizable.objective(self.config.model).loss
        observe = lambda model: loss(model, query)
        result = self.fit(self.optimizer, self.initial, batch=first, steps=steps, observe=observe)
        return Adaptation(result.losses, result.observed)

    def updates(self, clip: ClipSamples) -> Updates:
        """Fits to the first frame, and then once to every block but the last."""
        config = self.config
        start = self.fit(self.optimizer, self.initial, batch=clip.first, steps=config.train_steps)
        models = jax.tree.map(lambda leaf: leaf[None], start.params)
        if config.blocks == 1:
            return Updates(models, start.losses[:1], start.losses[-1])
        scaling_key, _ = jax.random.split(clip.key)
        truncated = config.adjoint == "truncated"
        seen = jax.tree.map(lambda leaf: leaf[:-1], clip.blocks)
        if config.simulation == "estimated":
            found = clips.estimated_boxes(
                config.model, config.search, start.params, clip.first, seen
            )
            seen = seen.replace(boxes=found, target=config.target_shape(found[:, -1, 2:]))
        later = self.fit(
            self._scaled(scaling_key),
            jax.lax.stop_gradient(start.params) if truncated else start.params,
            batches=clips.beside_first(
                config.first_share, clip.first.features[0], clip.first.boxes[0], seen
            ),
            steps=config.blocks - 1,
            state=start.state,
            adjoint=metaopt.Truncated(1, detach_state=False) if truncated else metaopt.Unrolled(),
            observe=lambda model: model,
        )
        models = jax.tree.map(
            lambda one, rest: jnp.concatenate([one, rest[1:]]), models, later.observed
        )
        losses = jnp.concatenate([start.losses[:1], later.losses[:-1]])
        return Updates(models, losses, start.losses[-1])

    def future_losses(self, models: ResizableModel, clip: ClipSamples) -> Float[Array, " blocks"]:
        """The loss of each update's model on random frames of the next block (paper, eq. 13)."""
        _, future_key = jax.random.split(clip.key)
        loss = resizable.objective(self.config.model).loss
        frames = clips.random_frames(future_key, clip, self.config.future)
        return jax.vmap(loss)(models, frames)

    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The mean of `future_losses` over updates (paper, eq. 14)."""
        clip = self.clip(episode)
        updates = self.updates(clip)
        losses = self.future_losses(updates.models, clip)
        metrics = {
            "query_loss_first": losses[0],
            "query_loss_last": losses[-1],
            "inner_loss_initial": updates.losses[0],
            "inner_loss_final": updates.first_loss,
        }
        return losses.mean(), metrics

    def _scaled(self, key: Array) -> metaopt.InnerOptimizer:
        """The rule under random filter scaling, from the second update on.

        Only a rule that reads magnitudes can adapt to them; learned rates would have to suit all.
        """
        response, regression = self.config.scaling
        if not self.optimizer.reads_magnitudes or not response + regression:
            return self.optimizer
        ranges = ResizableModel(response, regression)
        return metaopt.RandomScaling(self.optimizer, self.initial, key, ranges)

    def init(self, frame: Frame, box: Float[Array, "4"]) -> ROAMState:
        config = self.config
        center, size = boxes.center(box), box[2:]
        side = self.search_side(size)
        images = augmentation.stretched_samples(
            frame.pixels, frame.extent, center, side, config.crop_size, config.views
        )
        features = self.features(images)
        n = len(features)
        middle = jnp.full((n, 2), config.crop_size / 2)
        seen = size * config.crop_size / side * jnp.array(config.views)
        first = ResizableSamples(
            features,
            self.backbone.grid.boxes_to_cells(boxes.from_center(middle, seen)),
            jnp.full(n, 1 / n),
            config.target_shape(size),
        )
        result = self.fit(self.optimizer, self.initial, batch=first, steps=config.train_steps)
        model = result.params
        sample = {"features": features[0], "boxes": first.boxes[0]}
        return ROAMState(
            center=center,
            size=size,
            max_size=size,
            model=model,
            first_model=model,
            rule_state=result.state,
            target=first.target,
            first_target=first.target,
            reference=self._reference(model, model, features[0], first.target),
            lost=jnp.ones((), bool),
            first_sample=sample,
            memory=RecentSamples.create(sample, config.memory_size),
            scale_filter=scale_filter.create(config.scale_filter, frame, box),
            frames=jnp.zeros((), jnp.int32),
        )

    @property
    def scales(self) -> tuple[float, ...]:
        return self.config.search.factors

    @property
    def scale_interval(self) -> int:
        return self.config.search.scale_interval

    def look(
        self,
        state: ROAMState,
        levels: Features,
        scales: Float[Array, " n"],
        counts: Bool[Array, " n"],
    ) -> Seen:
        config = self.config
        features = self.features(levels)
        past = Past(
            self._middle,
            state.size / self._pixels_per_cell(state),
            state.target,
            state.first_target,
            state.lost,
            state.reference,
        )
        both = state.model, state.first_model
        outputs = resizable.mixed_outputs(
            config.model, *both, config.first_response, features, state.target
        )
        found = search(config.model, config.search, outputs, past, scales, counts)
        return Seen(found, scales[found.region], features[found.region])

    def take(self, state: ROAMState, frame: Frame, seen: Seen) -> tuple[ROAMState, Prediction]:
        state, prediction, sample = self.find(state, frame, seen)
        state, undone = self.learn(state, sample)
        return state, prediction._replace(undone=undone)

    def find(
        self, state: ROAMState, frame: Frame, seen: Seen
    ) -> tuple[ROAMState, Prediction, Sample]:
        """As `take`, without learning: it makes a sample of what it saw there instead."""
        config, found = self.config, seen.found
        pixels_per_cell = self._pixels_per_cell(state)
        strength = found.score / state.reference
        present = strength >= config.lost_threshold
        center = state.center + jnp.where(present, found.shift, 0.0) * pixels_per_cell
        size = jnp.where(present, found.size * pixels_per_cell, state.size)
        size *= scale_filter.growth(state.scale_filter, frame, center, state.size, present)
        bounds = jnp.minimum(config.min_size, state.size), state.max_size
        center, size = boxes.bounded(center, size, *bounds, frame.extent, config.min_inside)
        lost = jnp.where(state.lost, strength < config.redetection_threshold, ~present)
        zoom = seen.scale * pixels_per_cell
        box = boxes.from_center(self._middle + (center - state.center) / zoom, size / zoom)
        sample = Sample(seen.features, box, present)
        fitted = scale_filter.learned(state.scale_filter, frame, center, size, present)
        state = state.replace(center=center, size=size, lost=lost, frames=state.frames + 1)
        state = state.replace(scale_filter=fitted)
        return state, Prediction(boxes.from_center(center, size), strength), sample

    def learn(self, state: ROAMState, sample: Sample) -> tuple[ROAMState, Bool[Array, ""]]:
        """Stores a good sample, and updates the model when it is time."""
        config = self.config
        memory = state.memory.store({"features": sample.features, "boxes": sample.box}, sample.good)
        state = state.replace(memory=memory)
        due = (state.frames % config.update_interval == 0) & (memory.stored > 0)
        return self.learned(state, due, lambda before: self.update(state.replace(**before)))

    def update(self, state: ROAMState) -> dict[str, PyTree]:
        """The fields `adapted` after steps on the first frame and on the newest samples.

        The oldest of these come first, and around again if they are few.
        """
        config = self.config
        steps, n = config.update_steps, config.step_samples
        in_steps = lambda leaf: leaf.reshape(steps, n, *leaf.shape[1:])
        target = config.target_shape(state.size)
        samples = ResizableSamples(
            **jax.tree.map(in_steps, state.memory.newest(steps * n)),
            weights=jnp.full((steps, n), 1 / n),
            target=jnp.broadcast_to(target, (steps, 2)),
        )
        samples = clips.beside_first(config.first_share, **state.first_sample, samples=samples)
        result = self.fit(
            self.optimizer, state.model, batches=samples, steps=steps, state=state.rule_state
        )
        first = state.first_sample["features"]
        return {
            "model": result.params,
            "rule_state": result.state,
            "target": target,
            "reference": self._reference(result.params, state.first_model, first, target),
        }

    def _reference(
        self,
        model: ResizableModel,
        first_model: ResizableModel,
        features: Float[Array, "h w c"],
        target: Float[Array, "2"],
    ) -> Float[Array, ""]:
        """The highest response on the first frame."""
        config = self.config
        seen = resizable.mixed_outputs(
            config.model, model, first_model, config.first_response, features[None], target
        )
        return jnp.maximum(seen.response.max(), 1e-3)
