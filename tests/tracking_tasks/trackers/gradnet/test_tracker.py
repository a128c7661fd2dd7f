"""What is GradNet's own: its update, template generalization, and when it learns online."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.constants import with_constants
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import SMALL, episode, make
from tracking_tasks.episode import Episode
from tracking_tasks.trackers.gradnet.loss import SearchSamples
from tracking_tasks.trackers.gradnet.tracker import GradNet

init = jax.jit(lambda tracker, frame, box: tracker.init(frame, box))


@jax.jit
def compiled_step(tracker, update_lr, state, frame):
    config = with_constants(tracker.config, {"update_lr": update_lr})
    return tracker.replace(config=config).step(state, frame)[0]


def step(tracker, state, frame, update_lr=None):
    """With the rate as an argument of the compiled program."""
    update_lr = tracker.config.update_lr if update_lr is None else update_lr
    return compiled_step(tracker, update_lr, state, frame)


see = jax.jit(lambda tracker, episode: tracker.task(episode))


def tiny(rule="gradient_network", **changes):
    return GradNet.create(rule, dataclasses.replace(SMALL["gradnet"], **changes), Tiny())


@functools.cache
def task():
    return see(tiny(), episode("gradnet"))


def states(tracker, images, box):
    """The online state after each frame."""
    found = [init(tracker, frame(images[0]), jnp.asarray(box))]
    for image in images[1:]:
        found.append(step(tracker, found[-1], frame(image)))
    return found


def test_the_target_in_the_middle_of_a_crop_is_answered_in_its_middle():
    tracker = make("gradnet", "none")
    found = see(tracker, episode("gradnet"))
    cells = tracker.backbone.grid.to_cells(48.0)
    np.testing.assert_allclose(found.support.centers[0], round(float(cells)), atol=1e-4)
    np.testing.assert_allclose(found.query.centers[1] - found.support.centers[0], [9 / 8, 0])
    logits = jax.jit(lambda t, s: t.response(t.template(s.exemplar), s.support.features))(
        tracker, found
    )
    y, x = np.unravel_index(np.argmax(logits[0]), logits.shape[1:])
    assert [x, y] == [5, 5]
    assert float(logits[0, y, x]) == pytest.approx(-5 + 10, abs=5)


def test_the_update_is_one_gradient_through_the_network():
    tracker, one = tiny(), task()
    kernel = 0.1 * jax.random.normal(jax.random.key(0), tracker.optimizer.layers.kernel.shape)
    layer = tracker.optimizer.layers.replace(kernel=kernel, bias=jnp.full(6, 0.2))
    tracker = tracker.replace(optimizer=tracker.optimizer.replace(layers=layer))

    @jax.jit
    def both(tracker, one):
        def loss(exemplar):
            logits = tracker.response(tracker.embedding(exemplar), one.support.features)
            return 1e4 * tracker.loss(logits, one.support)

        fitted = tracker.fit(one.exemplar, one.support, 1).params
        return fitted, jax.grad(loss)(one.exemplar)

    fitted, gradient = both(tracker, one)
    convolved = jax.lax.conv_general_dilated(
        0.5 * gradient[None], kernel.reshape(3, 3, 6, 6), (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )[0]  # fmt: skip
    change = jnp.tanh(convolved + 0.2)
    assert jnp.abs(change).max() > 0.3
    np.testing.assert_allclose(fitted, one.exemplar + change, atol=2e-4)


@pytest.mark.full
def test_the_outer_gradient_has_the_second_order_term():
    tracker, images = tiny(train_steps=1), episode("gradnet")
    support, query = jax.jit(GradNet.seen_in)(tracker, images)
    features = images.replace(support_images=support, query_images=query)
    with jax.enable_x64(True):
        tracker, whole_episode = _double(tracker), _double(features)
        one = see(tracker, whole_episode)

        @jax.jit
        def loss(metric, sent):
            """With what is sent through the gradient, and what through the template after it."""
            embedding = lambda value: _with_metric(tracker, value)
            inner = embedding(sent)
            fitted = inner.fit(one.exemplar, one.support, 1).params
            after = embedding(metric)
            return after.loss(after.response(after.template(fitted), one.query.features), one.query)

        start = tracker.embedding.metric[...]
        first, second = jax.jit(jax.grad(loss, (0, 1)))(start, start)
        outer_loss = lambda value: _with_metric(tracker, value).outer_loss(whole_episode)[0]
        whole = jax.jit(jax.grad(outer_loss))(start)
        np.testing.assert_allclose(whole, first + second, atol=1e-6, rtol=1e-3)
        move = 1e-3 * second / jnp.linalg.norm(second)
        numeric = (loss(start, start + move) - loss(start, start - move)) / 2e-3
        assert float(numeric) == pytest.approx(float(jnp.linalg.norm(second)), rel=0.05)
        assert jnp.linalg.norm(second) > 1e-2 * jnp.linalg.norm(first)


def _double(tree):
    """With all numbers in double precision: the sum has cells where its two parts cancel."""
    floating = lambda leaf: jnp.issubdtype(leaf.dtype, jnp.floating)
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float64) if floating(leaf) else leaf, tree
    )


def _with_metric(tracker, value):
    graph, leaves = jax.tree.flatten(tracker.embedding)[::-1]
    index = next(i for i, leaf in enumerate(leaves) if leaf.shape == value.shape)
    leaves = [value if i == index else leaf for i, leaf in enumerate(leaves)]
    return tracker.replace(embedding=jax.tree.unflatten(graph, leaves))


def numbered(one, count):
    """A batch of episodes whose values tell which is which."""
    apart = lambda leaf: jnp.stack([leaf + number for number in range(count)])
    parts = {name: jax.tree.map(apart, part) for name, part in vars(one).items() if name != "key"}
    return Episode(**parts, key=jnp.stack([one.key] * count))


def test_generalization_shows_a_template_the_search_regions_of_other_episodes():
    batch = numbered(episode("gradnet"), 3)
    mixed = tiny(generalization=2).mix(batch)
    for name in vars(batch):
        if name == "key":
            continue
        before, after = getattr(batch, name), getattr(mixed, name)
        for index in range(3):
            both = jnp.concatenate([before[index], before[(index + 1) % 3]])
            np.testing.assert_array_equal(after[index], both)
    alone = tiny(generalization=1).mix(batch)
    np.testing.assert_array_equal(alone.query_images, batch.query_images)
    assert len(tiny(generalization=9).mix(batch).support_boxes[0]) == 6  # 3 episodes of 2


@pytest.mark.full
def test_features_in_place_of_images_give_the_same_loss():
    tracker, one = tiny(generalization=2), episode("gradnet")
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), one, flipped(one))

    @jax.jit
    def losses(tracker, batch):
        see = jax.vmap(tracker.backbone)
        seen = batch.replace(
            support_images=see(batch.support_images), query_images=see(batch.query_images)
        )
        loss = jax.vmap(lambda each: tracker.outer_loss(each)[0])
        return loss(tracker.mix(batch)), loss(tracker.mix(seen)), loss(batch)

    images, seen, alone = losses(tracker, batch)
    np.testing.assert_allclose(images, seen, rtol=1e-4)
    assert jnp.abs(images - alone).min() > 1e-4


def flipped(one):
    return one.replace(
        support_images=255 - one.support_images, query_images=one.query_images[:, ::-1]
    )


def test_a_frame_without_target_counts_for_nothing():
    tracker, one = tiny("none"), episode("gradnet")
    loss = jax.jit(
        lambda tracker, weights: tracker.outer_loss(one.replace(query_weights=weights))[0]
    )
    first, second, both = (
        float(loss(tracker, jnp.array(weights))) for weights in ([1.0, 0], [0, 1.0], [0.5, 0.5])
    )
    assert loss(tracker, jnp.zeros(2)) == 0 and first != second
    assert both == pytest.approx((first + second) / 2, rel=1e-5)


def test_the_second_network_makes_the_template_after_the_fit():
    tracker = tiny("none", shared=False)
    doubled = jax.tree.map(lambda leaf: leaf, tracker.after)
    doubled.metric[...] = 2 * tracker.after.metric[...]
    tracker = tracker.replace(after=doubled)
    exemplar = task().exemplar
    np.testing.assert_allclose(
        tracker.template(exemplar), 2 * tracker.embedding(exemplar), rtol=1e-5
    )


@pytest.fixture(scope="module")
def followed():
    images, boxes = video(6)
    tracker = tiny(update_threshold=0.0)  # every frame
    return tracker, states(tracker, images, boxes[0])


def test_the_template_changes_at_its_interval_and_keeps_its_share_of_the_first(followed):
    tracker, found = followed
    changed = [
        bool(jnp.any(after.template != before.template))
        for before, after in itertools.pairwise(found)
    ]
    assert changed == [False, True, False, True, False]  # every 2 frames
    last = found[-1]
    expected = 0.5 * found[0].initial + 0.5 * tracker.template(last.exemplar)
    np.testing.assert_allclose(last.template, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(last.initial, found[0].template)


def test_an_update_goes_part_of_the_way(followed):
    tracker, found = followed
    before = found[3]
    assert found[4].newest.score == 0  # used up
    images, _ = video(6)
    full = step(tracker, before, frame(images[4]), update_lr=1.0).exemplar - before.exemplar
    part = found[4].exemplar - before.exemplar
    assert jnp.abs(full).max() > 0
    np.testing.assert_allclose(part, 0.6 * full, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("restart", [True, pytest.param(False, marks=pytest.mark.full)])
def test_an_update_starts_again_from_the_first_frame_or_goes_on(followed, restart):
    _, found = followed
    whole = tiny(update_threshold=0.0, restart=restart)
    newest = found[2].newest.replace(score=jnp.asarray(0.5))
    before = found[3].replace(newest=newest, min_score=jnp.asarray(1.1))  # no other is reliable
    after = step(whole, before, frame(video(6)[0][4]), update_lr=1.0)
    one = SearchSamples(newest.features[None], newest.center[None], jnp.ones(1))
    both = jax.tree.map(lambda *seen: jnp.concatenate(seen), before.first_seen, one)
    start, samples = (before.first, both) if restart else (before.exemplar, one)
    fit = jax.jit(lambda tracker, start, samples: tracker.fit(start, samples, 1).params)
    expected = fit(whole, start, samples)
    assert jnp.abs(expected - before.exemplar).max() > 1e-3
    np.testing.assert_allclose(after.exemplar, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.full
@pytest.mark.parametrize(("restart", "steps"), [(True, 1), (False, 2)])
def test_a_rule_with_a_memory_starts_again_or_goes_on_as_well(restart, steps):
    images, boxes = video(3)
    last = states(tiny("lstm", restart=restart, update_threshold=0.0), images, boxes[0])[-1]
    assert last.newest.score == 0  # used up
    assert int(last.rule_state.count) == steps


def test_the_best_reliable_frame_is_learned_from_and_no_other(followed):
    tracker, found = followed
    state = found[0]
    images, _ = video(2)
    never = state.replace(min_score=jnp.asarray(1.1))
    assert step(tracker, never, frame(images[1])).newest.score == 0
    seen = step(tracker, state.replace(min_score=jnp.zeros(())), frame(images[1])).newest
    assert seen.score > 0 and jnp.any(seen.features != state.newest.features)
    better = state.replace(newest=state.newest.replace(score=jnp.asarray(2.0)))
    kept = step(tracker, better, frame(images[1])).newest
    np.testing.assert_array_equal(kept.features, state.newest.features)


@pytest.mark.full
def test_without_online_update_nothing_is_learned():
    images, boxes = video(4)
    found = states(tiny(online_update=False), images, boxes[0])
    for state in found[1:]:
        np.testing.assert_array_equal(state.template, found[0].template)
        assert state.newest.score == 0
