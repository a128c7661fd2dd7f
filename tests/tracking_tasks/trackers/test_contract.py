"""The contract that every tracker passes with every rule, and the class around it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tracking_tasks
from basics.errors import InputError
from tests.products import chosen
from tests.tracking_tasks.striped import SIZE, frame, video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import (
    RULES,
    SMALL,
    backbone,
    default_pairs,
    episode,
    make,
    other_rules,
    pairs,
)
from tracking_tasks import checkpoints
from tracking_tasks.episode import Frame
from tracking_tasks.trackers import TRACKERS

# A rule whose fit is smooth, and constants that make the outer loss smooth and its gradient exact:
# elsewhere targets are estimated, which no gradient sees, and a fit is cut into windows.
SMOOTH = {
    "dimp": ("steepest_descent", {}),
    "dslt": ("gru", {}),
    "gradnet": ("gradient_network", {}),
    "meta_rtt": ("learned_rates", {"simulation": "true", "train_steps": 3, "online_steps": 3}),
    "roam": ("lstm", {"simulation": "true", "adjoint": "unrolled"}),
}


def outer_loss(tracker, episode):
    """The outer loss by the vector of all meta-parameters, and where they are."""
    start, unravel = jax.flatten_util.ravel_pytree(tracker.replace(backbone=None))

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(meta):
        return unravel(meta).replace(backbone=tracker.backbone).outer_loss(episode)

    return loss, start


# ROAM's compiles for the longest; its model's own gradient is held to differences beside it.
@pytest.mark.parametrize(("name",), chosen(zip(SMOOTH), zip(sorted({*SMOOTH} - {"roam"}))))
def test_the_outer_gradient_is_the_slope_of_the_outer_loss(name):
    """By central differences along it, that change the loss by a thousandth of itself."""
    rule, changes = SMOOTH[name]
    config = dataclasses.replace(SMALL[name], **changes)
    loss, start = outer_loss(TRACKERS[name].create(rule, config, Tiny()), episode(name))
    (value, _), gradient = loss(start)
    slope = np.linalg.norm(gradient)
    step = 1e-3 * value / slope
    ahead, behind = (loss(start + way * gradient / slope)[0][0] for way in (step, -step))
    assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize(("name", "rule"), pairs(default=()))  # the slopes above are of them all
def test_outer_loss_and_its_gradient_are_finite(name, rule):
    loss, start = outer_loss(make(name, rule, stand_in=True), episode(name))
    (value, metrics), gradient = loss(start)
    assert jnp.isfinite(value) and value > 0
    assert all(jnp.isfinite(metric) for metric in metrics.values())
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


# The others track in the full run.
@pytest.mark.parametrize(("rule",), chosen(zip(RULES), zip(other_rules())))
def test_every_rule_fits_to_an_episode(rule):
    """In the tracker that compiles most quickly."""
    tracker = make("dslt", rule, stand_in=True)
    found = jax.jit(lambda tracker, episode: tracker.adapt(episode, 3))(tracker, episode("dslt"))
    assert np.isfinite(found.inner_losses).all() and np.isfinite(found.query_losses).all()
    first, *_, last = np.asarray(found.inner_losses)
    assert last == first if rule == "none" else last < 0.9 * first


def online(name, rule=None, stand_in=True):
    """A tracker, with its own rule or another, on the stand-in for a backbone or on the default."""
    rule = rule or TRACKERS[name].default_rule
    return tracking_tasks.OnlineTracker(make(name, rule, stand_in), rule)


# The default backbone compiles for seconds: in the default run those are on it that need it to
# follow anything.
NEED_FEATURES = ("dslt", "meta_rtt", "roam")
ON_BACKBONES = chosen(
    [(name, on) for name in TRACKERS for on in (True, False) if not (on and name in NEED_FEATURES)],
    [(name, name not in NEED_FEATURES) for name in TRACKERS],
)


@pytest.mark.parametrize(("name", "rule"), pairs())
def test_every_rule_tracks_without_nan(name, rule):
    images, boxes = video()
    stand_in = rule != TRACKERS[name].default_rule or name not in NEED_FEATURES
    predicted, scores = online(name, rule, stand_in).track(images, boxes[0])
    assert predicted.shape == (4, 4) and np.isfinite(predicted).all() and np.isfinite(scores).all()
    np.testing.assert_array_equal(predicted[0], boxes[0])


@pytest.mark.parametrize(("name", "stand_in"), ON_BACKBONES)
def test_the_default_rule_follows_a_plain_target(name, stand_in):
    images, boxes = video(12)
    predicted, scores = online(name, stand_in=stand_in).track(images, boxes[0])
    assert tracking_tasks.evaluation.overlap(predicted, boxes).min() > 0.6
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(("name",), chosen(zip(TRACKERS), [("gradnet",)]))
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


@pytest.mark.parametrize(("name", "stand_in"), ON_BACKBONES)
def test_a_blank_frame_and_a_vanished_target_do_no_harm(name, stand_in):
    images, boxes = video(3)
    tracker = online(name, stand_in=stand_in)
    tracker.init(images[0], boxes[0])
    for image in (np.zeros_like(images[0]), np.full_like(images[0], 255), images[1][:, ::-1]):
        prediction = tracker.update(np.ascontiguousarray(image))
        assert np.isfinite(prediction.box).all() and np.isfinite(prediction.score)
    x, y, w, h = prediction.box
    assert x < SIZE and y < SIZE and x + w > 0 and y + h > 0


@pytest.mark.parametrize(("name", "stand_in"), ON_BACKBONES)
def test_a_box_at_the_border_and_another_frame_size_are_fine(name, stand_in):
    images, _ = video(2)
    wide = [np.pad(image, ((0, 30), (0, 50), (0, 0))) for image in images]
    boxes, _ = online(name, stand_in=stand_in).track(wide, [-10.0, 100.0, 30.0, 40.0])
    assert np.isfinite(boxes).all()


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_the_state_keeps_its_types_so_that_the_step_compiles_once(name):
    tracker = make(name, TRACKERS[name].default_rule, stand_in=True)
    images, boxes = video(1)
    states = []

    def first_and_next(frame, box):
        states.append(tracker.init(frame, box))
        states.append(tracker.step(states[0], frame)[0])
        return ()

    jax.make_jaxpr(first_and_next)(frame(images[0]), jnp.asarray(boxes[0]))
    start, after = (jax.tree.map(jax.typeof, jax.tree.leaves(state)) for state in states)
    assert start == after
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])


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


@pytest.mark.parametrize(
    ("name", "rule"), pairs([*default_pairs(), *(("gradnet", rule) for rule in other_rules())])
)
def test_a_checkpoint_restores_every_leaf_and_constant(name, rule, tmp_path):
    tracker = make(name, rule)
    half_more = lambda leaf: jax.device_put(np.asarray(leaf) + np.float32(0.5))
    moved = jax.tree.map(half_more, tracker.replace(backbone=None))
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
        name = "roam"

    path = tmp_path / "weights.safetensors"
    other = Other.create("none", SMALL["dimp"], backbone())
    checkpoints.save(path, other.replace(backbone=None), "none")
    with pytest.raises(InputError, match="'roam', not 'dimp'"):
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
