"""Simulated tracking, by which MetaRTT is meta-trained (Jung et al., AAAI 2020, section 3)."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

import metaopt
from models import MLP
from tracking_tasks.episode import Episode
from tracking_tasks.trackers.base import Adaptation
from tracking_tasks.trackers.meta_rtt import box_sampling
from tracking_tasks.trackers.meta_rtt import pruning as channel_pruning
from tracking_tasks.trackers.meta_rtt.box_regression import relative
from tracking_tasks.trackers.meta_rtt.loss import (
    RoISamples,
    cross_entropy,
    objective,
    score,
    triplet_loss,
)
from tracking_tasks.trackers.meta_rtt.state import EpisodeView

if TYPE_CHECKING:
    from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT

Loss = tuple[Float[Array, ""], dict[str, Array]]


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


def view(tracker: "MetaRTT", episode: Episode) -> EpisodeView:
    """What is to be seen in an episode, and in the frames of others that it was given, if any."""
    config = tracker.config
    join = lambda *parts: jnp.concatenate(parts)
    maps = tracker.maps(jax.tree.map(join, episode.support_images, episode.query_images))
    where = join(episode.support_boxes, episode.query_boxes)
    visible = (join(episode.support_weights, episode.query_weights) > 0).astype(jnp.float32)
    own = config.online_frames + 2

    def target(part: tuple[Array, ...]) -> Array:
        key, features, box = part
        drawn = box_sampling.overlapping(
            key, box, config.hard_examples, config.positive_spread, config.positive_overlap
        )
        return tracker.roi_features(features, drawn)

    keys = jax.random.split(jax.random.fold_in(episode.key, own), len(maps))
    hard = jax.vmap(target)((keys[own:], maps[own:], where[own:]))
    return EpisodeView(
        maps[:own],
        where[:own],
        visible[:own],
        hard.reshape(-1, hard.shape[-1]),
        jnp.repeat(visible[own:], config.hard_examples),
    )


def ground_truth(
    tracker: "MetaRTT", view: EpisodeView, key: Key[Array, ""], frame: int
) -> RoISamples:
    """Samples of a frame by its annotation: D_init of the first, D_test of the last."""
    counts = tracker.config.positives, tracker.config.negatives
    return tracker.samples(
        jax.random.fold_in(key, frame % len(view.boxes)),
        view.maps[frame],
        view.boxes[frame],
        counts,
        first=True,
        weight=view.visible[frame],
    )


def targets(
    tracker: "MetaRTT", view: EpisodeView, key: Key[Array, ""], classifier: MLP
) -> Float[Array, "online 4"]:
    """Where the target is taken to be in the frames between.

    An estimated target is the best of candidates around the true one.
    """
    config, truth = tracker.config, view.boxes[1:-1]
    if config.simulation != "estimated":
        return truth

    def estimate(part: tuple[Array, ...]) -> Array:
        key, features, box = part
        candidates = box_sampling.around(
            key, box, config.episode_candidates, config.candidate_spread
        )
        scores = score(classifier(tracker.roi_features(features, candidates)))
        return candidates[jnp.argmax(scores)]

    return jax.vmap(estimate)((jax.random.split(key, len(truth)), view.maps[1:-1], truth))


def online(
    tracker: "MetaRTT", view: EpisodeView, key: Key[Array, ""], classifier: MLP
) -> RoISamples:
    """D_on: samples of the frames between, around the boxes that the classifier finds there."""
    config = tracker.config
    counts = config.positives // config.online_frames, config.negatives // config.online_frames
    target_key, sample_key = jax.random.split(jax.random.fold_in(key, len(view.maps)))

    def of_frame(part: tuple[Array, ...]) -> RoISamples:
        key, features, box, visible = part
        return tracker.samples(key, features, box, counts, first=False, weight=visible)

    keys = jax.random.split(sample_key, config.online_frames)
    found = targets(tracker, view, target_key, classifier)
    return jax.vmap(of_frame)((keys, view.maps[1:-1], found, view.visible[1:-1])).together()


def test_loss(
    tracker: "MetaRTT", classifier: MLP, test: RoISamples, view: EpisodeView
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The cross-entropy on the test frame, and the triplet loss with hard examples (eq. 4)."""
    logits = classifier(test.features)
    # Hard examples of a test frame without a target have nothing to be compared with.
    weights = view.hard_weights * view.visible[-1]
    positives = logits[: tracker.config.positives]
    triplet = triplet_loss(positives, classifier(view.hard), weights, tracker.config.triplet_margin)
    return cross_entropy(logits, test), triplet


