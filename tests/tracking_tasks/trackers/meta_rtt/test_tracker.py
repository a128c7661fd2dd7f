"""What is MetaRTT's own: its simulated episodes and what is learned from them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.leaves import named_leaves, with_leaves
from models import MLP
from tests.constants import with_constants
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.trackers.meta_rtt.episodes import batch
from tests.tracking_tasks.trackers.small import make
from tracking_tasks import boxes as boxes_lib
from tracking_tasks import checkpoints
from tracking_tasks.trackers.meta_rtt.loss import score
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT

KEY = jax.random.key(0)


def tracker(rule="learned_rates", **changes):
    made = make("meta_rtt", rule, stand_in=True)
    return MetaRTT.create(rule, dataclasses.replace(made.config, **changes), made.backbone)


def test_an_episode_gets_the_first_frames_of_the_others():
    before = batch()
    mixed = jax.jit(tracker(hard_videos=5).mix)(before)
    for support, query, old in (
        (before.support_images, mixed.query_images, before.query_images),
        (before.support_boxes, mixed.query_boxes, before.query_boxes),
    ):
        support, query = np.asarray(support), np.asarray(query)
        assert query.shape[1] == 2 + 2  # of three episodes, two are others
        for own, others in enumerate([(1, 2), (2, 0), (0, 1)]):
            for place, other in enumerate(others):
                np.testing.assert_array_equal(query[own, 2 + place], support[other, 0])
        np.testing.assert_array_equal(query[:, :2], old)


@pytest.fixture(scope="module")
def gradients():
    """Metrics and the outer gradient, with hard examples and with such that cannot be seen."""

    @jax.jit
    def run(tracker, episode):
        return jax.value_and_grad(lambda t: t.outer_loss(episode), has_aux=True)(tracker)

    one = tracker()
    hard = jax.tree.map(lambda leaf: leaf[0], one.mix(batch()))
    unseen = hard.replace(query_weights=hard.query_weights.at[2:].set(0.0))
    return {"hard": run(one, hard), "alone": run(one, unseen)}


@pytest.mark.full
def test_all_meta_parameters_are_learned(gradients):
    _, gradient = gradients["hard"]
    for part in (
        gradient.shared.kernel,
        *(layer.kernel for layer in gradient.initial.hidden),
        gradient.initial.last.kernel,
        gradient.optimizer.rates.last.kernel,
        gradient.online_optimizer.rates.last.kernel,
    ):
        assert jnp.isfinite(part[...]).all() and jnp.abs(part[...]).max() > 0
    assert jnp.abs(gradient.log_ridge) > 0
    # A rate of its own for each step.
    rates = gradient.online_optimizer.rates.last.kernel[...]
    assert rates.shape == (10, 1, 1) and len(np.unique(rates)) == 10


@pytest.mark.full
def test_hard_examples_count_in_the_triplet_loss_alone(gradients):
    (with_hard, metrics), _ = gradients["hard"]
    (alone, metrics_alone), _ = gradients["alone"]
    assert metrics["triplet_loss"] > 0 == metrics_alone["triplet_loss"]
    weight = tracker().config.triplet_weight
    np.testing.assert_allclose(with_hard - weight * metrics["triplet_loss"], alone, rtol=1e-5)


@pytest.fixture(scope="module")
def view():
    first = jax.tree.map(lambda leaf: leaf[0], batch())
    return jax.jit(lambda one, episode: one.simulate(episode))(tracker(), first).replace(key=KEY)


def test_later_targets_are_where_the_classifier_finds_them(view):
    truth, initial = view.boxes[1:-1], tracker().initial
    find = jax.jit(lambda view, classifier: view.targets(KEY, classifier))
    config = dataclasses.replace(view.model.config, simulation="true")
    told = view.replace(model=view.model.replace(config=config))
    np.testing.assert_array_equal(find(told, initial), truth)
    found = find(view, initial)
    shift = np.abs(boxes_lib.center(found) - boxes_lib.center(truth)).max()
    assert 0 < shift <= config.candidate_spread.shift * 24
    # The opposite classifier prefers another candidate.
    opposite = jax.tree.map(lambda leaf: leaf, initial)
    opposite.last.kernel[...] = -initial.last.kernel[...]
    assert np.abs(find(view, opposite) - found).max() > 1


def test_no_gradient_flows_through_the_estimate(view):
    total = lambda classifier: view.online(classifier).features.sum()
    gradient = jax.jit(jax.grad(total))(tracker().initial)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_the_error_of_the_box_regression_is_that_on_the_last_frame(view):
    loss = jax.jit(lambda view: view.regression_loss())
    same = view.replace(maps=view.maps[:1].repeat(3, 0), boxes=view.boxes[:1].repeat(3, 0))
    assert loss(same) < 0.9 * loss(view)
    assert loss(view.replace(visible=view.visible.at[-1].set(0.0))) == 0


def test_without_a_visible_target_a_frame_counts_for_nothing(view):
    unseen = view.replace(visible=view.visible.at[1].set(0.0))
    samples = jax.jit(lambda view, classifier: view.online(classifier))
    assert samples(unseen, tracker().initial).weights.sum() == 0


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({"granularity": "parameter"}, (40, 16, 16)),
        ({"granularity": "tensor"}, (40, 1, 1)),
        ({"granularity": "tensor", "rate_sets": "fit"}, (1, 1, 1)),
    ],
)
def test_rates_are_as_fine_as_is_asked(changes, shape):
    assert tracker(**changes).optimizer.rates.hidden[1].kernel[...].shape == shape


def test_another_rule_replaces_both_optimizers(tmp_path):
    path = tmp_path / "weights.safetensors"
    moved = jax.tree.map(lambda leaf: leaf + 0.5, tracker().replace(backbone=None))
    checkpoints.save(path, moved, "learned_rates")
    config, stand_in = tracker().config, tracker().backbone
    other, rule = checkpoints.load(path, "meta_rtt", "adam", stand_in)
    assert rule == "adam" and other.config == config
    for optimizer in (other.optimizer, other.online_optimizer):
        np.testing.assert_allclose(optimizer.hyperparams["learning_rate"], config.initial_lr)
    np.testing.assert_array_equal(other.shared.kernel[...], moved.shared.kernel[...])


@pytest.fixture(scope="module")
def state():
    """After the first frame, at a rate of 0."""
    images, start = video(1)
    one = tracker("gradient_descent", initial_lr=0.0)
    return jax.jit(one.init)(frame(images[0]), jnp.asarray(start[0]))


@pytest.mark.parametrize("restart", [pytest.param(True, marks=pytest.mark.full), False])
def test_an_update_goes_on_from_the_first_frame_or_from_the_update_before(state, restart):
    moved = state.replace(classifier=jax.tree.map(lambda leaf: leaf + 1, state.classifier))
    one = tracker("gradient_descent", initial_lr=0.0, restart=restart)
    updated = jax.jit(lambda one, state: one._update(state, KEY))(one, moved)
    expected, other = moved.classifier, moved.first
    if restart:
        expected, other = other, expected
    np.testing.assert_array_equal(updated.last.bias[...], expected.last.bias[...])
    assert jnp.any(updated.last.bias[...] != other.last.bias[...])


@pytest.fixture(scope="module")
def followed():
    """A step to the next frame by state and thresholds."""
    images, _ = video(2)
    one = tracker("gradient_descent", initial_lr=0.0)

    @jax.jit
    def step(state, lost_threshold, update_threshold):
        thresholds = {"lost_threshold": lost_threshold, "update_threshold": update_threshold}
        config = with_constants(one.config, thresholds)
        return one.replace(config=config).step(state, frame(images[1]))

    return step


def test_only_a_clearly_seen_target_is_learned_from(state, followed):
    def after(lost_threshold, update_threshold):
        found, _ = followed(state, lost_threshold, update_threshold)
        assert found.positives.stored == found.negatives.stored
        return bool(found.lost), int(found.positives.stored)

    assert after(1e6, tracker().config.update_threshold) == (True, 1)
    assert after(-1e6, 1e6) == (False, 1)
    assert after(-1e6, -1e6) == (False, 2)


def test_a_target_is_lost_below_a_share_of_its_score_in_the_first_frame(state, followed):
    (usual,) = score(state.classifier(state.first_target[None]))
    leaves = named_leaves(state.classifier)
    four = {name: leaf * 4 / usual for name, leaf in leaves.items() if name.startswith("last")}
    state = state.replace(classifier=with_leaves(state.classifier, four))

    after = lambda lost: followed(state, lost, tracker().config.update_threshold)

    probability = float(after(-1e6)[1].score)
    share = float(np.log(probability / (1 - probability)) / 4)
    assert after(share + 0.01)[0].lost and not after(share - 0.01)[0].lost


class Certain(MLP):
    """Gives every box the same score."""

    def __init__(self, score):
        self.score = score

    def __call__(self, x):
        return jnp.tile(jnp.array([self.score, 0.0]), (len(x), 1))


@pytest.mark.parametrize("factor", [1.0, 10.0])
def test_scores_count_beside_that_of_the_target_in_the_first_frame(state, factor):
    """A classifier that is as many times as sure of everything is as sure of nothing."""
    sure = state.replace(classifier=Certain(4 * factor))
    strength = tracker()._strength(sure, factor * jnp.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(strength, 0.5)
