"""What DSLT does online: when it stops fitting, what it remembers, when it learns and rescales."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tests.constants import with_constants
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import SMALL, episode
from tracking_tasks.trackers.dslt.tracker import DSLT

NUMBERS = ("converged_error", "lost_threshold", "update_threshold", "usual_lr")


def apart(tracker, changes):
    """Numbers that the compiled programs take as arguments."""
    return {name: getattr(tracker.config, name) for name in NUMBERS} | changes


def with_numbers(tracker, numbers):
    return tracker.replace(config=with_constants(tracker.config, numbers))


@jax.jit
def compiled_init(tracker, numbers, frame, box):
    return with_numbers(tracker, numbers).init(frame, box)


@jax.jit
def compiled_step(tracker, numbers, state, frame):
    return with_numbers(tracker, numbers).step(state, frame)


def init(tracker, frame, box, **changes):
    return compiled_init(tracker, apart(tracker, changes), frame, box)


def predict(tracker, state, frame, **changes):
    return compiled_step(tracker, apart(tracker, changes), state, frame)


def step(*arguments, **changes):
    return predict(*arguments, **changes)[0]


@functools.cache  # a rule of optax that is made anew is compiled anew
def make(rule="adam", **changes):
    return DSLT.create(rule, dataclasses.replace(SMALL["dslt"], **changes), Tiny())


def states(tracker, images, box, **changes):
    """The online state after each frame."""
    found = [init(tracker, frame(images[0]), jnp.asarray(box), **changes)]
    for image in images[1:]:
        found.append(step(tracker, found[-1], frame(image), **changes))
    return found


@pytest.fixture(scope="module")
def followed():
    images, boxes = video(6)
    return states(make(), images, boxes[0], update_threshold=0.0)


def test_adam_stops_once_it_has_converged(followed):
    assert 0 < followed[0].init_steps < SMALL["dslt"].init_steps
    later = np.diff([int(state.update_steps) for state in followed])
    assert (later <= SMALL["dslt"].update_steps).all() and later.sum() > 0
    images, boxes = video(1)
    never = states(make(init_steps=7), images, boxes[0], converged_error=0.0)[0]
    assert never.init_steps == 7
    at_once = states(make(), images, boxes[0], converged_error=9.0)[0]
    assert at_once.init_steps == 0


@pytest.mark.full
def test_a_learned_rule_takes_its_steps_and_no_others():
    images, boxes = video(3)
    one = make("learned_rates", learned_update_steps=2)
    found = states(one, images, boxes[0], lost_threshold=-1e6, update_threshold=-1e6)
    assert [int(state.init_steps) for state in found] == [2, 2, 2]
    assert [int(state.update_steps) for state in found] == [0, 2, 4]


def test_the_memory_holds_the_first_sample_and_the_latest(followed):
    first = followed[0].memory
    assert jnp.ptp(first.centers, 0).max() == 0 and first.weights.sum() == pytest.approx(1)
    for index, state in enumerate(followed):
        np.testing.assert_array_equal(state.memory.features[0], first.features[0])
        if index:
            before = followed[index - 1].memory.features
            changed = jnp.any(state.memory.features != before, (1, 2, 3))
            assert jnp.flatnonzero(changed).tolist() == [1 + (index - 1) % 2]


def test_only_the_filters_follow_the_target(followed):
    for before, after in itertools.pairwise(followed):
        np.testing.assert_array_equal(after.head.fine, followed[0].head.fine)
        np.testing.assert_array_equal(after.head.coarse, followed[0].head.coarse)
        learned = after.update_steps > before.update_steps
        assert jnp.any(after.head.filters != before.head.filters) == learned
    assert jnp.any(followed[-1].head.filters != followed[0].head.filters)
    assert jnp.any(followed[0].head.fine != make().initial.fine)


def test_a_lost_target_leaves_place_and_filters_as_they_were(followed):
    seen, blank = followed[-1], np.full((128, 128, 3), 115, np.uint8)
    lost = step(make(), seen, frame(blank))
    np.testing.assert_array_equal(lost.center, seen.center)
    for before, after in zip(
        jax.tree.leaves((seen.head, seen.memory)), jax.tree.leaves((lost.head, lost.memory)),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(after, before)
    assert lost.update_steps == seen.update_steps and lost.frames == seen.frames + 1


def test_what_is_not_trusted_is_followed_but_not_learned(followed):
    images, _ = video(8)
    doubtful = step(make(), followed[-1], frame(images[7]), update_threshold=9.0)
    assert doubtful.center[0] > followed[-1].center[0] + 3
    assert doubtful.update_steps == followed[-1].update_steps
    np.testing.assert_array_equal(doubtful.memory.features, followed[-1].memory.features)


def test_after_a_doubtful_frame_the_target_may_be_anywhere(followed):
    images, _ = video(6)
    moved = frame(np.roll(images[5], 30, 1))
    near = make(motion_sigma=0.3)
    doubtful = followed[-1].replace(trusted=jnp.array(False))
    staying = step(near, followed[-1], moved, update_threshold=0.0)
    searching = step(near, doubtful, moved, update_threshold=0.0)
    assert abs(staying.center[0] - followed[-1].center[0]) < 15
    assert searching.center[0] - followed[-1].center[0] == pytest.approx(30, abs=3)


def test_what_is_usual_follows_the_scores(followed):
    images, boxes = video(2)
    tracker = make()
    before = init(tracker, frame(images[0]), jnp.asarray(boxes[0]))
    assert before.usual == pytest.approx(1 - tracker.config.converged_error)
    after, prediction = predict(tracker, before, frame(images[1]), usual_lr=0.25)
    assert after.usual == pytest.approx(0.75 * float(before.usual) + 0.25 * float(prediction.score))


@pytest.mark.full
def test_the_box_follows_the_size_of_its_target():
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)

    def zoomed(side):
        texture = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
        image = np.full((128, 128, 3), 115, np.uint8)
        image[64 - side // 2 :, 64 - side // 2 :][:side, :side] = texture
        return image

    # Without update: the filter would learn the new size as well.
    box, tracker = [44, 44, 40, 40], make(crop_size=160, update_steps=0)
    for side, least, most in ((40, 39.5, 40.5), (52, 42, 56), (30, 26, 39)):
        last = states(tracker, [zoomed(40)] + [zoomed(side)] * 10, np.array(box, np.float32))[-1]
        assert least < last.size[0] < most
        assert last.size[0] == pytest.approx(last.size[1])


def test_the_query_loss_is_the_regression_of_what_was_fitted():
    tracker, task = make("none"), episode("dslt")
    filters = jax.random.normal(jax.random.key(0), tracker.initial.filters.shape)
    tracker = tracker.replace(initial=tracker.initial.replace(filters=filters))
    outer_loss = jax.jit(lambda task: tracker.outer_loss(task)[0])
    loss = outer_loss(task)
    support, query = jax.jit(tracker.episode_samples)(task)
    target = tracker.config.target_shape(task.support_boxes[0, 2:])
    np.testing.assert_allclose(support.target, target, rtol=1e-6)
    response = tracker.initial.response(tracker.maps(tracker.initial, query.features), target)
    regression = tracker.config.regression
    assert loss == pytest.approx(float(regression.data_loss(response, query)), rel=1e-5)
    assert outer_loss(task.replace(query_weights=jnp.zeros(2))) == 0


def test_an_episode_of_features_is_that_of_its_images():
    tracker, task = make("none"), episode("dslt")
    see = tracker.backbone
    seen = task.replace(
        support_images=see(task.support_images), query_images=see(task.query_images)
    )
    for left, right in zip(
        jax.tree.leaves(tracker.episode_samples(task)),
        jax.tree.leaves(tracker.episode_samples(seen)),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)
