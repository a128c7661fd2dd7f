"""Our trackers in the got10k toolkit's own experiment, which then scores what we score."""

import types

import numpy as np
import pytest
from PIL import Image

from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks import evaluation
from tracking_tasks.data.formats import read_dataset
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import results_folder

pytest.importorskip("got10k.trackers")


class Drifting:
    """A tracker that starts well and loses its target by a pixel a frame."""

    name = "drifting"

    def init(self, image, box):
        assert image.dtype == np.uint8
        assert image.shape == (48, 64, 3)
        self.started = self.box = np.array(box, np.float32)

    def update(self, image):
        self.box = self.box + np.float32([1.25, -0.5, 0.125, 0])
        return types.SimpleNamespace(box=self.box, score=1.0)


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    sequences = []
    for name, frames in (("GOT-10k_Val_000001", 9), ("GOT-10k_Val_000002", 14)):
        images = tuple(random.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(frames))
        steps = random.uniform(-1, 3, (frames, 4)).cumsum(axis=0)
        boxes = (np.array([5, 5, 20, 18]) + steps).round(3).astype(np.float32)
        visible = random.integers(0, 3, frames) / np.float32(4)
        sequences.append(Sequence(name, images, boxes, visible=visible.astype(np.float32)))
    write_layout(tmp_path / "data", "got10k", sequences, "val")
    for sequence in sequences:
        with (tmp_path / "data" / "val" / sequence.name / "meta_info.ini").open("a") as file:
            file.write("resolution: (64, 48)\n")
    return tmp_path


def experiment(folder, results):
    from got10k.experiments import ExperimentGOT10k

    return ExperimentGOT10k(
        str(folder / "data"),
        subset="val",
        result_dir=str(folder / results),
        report_dir=str(folder / "reports"),
    )


def test_the_toolkit_runs_and_scores_our_tracker_as_we_do(folder, monkeypatch):
    from tracking_tasks.adapters.got10k import Got10kTracker

    theirs = experiment(folder, "theirs")
    theirs.run(Got10kTracker(Drifting()))
    monkeypatch.setattr(theirs, "plot_curves", lambda *_: None)
    performance = theirs.report(["drifting"])["drifting"]

    sequences = read_dataset(folder / "data", "got10k", split="val")
    results = evaluation.evaluate(Drifting(), sequences, progress=False)
    report = evaluation.PROTOCOLS["got10k"](results, sequences)
    assert report["scores"]["ao"] == pytest.approx(performance["overall"]["ao"], abs=1e-6)
    assert report["scores"]["sr50"] == performance["overall"]["sr"]
    assert 0.1 < report["scores"]["ao"] < 0.9

    results_folder.write_got10k(folder / "ours", "drifting", results)
    for sequence in sequences:
        files = [
            folder / name / "GOT-10k" / "drifting" / sequence.name / f"{sequence.name}_001.txt"
            for name in ("theirs", "ours")
        ]
        assert files[0].read_text() == files[1].read_text()


def test_the_toolkit_scores_our_folders_to_six_digits(folder, monkeypatch):
    sequences = read_dataset(folder / "data", "got10k", split="val")
    results = [
        types.SimpleNamespace(
            name=sequence.name,
            boxes=sequence.boxes.round(2) + np.float32([2.5, 1, 0, -0.5]),
            truth=sequence.boxes,
            seconds=np.full(len(sequence) - 1, 0.1),
        )
        for sequence in sequences
    ]
    results_folder.write_got10k(folder / "ours", "offset", results)
    theirs = experiment(folder, "ours")
    monkeypatch.setattr(theirs, "plot_curves", lambda *_: None)
    performance = theirs.report(["offset"])["offset"]
    report = evaluation.PROTOCOLS["got10k"](results, sequences)
    assert report["scores"]["ao"] == pytest.approx(performance["overall"]["ao"], abs=1e-6)
    assert performance["overall"]["speed_fps"] == pytest.approx(10)
    for name, scores in report["sequences"].items():
        assert scores["ao"] == pytest.approx(performance["seq_wise"][name]["ao"], abs=1e-6)


def test_boxes_are_shifted_for_data_sets_that_count_from_one():
    from tracking_tasks.adapters.got10k import Got10kTracker

    inner = Drifting()
    tracker = Got10kTracker(inner, first_pixel=1)
    image = Image.new("RGB", (64, 48))
    tracker.init(image, [1, 1, 20, 20])
    np.testing.assert_array_equal(inner.started, [0, 0, 20, 20])
    np.testing.assert_array_equal(tracker.update(image), [2.25, 0.5, 20.125, 20])
    assert tracker.is_deterministic
