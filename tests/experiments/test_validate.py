import json

import numpy as np
import pytest
from PIL import Image

import tracking_tasks
from experiments import validate
from experiments.benchmarks import trackers
from tests.experiments.programs import Follower, error_line, run

FRAMES = 24


class Lazy(Follower):
    """A tracker that leaves its box where it was."""

    def update(self, image):
        self.box = self.box - np.float32([1, 0, 0, 0])
        return super().update(image)


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "videos"
    for name in ("Ball", "Cup", "Pot"):
        (folder / name / "img").mkdir(parents=True)
        for index in range(FRAMES):
            pixels = np.zeros((60, 80, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / "img" / f"{index + 1:04d}.png")
        rows = [f"{11 + index},16,20,24" for index in range(FRAMES)]
        (folder / name / "groundtruth_rect.txt").write_text("\n".join(rows) + "\n")
    split = {"train": ["Pot"], "val": ["Ball"], "val_hard": ["Cup"]}
    (folder / "split.json").write_text(json.dumps(split))
    return folder


def validated(videos, out, *flags):
    own = "--trials=4", "--frames=20", f"--frames_dir={out.parent / 'frames'}"
    flags = *own, "--parallel_videos=1", *flags
    status = run(validate, f"--videos_dir={videos}", f"--output_dir={out}", *flags)
    return status, json.loads((out / "results.json").read_text()) if not status else None


def test_two_trackers_on_the_same_trials(videos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tracking_tasks, "load", lambda name, **options: Lazy())
    status, lazy = validated(videos, tmp_path / "lazy")
    assert status == 0
    monkeypatch.setattr(tracking_tasks, "load", lambda name, **options: Follower())
    status, found = validated(videos, tmp_path / "out", f"--baseline={tmp_path / 'lazy'}")
    assert status == 0
    assert [(row["target"], row["split"], row["number"]) for row in found["trials"]] == [
        *[("Ball", "val", number) for number in range(4)],
        *[("Cup", "val_hard", number) for number in range(4)],
    ]
    first = found["trials"][0]
    assert (first["kind"], first["precision20"]) == ("clean", 1)
    assert first["auc"] == pytest.approx(20 / 21, abs=1e-4)
    # Left behind by a pixel a frame, which moves the target by its width in as many as it has.
    overlaps = np.maximum(20 - np.arange(FRAMES), 0) / (20 + np.arange(FRAMES))
    auc = np.mean([(overlaps > threshold).mean() for threshold in np.linspace(0, 1, 21)])
    assert lazy["trials"][0]["auc"] == pytest.approx(auc, abs=1e-4)
    mean, low, high = found["differences"]["all"]["auc"]
    assert mean == pytest.approx(
        found["means"]["all"]["auc"] - lazy["means"]["all"]["auc"], abs=2e-4
    )
    assert low <= mean <= high
    table = capsys.readouterr().out.splitlines()
    names = list(found["means"])
    assert names == ["val", "val_hard", "clean", "hidden", "degraded", "all"]
    assert [line.split()[0] for line in table[-len(names) - 1 : -1]] == names


def test_more_trials_of_a_run(videos, tmp_path, monkeypatch):
    loaded = []

    class Counting(Follower):
        def init(self, image, box):
            loaded.append(box)
            super().init(image, box)

    monkeypatch.setattr(tracking_tasks, "load", lambda name, **options: Counting())
    validated(videos, tmp_path / "out", "--trials=2", "--splits=train")
    status, found = validated(videos, tmp_path / "out", "--resume", "--splits=train")
    assert status == 0 and len(found["trials"]) == 4
    assert len(loaded) == 4


def test_side_by_side_every_score_is_the_same(videos, tmp_path, monkeypatch):
    small = tracking_tasks.OnlineTracker(trackers.small()["gradnet"], "adam")
    monkeypatch.setattr(tracking_tasks, "load", lambda name, **options: small)
    flags = "--splits=val", "--frames=6", "--trials=3"
    _, alone = validated(videos, tmp_path / "alone", *flags)
    _, beside = validated(videos, tmp_path / "beside", *flags, "--parallel_videos=3")
    assert len(beside["trials"]) == 3
    assert beside["trials"] == alone["trials"]


def test_what_cannot_be_run(videos, tmp_path, capsys):
    assert validated(videos, tmp_path / "out", "--splits=val,test")[0] == 1
    assert "split.json must name the targets of test in a list" in error_line(capsys)
    assert validated(videos, tmp_path / "beside", "--parallel_videos=0")[0] == 2
    assert "--parallel_videos=0" in error_line(capsys)
