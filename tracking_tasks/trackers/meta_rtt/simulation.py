"""Simulated tracking, by which MetaRTT is meta-trained (Jung et al., AAAI 2020, section 3)."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Key

from models import MLP, Features
from tracking_tasks.episode import Episode
from tracking_tasks.trackers.meta_rtt import box_sampling
from tracking_tasks.trackers.meta_rtt.box_regression import relative
from tracking_tasks.trackers.meta_rtt.loss import RoISamples, cross_entropy, score, triplet_loss
from tracking_tasks.trackers.meta_rtt.model import BoxModel


def with_hard_examples(episodes: Episode, count: int) -> Episode:
    """Gives every episode of a batch the first frames of `count` others, or of all if fewer.

    They come after its own query frames; their targets are hard examples (paper, "Hard example
    mining").
    """
    firsts = {
        "query_images": episodes.support_images,
        "query_boxes": episodes.support_boxes,
        "query_weights": episodes.support_weights,
    }
    others = range(1, min(count, len(episodes.key) - 1) + 1)
    append = lambda own, first: jnp.concatenate(
        [own, *(jnp.roll(first[:, :1], -index, 0) for index in others)], 1
    )
    return episodes.replace(
        **{
            name: jax.tree.map(append, getattr(episodes, name), first)
            for name, first in firsts.items()
        }
    )


class Simulation(struct.PyTreeNode):
    """What the model sees in an episode: the first frame, the online ones, the test frame.

    Attributes:
        model: what sees it.
        maps: the frames' feature maps.
        boxes: the target in each, in pixels of the crop.
        visible: 1 where it can be seen, else 0.
        hard: features of targets of other videos.
        hard_weights: 1 for those that can be seen, else 0.
        key: for all that is drawn.
    """

    model: BoxModel
    maps: Float[Array, "frames h w c"]
    boxes: Float[Array, "frames 4"]
    visible: Float[Array, " frames"]
    hard: Float[Array, "m d"]
    hard_weights: Float[Array, " m"]
    key: Key[Array, ""]

    @classmethod
    def create(
        cls, model: BoxModel, episode: Episode, support: Features, query: Features
    ) -> "Simulation":
        """That of an episode and, if it was given any, of the frames of others.

        Args:
            model: what sees it.
            episode: boxes and weights.
            support: what the backbone sees in its images.
            query: likewise.
        """
        config = model.config
        join = lambda *parts: jnp.concatenate(parts)
        maps = model.maps(jax.tree.map(join, support, query))
        where = join(episode.support_boxes, episode.query_boxes)
        visible = (join(episode.support_weights, episode.query_weights) > 0).astype(jnp.float32)
        own = config.online_frames + 2

        def target(part: tuple[Array, ...]) -> Array:
            key, features, box = part
            drawn = box_sampling.overlapping(
                key, box, config.hard_examples, config.positive_spread, config.positive_overlap
            )
            return model.roi_features(features, drawn)

        keys = jax.random.split(jax.random.fold_in(episode.key, own), len(maps))
        hard = jax.vmap(target)((keys[own:], maps[own:], where[own:]))
        return cls(
            model,
            maps[:own],
            where[:own],
            visible[:own],
            hard.reshape(-1, hard.shape[-1]),
            jnp.repeat(visible[own:], config.hard_examples),
            episode.key,
        )

    def ground_truth(self, frame: int) -> RoISamples:
        """Samples of a frame by its annotation: D_init of the first, D_test of the last."""
        config = self.model.config
        return self.model.samples(
            jax.random.fold_in(self.key, frame % len(self.boxes)),
            self.maps[frame],
            self.boxes[frame],
            (config.positives, config.negatives),
            first=True,
            weight=self.visible[frame],
        )

    def targets(self, key: Key[Array, ""], classifier: MLP) -> Float[Array, "online 4"]:
        """Where the target is taken to be in the frames between.

        An estimated target is the best of candidates around the true one.
        """
        config, truth = self.model.config, self.boxes[1:-1]
        if config.simulation != "estimated":
            return truth

        def estimate(part: tuple[Array, ...]) -> Array:
            key, features, box = part
            candidates = box_sampling.around(
                key, box, config.episode_candidates, config.candidate_spread
            )
            scores = score(classifier(self.model.roi_features(features, candidates)))
            return candidates[jnp.argmax(scores)]

        return jax.vmap(estimate)((jax.random.split(key, len(truth)), self.maps[1:-1], truth))

    def online(self, classifier: MLP) -> RoISamples:
        """D_on: samples of the frames between, around the boxes that the classifier finds there."""
        config = self.model.config
        counts = config.positives // config.online_frames, config.negatives // config.online_frames
        target_key, sample_key = jax.random.split(jax.random.fold_in(self.key, len(self.maps)))

        def of_frame(part: tuple[Array, ...]) -> RoISamples:
            key, features, box, visible = part
            return self.model.samples(key, features, box, counts, first=False, weight=visible)

        keys = jax.random.split(sample_key, config.online_frames)
        found = self.targets(target_key, classifier)
        return jax.vmap(of_frame)((keys, self.maps[1:-1], found, self.visible[1:-1])).together()

    def test_loss(
        self, classifier: MLP, test: RoISamples
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The cross-entropy on the test frame, and the triplet loss with hard examples (eq. 4)."""
        config, logits = self.model.config, classifier(test.features)
        # Hard examples of a test frame without a target have nothing to be compared with.
        weights = self.hard_weights * self.visible[-1]
        positives = logits[: config.positives]
        triplet = triplet_loss(positives, classifier(self.hard), weights, config.triplet_margin)
        return cross_entropy(logits, test), triplet

    def regression_loss(self) -> Float[Array, ""]:
        """The mean square error on the test frame of the box regression learned on the first."""
        box = self.boxes[-1]
        key = jax.random.fold_in(self.key, len(self.maps) + 2)
        first_key, test_key = jax.random.split(key)
        regressor = self.model.regressor(first_key, self.maps[0], self.boxes[0])
        around = self.model.around(test_key, box)
        found = regressor.relative(self.model.roi_features(self.maps[-1], around))
        error = jnp.mean((found - relative(around, box)) ** 2)
        return self.visible[0] * self.visible[-1] * error
