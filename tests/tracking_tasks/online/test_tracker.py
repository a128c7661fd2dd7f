"""What a user hands in and gets back, of one target and of several."""

import dataclasses
import functools
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from basics.leaves import named_leaves, with_leaves
from tests.tracking_tasks.striped import video
from tests.tracking_tasks.trackers.small import make
from tracking_tasks.episode import Prediction
from tracking_tasks.online import MultiTracker, OnlineTracker, programs, redetection


@functools.cache
def pure():
    return make("gradnet", "none", stand_in=True)


def loaded():
    return OnlineTracker(pure(), "none")


IMAGES, BOXES = video(4)


def test_init_takes_what_update_takes():
    expected, _ = loaded().track(IMAGES[:2], BOXES[0])
    forms = (np.asarray, Image.fromarray, lambda image: image.tolist())
    for form in forms:
        tracker = loaded()
        tracker.init(form(IMAGES[0]), BOXES[0].tolist())
        np.testing.assert_array_equal(tracker.update(form(IMAGES[1])).box, expected[1])


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("said", [True, False])
def test_constants_say_whether_an_absent_target_is_looked_for(monkeypatch, said, targets):
    away = Prediction(np.float32([1, 2, 3, 4]), 0.9, True)
    monkeypatch.setattr(redetection, "_step_at", lambda tracker, state, frame, at: (state, away))
    constants = dataclasses.replace(
        pure().config, redetect=said, present_score=1e6, found_again_score=0.8
    )
    tracker = OnlineTracker(pure().replace(config=constants), "none").clone()
    images = [*IMAGES, *IMAGES][: 2 + pure().config.redetect_patience]
    boxes, _ = tracker.track(images, BOXES[0] if targets == 1 else BOXES[[0, 0]])
    found = (boxes[-1] == away.box).all()
    assert found == said and not (boxes[-2] == away.box).any()


def test_no_second_program_compiles_once_a_target_is_absent(caplog):
    constants = dataclasses.replace(
        pure().config, redetect=True, present_score=1e6, found_again_score=1e6
    )
    tracker = OnlineTracker(pure().replace(config=constants), "none")
    tracker.init(IMAGES[0], BOXES[0])
    tracker.update(IMAGES[1])
    tracker.update(IMAGES[2])
    with jax.log_compiles(), warnings.catch_warnings(), caplog.at_level("WARNING"):
        for image in [*IMAGES, *IMAGES]:
            tracker.update(image)
    compiled = re.findall(r"Compiling jit\((\w+)\)", caplog.text)
    assert "_copied" in compiled and not {"_advance", "_step_at"} & set(compiled)


def test_the_program_of_a_step_is_compiled_while_the_first_frame_is_fitted_to(caplog, unchecked):
    # Unchecked, as lowering makes pytrees of descriptions, which are no arrays.
    wide = np.pad(IMAGES[0], ((0, 300), (0, 0), (0, 0)))  # of a size that no other test has
    tracker = loaded()
    tracker.init(wide, BOXES[0])
    tracker._programs._ahead.result()
    with jax.log_compiles(), warnings.catch_warnings(), caplog.at_level("WARNING"):
        for _ in range(2):
            tracker.update(wide)
    assert "Compiling" not in caplog.text


@pytest.mark.parametrize("once", [True, False])
def test_xla_is_given_the_options_of_either_program(monkeypatch, once):
    options = {once: {"xla_no_such_option": True}, not once: None}
    monkeypatch.setattr(programs, "quick_options", options.__getitem__)
    monkeypatch.setattr(programs, "_program", programs._program.__wrapped__)
    tracker = loaded()
    if not once:
        tracker.init(IMAGES[0], BOXES[0])
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        tracker.init(IMAGES[0], BOXES[0]) if once else tracker.update(IMAGES[1])


def test_what_fails_ahead_is_said_by_the_step_itself(monkeypatch):
    tracker = loaded()
    tracker.tracker = pure().replace(config=dataclasses.replace(pure().config, scales=(0.9, 1.1)))
    monkeypatch.setattr(type(pure()), "scale_interval", 2)
    tracker.init(IMAGES[0], BOXES[0])
    with pytest.raises(InputError, match="must hold 1"):
        tracker.update(IMAGES[1])


