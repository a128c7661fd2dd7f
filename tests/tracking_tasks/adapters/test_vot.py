"""Our trackers in vot-toolkit: its side of the protocol talks to them, its programs run them."""

import json
import os
import pathlib
import queue
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

import tracking_tasks
from basics.errors import InputError
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.adapters import vot
from tracking_tasks.data.sequences import Sequence

ROOT = pathlib.Path(__file__).parents[3]


class Follower:
    """A tracker that moves its box by a pixel a frame, and notes what it is asked."""

    def __init__(self):
        self.calls = []

    def init(self, image, box):
        self.calls.append(("init", image.shape, int(image[0, 0, 0])))
        self.box = np.array(box, np.float32)

    def update(self, image):
        self.calls.append(("update", image.shape, int(image[0, 0, 0])))
        self.box = self.box + np.float32([1, 0, 0, 0])
        return types.SimpleNamespace(box=self.box, score=0.25)


@pytest.fixture
def follower(monkeypatch):
    tracker = Follower()
    loaded = []
    monkeypatch.setattr(
        tracking_tasks, "load", lambda *args, **kwargs: loaded.append((args, kwargs)) or tracker
    )
    tracker.loaded = loaded
    return tracker


@pytest.fixture
def frames(tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for index, path in enumerate(paths):
        Image.new("RGB", (64, 48), (10 + index, 0, 0)).save(path)
    return [str(path) for path in paths]


def test_what_the_toolkit_sends_and_gets(follower, frames):
    tracker = vot.VotTracker(tracker="dimp", checkpoint="some.safetensors")
    assert follower.loaded == [(("dimp", None), {"checkpoint": "some.safetensors"})]
    assert tracker.init(frames[0], ((5.0, 6.0, 20.0, 10.0), {}), {}) == (
        (5, 6, 20, 10),
        {"confidence": 1},
    )
    assert tracker.update(frames[1]) == ((6, 6, 20, 10), {"confidence": 0.25})
    assert tracker.update({"depth": "none", "color": frames[2]})[0] == (7, 6, 20, 10)
    # Programs are compiled on a blank frame first, once a size.
    shape = (48, 64, 3)
    expected = [("init", 0), ("update", 0), ("init", 10), ("update", 11), ("update", 12)]
    assert follower.calls == [(name, shape, value) for name, value in expected]
    tracker.init(frames[0], ((5.0, 6.0, 20.0, 10.0), {}), {})
    assert follower.calls[5:] == [("init", shape, 10)]


def test_an_outline_starts_from_the_box_around_it():
    outline = [(3.0, 5.0), (9.0, 4.0), (12.0, 10.0), (2.0, 8.0)]
    np.testing.assert_array_equal(vot.upright(outline), [2, 4, 10, 6])


def test_the_toolkit_s_worker_calls_it(follower, frames):
    worker = pytest.importorskip("vot.tracker.python")
    tasks, answers = queue.Queue(), queue.Queue()
    for task, frame, new in (
        ("initialize", frames[0], ((5.0, 6.0, 20.0, 10.0), {})),
        ("update", frames[1], []),
        ("stop", None, None),
    ):
        tasks.put({"type": task, "frame": frame, "new": new, "properties": {}})
    command = f"{vot.__name__}:{vot.VotTracker.__name__}"
    worker._worker_main(command, tasks, answers, {"tracker": "dimp"}, "init", "update")
    ready, started, updated, stopped = [answers.get_nowait() for _ in range(4)]
    assert (ready["ok"], ready["multiobject"]) == (True, False)
    assert worker._decode_region(started["status"][0]).x == 5
    assert worker._decode_region(updated["status"][0]).x == 6
    assert updated["status"][1] == {"confidence": 0.25}
    assert stopped["event"] == "stopped"


def test_the_toolkit_reads_the_registry(tmp_path):
    path = tmp_path / "trackers.ini"
    path.write_text("[other]\nprotocol = folder\ncommand = x\n")
    vot.add_to_registry(path, "dimp", {"tracker": "dimp", "checkpoint": "/50% off"})
    vot.add_to_registry(path, "dimp", {"tracker": "dimp", "checkpoint": "/60% off"})
    registry = pytest.importorskip("vot.tracker").Registry([str(path)])
    assert registry.identifiers() == ["dimp", "other"]
    described = registry["dimp"].describe()
    assert described["command"] == "tracking_tasks.adapters.vot:VotTracker"
    assert described["arguments"] == {"tracker": "dimp", "checkpoint": "/60% off"}
    assert (described["protocol"], described["multiobject"]) == ("python", "")
    assert not registry["dimp"].runtime().multiobject


def test_a_damaged_registry_is_kept(tmp_path):
    path = tmp_path / "trackers.ini"
    path.write_text("not an ini file")
    with pytest.raises(InputError, match="damaged"):
        vot.add_to_registry(path, "dimp", {})
    assert path.read_text() == "not an ini file"


@pytest.mark.slow
def test_the_toolkit_s_programs_run_dimp(tmp_path):
    pytest.importorskip("vot.tracker")
    random = np.random.default_rng(0)
    images = tuple(random.integers(0, 255, (120, 160, 3), np.uint8) for _ in range(6))
    sequence = Sequence("a", images, np.tile(np.float32([60, 40, 30, 30]), (6, 1)))
    write_layout(tmp_path / "sequences", "vot", [sequence])
    (tmp_path / "config.yaml").write_text("registry: [./trackers.ini]\nstack: ./stack.yaml\n")
    (tmp_path / "stack.yaml").write_text(
        "title: local\nexperiments:\n  baseline:\n    type: unsupervised\n    analyses:\n"
        "      - {type: average_accuracy, name: accuracy}\n"
    )
    run_module("experiments.vot_trackers", f"--output={tmp_path / 'trackers.ini'}")
    tested = run_module("vot", "--registry", str(tmp_path), "test", "dimp")
    assert "Test concluded successfuly" in tested
    workspace = ("--workspace", str(tmp_path))
    assert "Evaluation concluded" in run_module("vot", "evaluate", *workspace, "dimp")
    run_module("vot", "analysis", *workspace, "--name=scores", "dimp")
    (scores,) = (tmp_path / "analysis").rglob("scores.json")
    assert "accuracy" in json.dumps(json.loads(scores.read_text()))


def run_module(name, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