def regression_loss(tracker: "MetaRTT", view: EpisodeView, key: Key[Array, ""]) -> Float[Array, ""]:
    """The mean square error on the test frame of the box regression learned on the first."""
    config, box = tracker.config, view.boxes[-1]
    first_key, test_key = jax.random.split(jax.random.fold_in(key, len(view.maps) + 2))
    regressor = tracker.regressor(first_key, view.maps[0], view.boxes[0])
    around = box_sampling.overlapping(
        test_key, box, config.regression_samples, config.regression_spread,
        config.regression_overlap,
    )  # fmt: skip
    found = regressor.relative(tracker.roi_features(view.maps[-1], around))
    error = jnp.mean((found - relative(around, box)) ** 2)
    return view.visible[0] * view.visible[-1] * error


def adapt(tracker: "MetaRTT", episode: Episode, steps: int) -> Adaptation:
    """The fit to the first frame, every iterate judged on the last."""
    seen, key = view(tracker, episode), episode.key
    test = ground_truth(tracker, seen, key, -1)
    result = tracker.fit(
        tracker.optimizer,
        tracker.initial,
        ground_truth(tracker, seen, key, 0),
        steps,
        observe=lambda classifier: cross_entropy(classifier(test.features), test),
    )
    return Adaptation(result.losses, result.observed)


def outer_loss(tracker: "MetaRTT", episode: Episode) -> Loss:
    """The test loss after the initial adaptation and after the online one (eq. 7).

    To it a term of the box regression is added, whose penalty is meta-learned here; the paper's
    regression is not.
    """
    config, key = tracker.config, episode.key
    seen = view(tracker, episode)
    first, test = (ground_truth(tracker, seen, key, frame) for frame in (0, -1))
    initial = tracker.fit(tracker.optimizer, tracker.initial, first, config.train_steps)
    entropy, triplet = test_loss(tracker, initial.params, test, seen)
    metrics = {
        "inner_loss_initial": initial.losses[0],
        "inner_loss_final": initial.losses[-1],
        "query_loss_initial": entropy,
    }
    if config.simulation != "none":
        samples = online(tracker, seen, key, initial.params)
        adapted = tracker.fit(
            tracker.online_optimizer, initial.params, samples, config.online_steps
        )
        online_entropy, online_triplet = test_loss(tracker, adapted.params, test, seen)
        metrics["query_loss_final"] = online_entropy
        entropy, triplet = entropy + online_entropy, triplet + online_triplet
    regression = regression_loss(tracker, seen, key)
    metrics |= {"triplet_loss": triplet, "regression_loss": regression}
    loss = entropy + config.triplet_weight * triplet + config.regression_weight * regression
    return loss, metrics


def domain_loss(tracker: "MetaRTT", episode: Episode) -> Loss:
    """Multi-domain learning (Nam and Han, CVPR 2016), with a new last layer for every video.

    The last layer is fitted to the first frame, and the layers below learn by the loss on the last
    frame at this fit, through which no gradient flows. Published trackers keep one such layer for
    each of a fixed set of videos; rendered videos have no end.
    """
    seen = view(tracker, episode)
    first, test = (ground_truth(tracker, seen, episode.key, frame) for frame in (0, -1))
    hidden = lambda samples: samples.replace(features=tracker.initial.features(samples.features))
    last = metaopt.fit(
        metaopt.SteepestDescent(),
        objective(),
        tracker.initial.last,
        jax.lax.stop_gradient(hidden(first)),
        steps=tracker.config.domain_steps,
    )
    layer = jax.lax.stop_gradient(last.params)
    loss = cross_entropy(layer(hidden(test).features), test)
    return loss, {"inner_loss_final": last.losses[-1], "query_loss_final": loss}


def pruning_loss(tracker: "MetaRTT", episode: Episode) -> Loss:
    """How well masks predicted from the first frame serve the whole episode (eqs. 11 and 12).

    Without meta-learning (paper, Table 3) only the first frame counts.
    """
    config, key = tracker.config, episode.key
    seen = view(tracker, episode)
    first, test = (ground_truth(tracker, seen, key, frame) for frame in (0, -1))
    initial = tracker.fit(tracker.optimizer, tracker.initial, first, config.train_steps).params
    masks = tracker.channel_masks(initial, first, jax.random.fold_in(key, len(seen.maps) + 1))
    lasso = lambda classifier, samples: channel_pruning.lasso(
        classifier, samples.features, samples.weights, masks, config.sparsity
    )
    loss = lasso(initial, first)
    if config.training == "pruning":
        samples = online(tracker, seen, key, initial)
        adapted = tracker.fit(
            tracker.online_optimizer,
            initial,
            samples,
            config.online_steps,
            observe=lambda classifier: lasso(classifier, samples),
        )
        loss += adapted.observed[1:].sum() + lasso(adapted.params, test)
    magnitudes = jnp.abs(jnp.concatenate(masks))
    return loss, {"mask_mean": magnitudes.mean(), "masks_below_0.1": (magnitudes < 0.1).mean()}
