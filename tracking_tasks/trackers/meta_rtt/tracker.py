"""MetaRTT: a classifier of boxes, meta-learned to adapt in a few steps.

Jung, You, Noh, Cho, Han, "Real-Time Object Tracking via Meta-Learning: Efficient Model Adaptation
and One-Shot Channel Pruning", AAAI 2020, on RT-MDNet (Jung, Son, Baek, Han, "Real-Time MDNet",
ECCV 2018).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

import metaopt
from models import MLP, Backbone, Features
from models.layers.channel_masks import ChannelMasks, Masks
from models.layers.fast_convolutions import PointwiseConv
from tracking_tasks import boxes
from tracking_tasks.episode import Episode, EpisodeConfig, Frame, Prediction
from tracking_tasks.memory import RecentSamples
from tracking_tasks.trackers import scale_filter
from tracking_tasks.trackers.base import Adaptation, Tracker
from tracking_tasks.trackers.meta_rtt import box_sampling
from tracking_tasks.trackers.meta_rtt import pruning as channel_pruning
from tracking_tasks.trackers.meta_rtt.config import MetaRTTConfig as MetaRTTConfig
from tracking_tasks.trackers.meta_rtt.loss import RoISamples, cross_entropy, objective, score
from tracking_tasks.trackers.meta_rtt.model import BoxModel
from tracking_tasks.trackers.meta_rtt.rules import make_rule
from tracking_tasks.trackers.meta_rtt.simulation import Simulation, with_hard_examples
from tracking_tasks.trackers.meta_rtt.state import MetaRTTState
from tracking_tasks.trackers.registry import register


@register
class MetaRTT(Tracker):
    """See the module; `optimizer` fits to the first frame, and all but the backbone is learned.

    Attributes:
        online_optimizer: fits to later frames.
        shared: the last layer that all boxes of a frame share.
        initial: the initial params, three fully connected layers.
        log_ridge: logarithm of the relative penalty of the box regression.
        masks: tells which channels a target needs; None in a tracker that prunes none.
    """

    name: ClassVar[str] = "meta_rtt"
    config_type: ClassVar[type] = MetaRTTConfig
    default_rule: ClassVar[str] = "learned_rates"
    optimizers: ClassVar[tuple[str, ...]] = ("optimizer", "online_optimizer")
    adapted: ClassVar[tuple[str, ...]] = ("classifier",)

    online_optimizer: metaopt.InnerOptimizer
    shared: PointwiseConv
    initial: MLP
    log_ridge: Float[Array, ""]
    masks: ChannelMasks | None

    @classmethod
    def _create(cls, rule: str, config: MetaRTTConfig, backbone: Backbone) -> "MetaRTT":
        shared_key, key = jax.random.split(jax.random.key(config.seed))
        inputs = backbone.channels[1] if config.levels == "deeper" else sum(backbone.channels)
        kernel = jax.nn.initializers.he_normal()(shared_key, (inputs, config.channels))
        width = config.roi_size**2 * config.channels
        initial = MLP(width, 2, hidden=(config.hidden, config.hidden), key=key)
        masks = None
        if config.kept < 1:
            widths = config.channels, config.hidden, config.hidden
            masks = ChannelMasks(
                widths, config.mask_hidden, config.mask_dropout, nnx.Rngs(config.seed),
                config.adaptive_masks,
            )  # fmt: skip
        return cls(
            config=config,
            backbone=backbone,
            optimizer=make_rule(rule, initial, config, config.train_steps),
            online_optimizer=make_rule(rule, initial, config, config.online_steps),
            shared=PointwiseConv(kernel, np.zeros(config.channels, np.float32)),
            initial=initial,
            log_ridge=jnp.log(jnp.asarray(config.ridge, jnp.float32)),
            masks=masks,
        )

    @property
    def episode_config(self) -> EpisodeConfig:
        """The first frame, those to adapt to, and the one to be judged on."""
        config = self.config
        return self._centered_episodes(
            support=1,
            query=config.online_frames + 1,
            segment=config.clip,
            in_order=True,
            query_shift=config.clip_shift,
            query_scale=config.clip_scale,
        )

    @property
    def model(self) -> BoxModel:
        """What it sees of boxes."""
        return BoxModel(self.config, self.backbone.grid, self.shared, self.log_ridge)

    def fit(
        self,
        rule: metaopt.InnerOptimizer,
        classifier: MLP,
        samples: RoISamples,
        steps: int,
        **options: Any,
    ) -> metaopt.FitResult:
        """The inner loop: `metaopt.fit` of the classifier (paper, eqs. 2 and 3)."""
        return metaopt.fit(rule, objective(), classifier, samples, steps=steps, **options)

    def mix(self, episodes: Episode) -> Episode:
        return with_hard_examples(episodes, self.config.hard_videos)

    def simulate(self, episode: Episode) -> Simulation:
        """What is to be seen in an episode, and in the frames of others that it was given."""
        return Simulation.create(self.model, episode, *self.seen_in(episode))

    def adapt(self, episode: Episode, steps: int) -> Adaptation:
        """Fits to the first frame; the query losses are the cross-entropy on the last frame."""
        seen = self.simulate(episode)
        test = seen.ground_truth(-1)
        result = self.fit(
            self.optimizer,
            self.initial,
            seen.ground_truth(0),
            steps,
            observe=lambda classifier: cross_entropy(classifier(test.features), test),
        )
        return Adaptation(result.losses, result.observed)

    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The test loss after the initial adaptation and after the online one (paper, eq. 7).

        The paper has no more than these two; here the error of the box regression is added, by
        `regression_weight`, because it learns from the same shared features.
        """
        config, seen = self.config, self.simulate(episode)
        first, test = (seen.ground_truth(frame) for frame in (0, -1))
        initial = self.fit(self.optimizer, self.initial, first, config.train_steps)
        entropy, triplet = seen.test_loss(initial.params, test)
        metrics = {
            "inner_loss_initial": initial.losses[0],
            "inner_loss_final": initial.losses[-1],
            "query_loss_initial": entropy,
        }
        if config.simulation != "none":
            samples = seen.online(initial.params)
            adapted = self.fit(self.online_optimizer, initial.params, samples, config.online_steps)
            online_entropy, online_triplet = seen.test_loss(adapted.params, test)
            metrics["query_loss_final"] = online_entropy
            entropy, triplet = entropy + online_entropy, triplet + online_triplet
        regression = seen.regression_loss()
        metrics |= {"triplet_loss": triplet, "regression_loss": regression}
        loss = entropy + config.triplet_weight * triplet + config.regression_weight * regression
        return loss, metrics

    def channel_masks(
        self, classifier: MLP, samples: RoISamples, key: Key[Array, ""] | None = None
    ) -> Masks:
        """The masks for the target of a first frame (paper, "one-shot channel pruning")."""
        assert self.masks is not None
        found, _ = channel_pruning.layers(classifier, samples.features)
        return self.masks(channel_pruning.averaged(found, self.config.channels), key)

    def init(self, frame: Frame, box: Float[Array, "4"]) -> MetaRTTState:
        config = self.config
        center, size = boxes.center(box), box[2:]
        shared = self.shared
        features, zoom = self.look(shared, frame, center, size)
        local = boxes.from_center(jnp.full(2, config.crop_size / 2), size * zoom)
        first_key, later_key, regression_key = jax.random.split(jax.random.key(config.seed), 3)

        counts = config.positives, config.negatives
        samples = self.model.samples(first_key, features, local, counts, first=True)
        classifier = self.fit(self.optimizer, self.initial, samples, config.train_steps).params
        if self.masks is not None:
            masks = self.channel_masks(classifier, samples)
            shared, classifier = channel_pruning.prune(shared, classifier, masks, config.kept)
            features, _ = self.look(shared, frame, center, size)
        regressor = self.model.regressor(regression_key, features, local)
        positives, negatives = self._memorable(later_key, features, local)
        memory = lambda samples, slots: RecentSamples.create(samples, slots).store(
            samples, jnp.array(True)
        )
        return MetaRTTState(
            center=center,
            size=size,
            min_size=size / 10,
            max_size=size,
            shared=shared,
            first=classifier,
            classifier=classifier,
            regressor=regressor,
            scale_filter=scale_filter.create(config.scale_filter, frame, box),
            first_target=regressor.reference,
            positives=memory(positives, config.long_memory),
            negatives=memory(negatives, config.short_memory),
            lost=jnp.array(False),
            frames=jnp.zeros((), jnp.int32),
        )

    def search(self, state: MetaRTTState, frame: Frame) -> Float[Array, "n s s 3"]:
        return self.search_regions(frame, state.center, self.search_side(state.size)[None])

    def follow(
        self, state: MetaRTTState, frame: Frame, levels: Features
    ) -> tuple[MetaRTTState, Prediction]:
        config = self.config
        key = jax.random.fold_in(jax.random.key(config.seed), state.frames)
        candidate_key, sample_key, update_key = jax.random.split(key, 3)
        features = self.model.replace(shared=state.shared).maps(levels)[0]
        zoom = config.crop_size / self.search_side(state.size)
        middle = jnp.full(2, config.crop_size / 2)
        local = boxes.from_center(middle, state.size * zoom)

        reach = jnp.where(state.lost, config.lost_reach, 1.0)
        candidates = box_sampling.around(
            candidate_key, local, config.candidates, config.candidate_spread, reach
        )
        seen = self.model.roi_features(features, candidates)
        scores, best = jax.lax.top_k(score(state.classifier(seen)), config.best)
        strength = self._strength(state, scores)
        lost = strength < config.lost_threshold
        learned = ~lost & (strength >= config.update_threshold)
        chosen = candidates[best]
        found = jnp.where(lost, local, state.regressor(seen[best], chosen).mean(0))

        center = state.center + (boxes.center(found) - middle) / zoom
        change = jnp.sqrt(jnp.prod(found[2:] / local[2:]))  # the shape stays
        size = state.size * change**config.size_lr
        size *= scale_filter.growth(state.scale_filter, frame, center, state.size, ~lost)
        center, size = boxes.bounded(
            center, size, state.min_size, state.max_size, frame.extent, config.min_inside
        )
        local = boxes.from_center(middle + (center - state.center) * zoom, size * zoom)
        positives, negatives = self._memorable(sample_key, features, local)
        rate = jnp.where(lost, 0.0, config.reference_lr)
        seen_there = self.model.roi_features(features, local[None])[0]
        state = state.replace(
            center=center,
            size=size,
            regressor=state.regressor.follow(seen_there, rate),
            scale_filter=scale_filter.learned(state.scale_filter, frame, center, size, ~lost),
            positives=state.positives.store(positives, learned),
            negatives=state.negatives.store(negatives, learned),
            lost=lost,
            frames=state.frames + 1,
        )
        due = lost | (state.frames % config.update_interval == 0)
        update = lambda before: {"classifier": self._update(state.replace(**before), update_key)}
        state, undone = self.learned(state, due, update)
        box = boxes.from_center(center, size)
        return state, Prediction(box, jax.nn.sigmoid(scores.mean()), undone=undone)

    def look(
        self,
        shared: PointwiseConv,
        frame: Frame,
        center: Float[Array, "2"],
        size: Float[Array, "2"],
    ) -> tuple[Float[Array, "h w c"], Float[Array, ""]]:
        """The features of a search region, and crop pixels per frame pixel."""
        side = self.search_side(size)
        images = self.search_regions(frame, center, side[None])
        features = self.model.replace(shared=shared).maps(self.backbone(images))[0]
        return features, self.config.crop_size / side

    def _strength(self, state: MetaRTTState, scores: Float[Array, " best"]) -> Float[Array, ""]:
        """The mean of scores as a share of the target's own in the first frame.

        The more steps a fit takes, the larger are all scores.
        """
        (usual,) = score(state.classifier(state.first_target[None]))
        return scores.mean() / jnp.maximum(usual, 1e-3)

    def _memorable(
        self, key: Key[Array, ""], features: Float[Array, "h w c"], box: Float[Array, "4"]
    ) -> tuple[RoISamples, RoISamples]:
        """The positives and the negatives that are kept of a frame."""
        counts = self.config.frame_positives, self.config.frame_negatives
        samples = self.model.samples(key, features, box, counts, first=False)
        part = lambda where: jax.tree.map(lambda leaf: leaf[where], samples)
        return part(slice(counts[0])), part(slice(counts[0], None))

    def _update(self, state: MetaRTTState, key: Key[Array, ""]) -> MLP:
        """Fits to the memory: after a frame without the target to the latest positives only."""
        config = self.config
        positive_key, negative_key = jax.random.split(key)
        newest = jnp.where(state.lost, config.short_memory, config.long_memory)
        positives = state.positives.draw(positive_key, config.positives, newest)
        negatives = state.negatives.draw(negative_key, config.negatives, config.short_memory)
        samples = jax.tree.map(lambda *parts: jnp.concatenate(parts), positives, negatives)
        start = state.first if config.restart else state.classifier
        return self.fit(self.online_optimizer, start, samples, config.online_steps).params
