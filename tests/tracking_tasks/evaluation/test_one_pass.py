import time
import types

import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks import evaluation
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import plots


class Replay:
    """A tracker that knows the true boxes and is off by some pixels; its first update is slow."""

    def __init__(self, sequences, offset=0.0, first=0.0, later=0.0):
        self.truths = iter([sequence.boxes for sequence in sequences])
        self.offset, self.first, self.later = offset, first, later
        self.started = []

    def init(self, image, box):
        self.truth, self.index = next(self.truths), 0
        self.started.append((image.copy(), box))

    def update(self, image):
        self.index += 1
        time.sleep(self.first if self.index == 1 else self.later)
        box = self.truth[self.index] + np.float32([self.offset, 0, 0, 0])
        return types.SimpleNamespace(box=box, score=1.0)


def make_sequence(folder, name, frames, side=20):
    (folder / name).mkdir(parents=True)
    paths = [folder / name / f"{index}.png" for index in range(frames)]
    for index, path in enumerate(paths):
        Image.new("RGB", (80, 60), (index, 0, 0)).save(path)
    boxes = np.float32([[10 + index, 15, side, side] for index in range(frames)])
    return Sequence(name, tuple(paths), boxes)


def test_a_perfect_tracker_scores_the_most_there_is(tmp_path):
    sequences = [make_sequence(tmp_path, "a", 4), make_sequence(tmp_path, "b", 3)]
    tracker = Replay(sequences)
    results = evaluation.evaluate(tracker, sequences, progress=False)
    assert [result.name for result in results] == ["a", "b"]
    for result, sequence, (image, box) in zip(results, sequences, tracker.started, strict=True):
        np.testing.assert_array_equal(result.boxes, sequence.boxes)
        np.testing.assert_array_equal(box, sequence.boxes[0])
        assert image.shape == (60, 80, 3)
        assert (image[..., 0] == 0).all()
        assert len(result.seconds) == len(sequence) - 1
    scores = evaluation.summarize(results)
    assert scores["auc"] == pytest.approx(20 / 21)
    assert (scores["precision20"], scores["mean_overlap"]) == (1, 1)


def test_the_given_box_counts_and_sequences_weigh_the_same(tmp_path):
    sequences = [make_sequence(tmp_path, "a", 5), make_sequence(tmp_path, "b", 2, side=40)]
    tracker = Replay(sequences, offset=21.0)
    results = evaluation.evaluate(tracker, sequences, progress=False)
    first, second = (result.scores() for result in results)
    np.testing.assert_array_equal(results[0].boxes[0], sequences[0].boxes[0])
    assert first["precision20"] == 1 / 5
    assert first["mean_overlap"] == pytest.approx(1 / 5)
    overlap = 19 * 40 / (2 * 1600 - 19 * 40)
    assert second["mean_overlap"] == pytest.approx((1 + overlap) / 2)
    summary = evaluation.summarize(results)
    for key in ("auc", "precision20", "mean_overlap"):
        assert summary[key] == pytest.approx((first[key] + second[key]) / 2)


def test_speed_leaves_out_the_update_that_compiles(tmp_path):
    sequences = [make_sequence(tmp_path, "a", 6), make_sequence(tmp_path, "b", 2)]
    results = evaluation.evaluate(Replay(sequences, first=0.2, later=0.01), sequences)
    assert 30 < results[0].scores()["fps"] <= 100
    assert 30 < evaluation.summarize(results)["fps"] <= 100
    assert results[1].scores()["fps"] <= 5  # it has no other update


def test_unusable_sequences_are_found_before_any_tracking(tmp_path):
    good, short = make_sequence(tmp_path, "good", 3), make_sequence(tmp_path, "short", 1)
    small = make_sequence(tmp_path, "small", 3, side=1)
    tracker = Replay([good])
    with pytest.raises(InputError, match="short has fewer than two frames"):
        evaluation.evaluate(tracker, [good, short])
    with pytest.raises(InputError, match="small, first frame: box 10,15,1,1 is too small"):
        evaluation.evaluate(tracker, [good, small])
    assert not tracker.started


def test_plots_rank_their_curves(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "_save", lambda path, figure, axes: drawn.append(axes))
    curves = {"low": np.full(51, 0.25), "high": np.full(51, 0.75)}
    curves["high"][:20] = 0
    plots.save_success_plot(tmp_path / "s.png", curves, "title")
    plots.save_precision_plot(tmp_path / "p.png", curves, "title")
    success, precision = ([line.get_label() for line in axes.get_lines()] for axes in drawn)
    assert success == ["high [0.456]", "low [0.250]"]
    assert precision[-2:] == ["high [0.750]", "low [0.250]"]
    np.testing.assert_array_equal(drawn[0].get_lines()[0].get_ydata(), curves["high"])
    assert drawn[0].get_lines()[0].get_xdata()[-1] == 1
    assert drawn[1].get_lines()[-1].get_xdata()[-1] == 50


def test_plots_are_saved_as_images(tmp_path):
    plots.save_success_plot(tmp_path / "new" / "plot.png", {"one": np.linspace(1, 0, 21)}, "title")
    with Image.open(tmp_path / "new" / "plot.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10
