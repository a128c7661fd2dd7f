"""The contract that every tracker passes with every rule, and the class around it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tracking_tasks
from basics.errors import InputError
from tests.tracking_tasks.striped import SIZE, frame, video
from tests.tracking_tasks.trackers.small import RULES, SMALL, backbone, episode, make
from tracking_tasks import checkpoints
from tracking_tasks.episode import Frame
from tracking_tasks.trackers import TRACKERS


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", TRACKERS)
def test_outer_loss_and_its_gradient_are_finite(name, rule):
    tracker = make(name, rule, stand_in=True)

    @jax.jit
    def loss(meta):
        return meta.replace(backbone=tracker.backbone).outer_loss(episode(name))

    meta = tracker.replace(backbone=None)
    (value, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(meta)
    assert jnp.isfinite(value) and value > 0
    assert all(jnp.isfinite(metric) for metric in metrics.values())
    leaves = jax.tree.leaves(gradient)
    assert all(jnp.isfinite(leaf).all() for leaf in leaves)
    assert any(jnp.abs(leaf).max() > 0 for leaf in leaves)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", TRACKERS)
def test_every_rule_tracks_without_nan(name, rule):
    images, boxes = video()
    tracker = tracking_tasks.OnlineTracker(make(name, rule, stand_in=True), rule)
    predicted, scores = tracker.track(images, boxes[0])
    assert predicted.shape == (4, 4) and np.isfinite(predicted).all() and np.isfinite(scores).all()
    np.testing.assert_array_equal(predicted[0], boxes[0])


@pytest.mark.parametrize("name", TRACKERS)
def test_the_default_rule_follows_a_plain_target(name):
    images, boxes = video(12)
    tracker = tracking_tasks.OnlineTracker(make(name, TRACKERS[name].default_rule), "default")
    predicted, _ = tracker.track(images, boxes[0])
    assert tracking_tasks.evaluation.overlap(predicted, boxes).min() > 0.6


@pytest.mark.parametrize("name", TRACKERS)
def test_scan_over_a_video_equals_the_class(name):
    images, boxes = video()
    tracker = make(name, TRACKERS[name].default_rule, stand_in=True)

    @jax.jit
    def scanned(tracker, images, box):
        extent = jnp.array([SIZE, SIZE])
        state = tracker.init(Frame(images[0], extent), box)
        step = lambda state, image: tracker.step(state, Frame(image, extent))
        return jax.lax.scan(step, state, images[1:])[1]

    predictions = scanned(tracker, jnp.stack([jnp.asarray(image) for image in images]), boxes[0])
    online = tracking_tasks.OnlineTracker(tracker, "default")
    boxes_one_by_one, scores = online.track(images, boxes[0])
    np.testing.assert_allclose(predictions.box, boxes_one_by_one[1:], atol=1e-2)
    np.testing.assert_allclose(predictions.score, scores[1:], atol=1e-3)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_blank_frame_and_a_vanished_target_do_no_harm(name):
    images, boxes = video(3)
    tracker = tracking_tasks.OnlineTracker(
        make(name, TRACKERS[name].default_rule, stand_in=True), "default"
    )
    tracker.init(images[0], boxes[0])
    for image in (np.zeros_like(images[0]), np.full_like(images[0], 255), images[1][:, ::-1]):
        prediction = tracker.update(np.ascontiguousarray(image))
        assert np.isfinite(prediction.box).all() and np.isfinite(prediction.score)
    x, y, w, h = prediction.box
    assert x < SIZE and y < SIZE and x + w > 0 and y + h > 0


@pytest.mark.parametrize("name", TRACKERS)
def test_a_box_at_the_border_and_another_frame_size_are_fine(name):
    images, _ = video(2)
    tracker = tracking_tasks.OnlineTracker(
        make(name, TRACKERS[name].default_rule, stand_in=True), "default"
    )
    wide = [np.pad(image, ((0, 30), (0, 50), (0, 0))) for image in images]
    boxes, _ = tracker.track(wide, [-10.0, 100.0, 30.0, 40.0])
    assert np.isfinite(boxes).all()


@pytest.mark.parametrize("name", TRACKERS)
def test_the_online_step_compiles_once_for_many_frame_sizes(name):
    tracker = make(name, TRACKERS[name].default_rule, stand_in=True)
    traces = []

    @jax.jit
    def step(state, frame):
        traces.append(None)
        return tracker.step(state, frame)

    images, boxes = video(4)
    state = jax.jit(tracker.init)(frame(images[0]), jnp.asarray(boxes[0]))
    for width, image in zip((SIZE, 100, 90), images[1:], strict=True):
        state, _ = step(state, Frame(jnp.asarray(image), jnp.array([width, SIZE])))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint8), "shape"),
        (np.zeros((8, 8, 3), np.float32), "uint8"),
        (np.zeros((0, 8, 3), np.uint8), "shape"),
    ],
)
def test_an_image_that_is_not_one_is_refused(image, message):
    tracker = tracking_tasks.OnlineTracker(make("dimp", "none"), "none")
    with pytest.raises(InputError, match=message):
        tracker.init(image, [0, 0, 4, 4])


def test_update_before_init_is_refused():
    tracker = tracking_tasks.OnlineTracker(make("dimp", "none"), "none")
    with pytest.raises(InputError, match=r"init\(image, box\)"):
        tracker.update(video(1)[0][0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", TRACKERS)
def test_a_checkpoint_restores_every_leaf_and_constant(name, rule, tmp_path):
    tracker = make(name, rule)
    moved = jax.tree.map(lambda leaf: leaf + 0.5, tracker.replace(backbone=None))
    path = tmp_path / "weights.safetensors"
    checkpoints.save(path, moved, rule, command="test")
    restored, restored_rule = checkpoints.load(path, name, backbone=backbone())
    assert restored_rule == rule and restored.config == tracker.config
    expected = jax.tree.leaves(moved)
    actual = jax.tree.leaves(restored.replace(backbone=None))
    for left, right in zip(expected, actual, strict=True):
        np.testing.assert_array_equal(left, right)


def test_another_rule_takes_the_rest_from_the_checkpoint(tmp_path):
    tracker = make("dimp", "steepest_descent")
    moved = jax.tree.map(lambda leaf: leaf + 0.5, tracker.replace(backbone=None))
    path = tmp_path / "weights.safetensors"
    checkpoints.save(path, moved, "steepest_descent")
    other, rule = checkpoints.load(path, "dimp", "learned_rates", backbone())
    assert rule == "learned_rates"
    np.testing.assert_array_equal(other.head.projection[...], moved.head.projection[...])
    untrained = make("dimp", "learned_rates").optimizer
    np.testing.assert_array_equal(other.optimizer.rates, untrained.rates)


def test_damaged_checkpoints_end_in_a_sentence(tmp_path):
    whole = tmp_path / "whole.safetensors"
    checkpoints.save(whole, make("dimp", "none").replace(backbone=None), "none")
    data = whole.read_bytes()
    for length in (0, 4, 100, len(data) // 2, len(data) - 1):
        part = tmp_path / f"part{length}.safetensors"
        part.write_bytes(data[:length])
        with pytest.raises(InputError, match=part.name):
            checkpoints.load(part, "dimp", backbone=backbone())
    with pytest.raises(InputError, match="no such file"):
        checkpoints.load(tmp_path / "absent", "dimp")


def test_a_checkpoint_of_another_tracker_is_named(tmp_path, monkeypatch):
    class Other(TRACKERS["dimp"]):
        name = "other"

    path = tmp_path / "weights.safetensors"
    other = Other.create("none", SMALL["dimp"], backbone())
    checkpoints.save(path, other.replace(backbone=None), "none")
    with pytest.raises(InputError, match="'other', not 'dimp'"):
        checkpoints.load(path, "dimp")


def test_a_checkpoint_of_another_size_is_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    tracker = make("dimp", "none").replace(backbone=None)
    loss = dataclasses.replace(tracker.config.loss, bins=9)
    wrong = tracker.replace(config=dataclasses.replace(tracker.config, loss=loss))
    checkpoints.save(path, wrong, "none")
    with pytest.raises(InputError, match="does not fit"):
        checkpoints.load(path, "dimp", backbone=backbone())


def test_unknown_names_list_the_known_ones():
    with pytest.raises(InputError, match=r"'kcf'.*dimp"):
        tracking_tasks.load("kcf")
    with pytest.raises(InputError, match=r"'newton'.*steepest_descent"):
        tracking_tasks.load("dimp", inner_optimizer="newton")