def test_trackers_alike_share_their_programs(caplog):
    loaded().track(IMAGES[:2], BOXES[0])
    faint = with_leaves(pure(), {"log_gain": named_leaves(pure())["log_gain"] - 1})
    with jax.log_compiles(), warnings.catch_warnings(), caplog.at_level("WARNING"):
        _, scores = OnlineTracker(faint, "none").track(IMAGES[:2], BOXES[0])
    assert not re.findall(r"Compiling jit\((_advance|_init)\)", caplog.text)
    assert scores[1] < loaded().track(IMAGES[:2], BOXES[0])[1][1]


@pytest.mark.parametrize("image", [[[[300, 0, 0]]], IMAGES[0].astype(float), IMAGES[0][..., 0]])
def test_what_is_no_image_is_refused_by_both(image):
    tracker = loaded()
    with pytest.raises(InputError, match="an image must be uint8"):
        tracker.init(image, BOXES[0])
    tracker.init(IMAGES[0], BOXES[0])
    with pytest.raises(InputError, match="an image must be uint8"):
        tracker.update(image)


def test_a_state_can_be_put_back_and_taken_away():
    tracker = loaded()
    tracker.init(IMAGES[0], BOXES[0])
    state = jax.tree.map(jnp.copy, tracker.state)  # since an update uses it up
    expected = tracker.update(IMAGES[1])
    tracker.state = state
    np.testing.assert_array_equal(tracker.update(IMAGES[1]).box, expected.box)
    tracker.state = None
    assert tracker.state is None
    with pytest.raises(InputError, match="no target yet"):
        tracker.update(IMAGES[1])


def test_arrays_that_are_handed_out_can_be_written_to():
    tracker = loaded()
    tracker.init(IMAGES[0], BOXES[0])
    first = tracker.update(IMAGES[1])
    before = first.box.copy()
    first.box[:2] += 1000
    np.testing.assert_array_equal(first.box[:2], before[:2] + 1000)
    assert tracker.update(IMAGES[2]).box[0] < 200  # its own state is not that array
    boxes, _ = tracker.track(IMAGES, BOXES[0])
    boxes[:] = 0


def test_a_refused_init_leaves_no_old_target():
    tracker = loaded()
    tracker.init(IMAGES[0], BOXES[0])
    with pytest.raises(InputError, match="too small"):
        tracker.init(IMAGES[0], [0, 0, 0, 0])
    with pytest.raises(InputError, match="no target yet"):
        tracker.update(IMAGES[1])


PAIR = np.float32([[30, 40, 24, 24], [70, 80, 20, 30]])


def test_several_targets_have_the_boxes_of_one_by_one():
    boxes, scores = loaded().track(IMAGES, PAIR)
    assert (boxes.shape, scores.shape) == ((4, 2, 4), (4, 2))
    for number, box in enumerate(PAIR):
        alone, alone_scores = loaded().track(IMAGES, box)
        np.testing.assert_array_equal(boxes[:, number], alone)
        np.testing.assert_array_equal(scores[:, number], alone_scores)
    assert np.abs(boxes[-1, 0] - PAIR[0]).max() > 3  # it moves


def test_targets_have_names_come_and_go():
    many = MultiTracker(pure())  # that is what `loaded` holds
    assert many.update(IMAGES[0]) == {}
    many.init(IMAGES[0], {"dog": PAIR[0]})
    many.add("cat", IMAGES[0], PAIR[1])
    found = many.update(IMAGES[1])
    assert many.targets == list(found) == ["dog", "cat"]
    found["dog"].box[0] += 1  # the caller's own
    many.remove("cat")
    assert list(many.update(IMAGES[2])) == ["dog"]
    with pytest.raises(InputError, match="too small"):
        many.init(IMAGES[0], [PAIR[0], [0, 0, 1, 1]])
    assert many.targets == []
