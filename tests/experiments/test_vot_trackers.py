import configparser

import pytest

import tracking_tasks
from experiments import vot_trackers
from tests.experiments.programs import Follower, run


@pytest.fixture
def follower(monkeypatch):
    tracker = Follower()
    tracker.shapes = []
    tracker.init = lambda image, box: (
        tracker.shapes.append(image.shape),
        Follower.init(tracker, image, box),
    )
    monkeypatch.setattr(tracking_tasks, "load", lambda *args, **kwargs: tracker)
    return tracker


def test_the_registry_is_written_and_programs_are_compiled(tmp_path, follower):
    path = tmp_path / "new" / "trackers.ini"
    flags = [f"--output={path}", "--identifier=ours", "--frame_sizes=320x240,64x48"]
    assert run(vot_trackers, *flags) == 0
    parser = configparser.ConfigParser()
    parser.read(path)
    assert parser.sections() == ["ours"]
    assert parser["ours"]["arg_tracker"] == "dimp"
    assert parser["ours"]["arg_inner_optimizer"] == "steepest_descent"
    assert follower.shapes == [(240, 320, 3), (48, 64, 3)]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--frame_sizes=640", "--frame_sizes=640 is no size"),
        ("--frame_sizes=640x15", "--frame_sizes=640x15 is no size"),
        ("--identifier=a b", "--identifier=a b may hold"),
    ],
)
def test_wrong_flags(tmp_path, capsys, follower, flag, message):
    assert run(vot_trackers, f"--output={tmp_path / 'trackers.ini'}", flag) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
