"""What was traced once is read from a file, says the same, and is never older than the code."""

import dataclasses
import functools
import os
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics import compilation
from tests.tracking_tasks.striped import video
from tests.tracking_tasks.trackers.small import make
from tracking_tasks import boxes
from tracking_tasks.online import OnlineTracker, fingerprint, programs, traces

IMAGES, BOXES = video(4)


@pytest.fixture
def folder(tmp_path, monkeypatch, without_checks):
    """A folder for traces, and no program that an earlier test compiled."""
    monkeypatch.setattr(compilation, "folder_of_traces", lambda: tmp_path)
    forget(monkeypatch)
    return tmp_path


def forget(monkeypatch):
    """Goes on as a new process would, once the thread of the old one is done."""
    programs._pool.submit(int).result()
    monkeypatch.setattr(programs, "_program", functools.cache(programs._program.__wrapped__))
    monkeypatch.setattr(programs, "_structures", {})
    monkeypatch.setattr(programs, "_begun", {})


@pytest.fixture
def exported(monkeypatch):
    """What is traced into files; of JAX's own code, whose changes have no part in a fingerprint."""
    calls = mock.Mock(wraps=jax.export.export)
    monkeypatch.setattr(jax.export, "export", calls)
    return calls


def centers(box):
    return [boxes.center(box)]


def tracked(**constants):
    tracker = make("gradnet", "none", stand_in=True)
    config = dataclasses.replace(tracker.config, **constants)
    return OnlineTracker(tracker.replace(config=config), "none").track(IMAGES, BOXES[0])


def test_a_second_process_traces_nothing_and_finds_the_same_boxes(folder, exported, monkeypatch):
    first, scores = tracked()
    assert exported.call_count == len(list(folder.iterdir())) == 2
    forget(monkeypatch)
    again, same = tracked()
    assert exported.call_count == 2
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(same, scores)
    monkeypatch.undo()
    np.testing.assert_array_equal(tracked()[0], first)  # without files


def test_the_state_of_a_tracker_is_there_whether_its_trace_was_read_or_not(folder, monkeypatch):
    def state():
        tracker = OnlineTracker(make("gradnet", "none", stand_in=True), "none")
        assert tracker.state is None
        tracker.init(IMAGES[0], BOXES[0])
        return jax.tree.leaves(tracker.state)

    first = state()
    forget(monkeypatch)
    for leaf, before in zip(state(), first, strict=True):
        np.testing.assert_array_equal(leaf, before)


def test_other_constants_and_changed_code_are_traced_anew(folder, exported, monkeypatch):
    before, _ = tracked()
    other, _ = tracked(search_factor=3.0)
    assert exported.call_count == len(list(folder.iterdir())) == 4
    assert np.abs(other - before).max() > 0.01
    forget(monkeypatch)
    real = boxes.from_center
    monkeypatch.setattr(boxes, "from_center", lambda center, size: real(center + 1.0, size))
    changed, _ = tracked()
    assert exported.call_count == len(list(folder.iterdir())) == 6
    assert np.abs(changed - before)[1:].min(0).max() > 0.5


class Shy:
    def __getattr__(self, name):
        raise ValueError("ask me not")

    def __call__(self, box):
        return centers(box)


@pytest.mark.parametrize("reason", ["foreign", "shy", "fails", "full"])
def test_where_nothing_can_be_kept_programs_run_as_ever(folder, reason, monkeypatch):
    function = centers
    if reason == "foreign":
        monkeypatch.setattr(fingerprint, "_OWN", {"tests"})
    elif reason == "shy":
        function = Shy()
    elif reason == "fails":
        monkeypatch.setattr(jax.export, "export", lambda *_: 1 / 0)
    else:
        monkeypatch.setattr(traces, "write_atomic", mock.Mock(side_effect=OSError("disk is full")))
    found = jax.jit(traces.kept(function))(jnp.array([1.0, 2.0, 4.0, 6.0]))
    np.testing.assert_array_equal(found, [[3.0, 5.0]])
    assert not list(folder.iterdir())


def test_what_a_function_raises_is_said_as_ever(folder):
    with pytest.raises(TypeError, match="size"):
        jax.jit(traces.kept(functools.partial(centers, size=3)))(jnp.ones(4))


def test_the_newest_files_stay(folder, monkeypatch):
    monkeypatch.setattr(traces, "_MOST", 3)
    for age in range(1, 5):
        (folder / f"{age}").touch()
        os.utime(folder / f"{age}", (1e9 - age, 1e9 - age))
    jax.jit(traces.kept(centers))(jnp.ones(4))
    newest, *others = sorted(folder.iterdir(), key=lambda path: -path.stat().st_mtime)
    assert [path.name for path in others] == ["1", "2"]
    assert len(newest.name) == 64  # what was traced


def test_a_damaged_file_is_made_anew(folder, exported):
    call = lambda: jax.jit(traces.kept(centers))(jnp.array([1.0, 2.0, 4.0, 6.0]))
    np.testing.assert_allclose(call(), [[3.0, 5.0]])
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole[:40] + b"x" + whole[41:]):
        file.write_bytes(damaged)
        np.testing.assert_allclose(call(), [[3.0, 5.0]])
        assert file.read_bytes() == whole
    assert exported.call_count == 4
