"""A target that comes back elsewhere is looked for all over the frame, at a bounded cost."""

import functools
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online import redetection
from tracking_tasks.online.programs import Programs
from tracking_tasks.online.redetection import Redetection, places
from tracking_tasks.trackers import Tracker
from tracking_tasks.trackers.base import TrackerConfig

PATIENCE = TrackerConfig.redetect_patience
PLACES = TrackerConfig.redetect_places


@pytest.mark.parametrize(("spacing", "extent"), [(40.0, (640, 480)), (900.0, (640, 480))])
def test_places_cover_the_frame_from_the_nearest_on(spacing, extent):
    center = np.float32([500, 100])
    found = places(center, spacing, np.array(extent))
    distances = np.linalg.norm(found - center, axis=1)
    assert (np.diff(distances) >= 0).all()
    points = np.stack(np.meshgrid(np.arange(extent[0]), np.arange(extent[1])), -1).reshape(-1, 1, 2)
    reach = np.abs(points[::97] - found).max(-1).min(1)
    assert reach.max() <= 0.5 * spacing + 1
    assert len(found) <= np.prod(np.ceil(np.array(extent) / spacing))


MOVED: list[jax.Array] = []  # what a step at another place makes of the state


@pytest.fixture
def looked(monkeypatch):
    """The places that are looked at; the target is found where `looked.target` is."""
    found = types.SimpleNamespace(places=[], target=np.float32([1e6, 1e6]), score=0.95)

    def step_at(tracker, state, frame, center):
        found.places.append(tuple(center.tolist()))
        near = np.abs(center - found.target).max() <= 30
        box = np.float32([*center, 20, 20])
        return MOVED, Prediction(box, found.score if near else 0.1, near)

    monkeypatch.setattr(redetection, "_step_at", step_at)
    return found


def make(share=0.0, usual=None, **constants):
    config = TrackerConfig(found_again_score=0.9, found_again_share=share, **constants)
    tracker = mock.Mock(
        spec=Tracker,
        config=config,
        search_side=lambda size: 100.0,
        usual_score=lambda state: usual,
    )
    tree = lambda state: types.SimpleNamespace(center=state[0], size=state[1])
    programs = mock.Mock(spec=Programs, tracker=tracker, tree=tree)
    state = [jnp.array([50.0, 50.0]), jnp.array([20.0, 20.0])]
    frame = Frame(None, np.array([400, 300]))
    return Redetection(programs), state, frame


AWAY = Prediction(np.float32([40, 40, 20, 20]), 0.1, False)
SEEN = Prediction(np.float32([40, 40, 20, 20]), 1.0, True)


def test_a_target_is_found_again_wherever_it_comes_back(looked):
    redetect, state, frame = make()
    looked.target = np.float32([350, 250])
    for frames in range(1, 60):  # noqa: B007
        before = len(looked.places)
        kept, said = redetect.look(state, frame, AWAY)
        assert len(looked.places) - before <= PLACES
        if said.present:
            break
        assert (kept, said) == (state, AWAY)
    assert frames <= PATIENCE + np.ceil(
        len(places(np.array(state[0]), 40.0, frame.extent)) / PLACES
    )
    assert kept is MOVED
    np.testing.assert_allclose(said.box[:2], looked.target, atol=30)


def test_nothing_is_looked_for_while_the_target_is_there(looked):
    redetect, state, frame = make()
    for prediction in [SEEN, *[AWAY] * PATIENCE, SEEN, *[AWAY] * PATIENCE]:
        assert redetect.look(state, frame, prediction) == (state, prediction)
    assert looked.places == []


def test_what_only_looks_alike_is_not_taken(looked):
    redetect, state, frame = make()
    looked.target, looked.score = np.float32([350, 250]), 0.89
    for _ in range(60):
        assert redetect.look(state, frame, AWAY) == (state, AWAY)


@functools.cache
def scored(score):
    """Where the target was, said to be present or not without any meaning."""
    return Prediction(np.float32([40, 40, 20, 20]), score, score > 0.35)


@pytest.mark.parametrize(("score", "is_found"), [(0.25, True), (0.23, False)])
def test_a_target_of_low_scores_is_measured_by_its_own(looked, score, is_found):
    redetect, state, frame = make(share=0.6, usual=0.4)  # gone below 0.2, found from 0.24
    looked.target, looked.score = np.float32([70, 70]), score
    for _ in range(20):
        assert redetect.look(state, frame, scored(0.21)) == (state, scored(0.21))
    assert looked.places == []
    ends = [redetect.look(state, frame, scored(0.19))[0] is MOVED for _ in range(PATIENCE + 12)]
    assert looked.places
    assert any(ends) == is_found


@pytest.mark.parametrize(("share", "usual"), [(0.0, 0.4), (0.6, None)])
def test_without_a_share_or_a_usual_score_it_is_found_by_the_score(looked, share, usual):
    redetect, state, frame = make(share, usual)
    looked.target, looked.score = np.float32([70, 70]), 0.89
    for _ in range(40):
        assert redetect.look(state, frame, scored(0.3)) == (state, scored(0.3))
    assert looked.places
    looked.score = 0.9
    assert any(redetect.look(state, frame, scored(0.3))[0] is MOVED for _ in range(12))


def test_so_many_places_are_looked_at_in_a_frame(looked):
    redetect, state, frame = make(redetect_places=5)
    for _ in range(PATIENCE + 2):
        redetect.look(state, frame, AWAY)
    assert len(looked.places) == 10
