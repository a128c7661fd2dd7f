import json
import shutil

import numpy as np
import pytest

import tracking_tasks
from experiments import plot, vot
from tests.experiments.programs import Follower, error_line, picture_width, run
from tests.products import chosen
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.data.sequences import Sequence

FRAMES = 130


class Slipping(Follower):
    """A tracker that follows, but for a jump in the frame that is white."""

    def update(self, image):
        prediction = super().update(image)
        if image.min() == 255:
            prediction.box = prediction.box + np.float32([0, 30, 0, 0])
        return prediction


@pytest.fixture
def flags(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking_tasks, "load", lambda *_, **__: Slipping())
    images = [np.zeros((60, 200, 3), np.uint8) for _ in range(FRAMES)]
    images[20][:] = 255
    boxes = np.float32([[10 + index, 15, 20, 24] for index in range(FRAMES)])
    anchors = np.zeros(FRAMES, int)
    anchors[[0, 10]] = 1
    write_layout(tmp_path / "data", "vot", [Sequence("a", tuple(images), boxes, anchors=anchors)])
    return f"--dataset_dir={tmp_path / 'data'}", f"--output_dir={tmp_path / 'out'}"


def test_supervised(flags, tmp_path, capsys):
    assert run(vot, "--challenge=vot2018", *flags) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    # One failure after 20 frames, and a fragment of 105 to the end.
    lengths = np.arange(100, 105)
    expected = np.mean((1 + 19 / lengths) / 2)
    assert results["eao"] == pytest.approx(expected)
    assert (results["accuracy"], results["robustness"]) == (1, 1)
    assert results["sequences"]["a"]["robustness"] == 1
    lines = (tmp_path / "out/results/dimp/baseline/a/a_003.txt").read_text().splitlines()
    assert lines[:2] == ["1", "11.000000,15.000000,20.000000,24.000000"]
    assert lines[20:26] == ["2", "0", "0", "0", "0", "1"]
    assert len(lines) == FRAMES
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[:3]] == ["sequence", "a", "all"]


@pytest.mark.figures
def test_anchored(flags, tmp_path):
    assert run(vot, "--challenge=vot2022", *flags) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    # Two runs of 130 and 120 frames; the first frame and the white one overlap nothing.
    assert results["accuracy"] == pytest.approx((250 - 4) / 250)
    assert results["robustness"] == 1
    assert 0 < results["eao"] < 1
    folder = tmp_path / "out/results/dimp/baseline/a"
    assert len((folder / "a_00000010.txt").read_text().splitlines()) == 120
    assert len((folder / "a_00000010_time.value").read_text().splitlines()) == 120
    assert results["interval"] == [115, 755]
    assert np.mean(results["expected_overlap"][115:755]) == pytest.approx(results["eao"])
    out, plots = tmp_path / "out", tmp_path / "plots"
    both = f"--results_dirs={out},{out}", "--names=a,b", f"--output_dir={plots}"
    assert run(plot, *both) == 0
    for name in ("accuracy_robustness.png", "expected_overlap.png"):
        assert picture_width(out / name) > 500
        assert picture_width(plots / name) > 500


@pytest.mark.full
@pytest.mark.parametrize(
    ("challenge", "last"),
    chosen([("vot2018", "a_003.txt"), ("vot2022", "a_00000010.txt")], [("vot2018", "a_003.txt")]),
)
def test_a_run_goes_on_where_it_was_cut_off(flags, tmp_path, monkeypatch, capsys, challenge, last):
    assert run(vot, f"--challenge={challenge}", *flags) == 0
    out = tmp_path / "out"
    before, file = json.loads((out / "results.json").read_text()), out / "results/dimp/baseline/a"
    (out / "results.json").unlink()
    started = []
    monkeypatch.setattr(
        Slipping, "init", lambda self, *given: (started.append(1), Follower.init(self, *given))
    )
    assert run(vot, f"--challenge={challenge}", *flags) == 1
    assert "--resume" in error_line(capsys)
    assert run(vot, f"--challenge={challenge}", "--resume", *flags) == 0
    assert not started and json.loads((out / "results.json").read_text()) == before
    for damage in (b"", b"1\n2,x\n", b"\xff", FRAMES * b"7\n"):
        (file / last).write_bytes(damage)
        assert run(vot, f"--challenge={challenge}", "--resume", *flags) == 0
        assert started and json.loads((out / "results.json").read_text()) == before
        started.clear()
    other = {"vot2018": "vot2022", "vot2022": "vot2018"}[challenge]
    assert run(vot, f"--challenge={other}", "--resume", *flags) == 1
    assert f"challenge {challenge}, not {other}" in error_line(capsys)
    shutil.rmtree(out / "results")  # only the scores are left
    assert run(vot, f"--challenge={other}", *flags) == 1
    assert "--resume" in error_line(capsys)


def test_results_of_two_challenges_do_not_compare(tmp_path, capsys):
    for name in ("vot2018", "vot2022"):
        (tmp_path / name).mkdir()
        found = {"challenge": name, "expected_overlap": [], "sequences": {}}
        found |= {"accuracy": 0.5, "robustness": 0.5, "interval": [1, 2]}
        (tmp_path / name / "results.json").write_text(json.dumps(found))
    folders = f"--results_dirs={tmp_path / 'vot2018'},{tmp_path / 'vot2022'}"
    assert run(plot, folders, f"--output_dir={tmp_path / 'plots'}") == 1
    assert "do not compare: they are of vot2018, vot2022" in error_line(capsys)


def test_the_challenge_has_to_be_named(flags, capsys):
    assert run(vot, *flags) == 2
    assert "challenge" in error_line(capsys)
