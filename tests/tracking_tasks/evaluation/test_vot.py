"""VOT: its overlap, both of its experiments, and agreement with vot-toolkit."""

import types

import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import vot_anchor, vot_files, vot_supervised
from tracking_tasks.evaluation.vot_overlap import vot_overlap, vot_overlaps

SIZE = (60, 40)
UNIT = [0, 0, 10, 10]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 10.4, 10), 1),
        ((0, 0, 10.6, 10), 10 / 11),
        ((0.5, 0, 10, 10), 1),
        ((0, 0, 0.3, 0.3), 0),
        ((5, 0, 10, 10), 1 / 3),
        ((100, 100, 10, 10), 0),
        ((np.nan, 0, 10, 10), 0),
        ((-5, 0, 10, 10), 1 / 2),  # the half inside the image
    ],
)
def test_boxes_are_drawn_into_pixels(box, expected):
    assert vot_overlap(list(box), UNIT, SIZE) == pytest.approx(expected)


def test_an_outline_includes_its_far_edges():
    outline = np.array([[0, 0], [9, 0], [9, 9], [0, 9]])
    assert vot_overlap(UNIT, outline, SIZE) == 1
    triangle = np.array([[0, 0], [3, 0], [0, 3]])  # rows of 4, 3, 2 and 1 pixels
    assert vot_overlap([0, 0, 4, 4], triangle, SIZE) == 10 / 16


def adversarial(random):
    """Boxes inside and outside the image, without size, negative, halves, and one pixel wide."""
    kind = random.integers(6)
    box = np.array([*random.uniform(-20, 70, 2), *random.uniform(0, 50, 2)])
    if kind == 0:
        return box.round() + 0.5
    if kind == 1:
        return box.round() * [1, 1, random.integers(2), random.integers(2)]
    if kind == 2:
        return np.array([*box[:2], *random.integers(0, 3, 2)])
    if kind == 3:
        return np.array([*random.integers(0, 3, 2), *random.integers(0, 3, 2)], float)
    return box


def test_agrees_with_the_toolkit_on_boxes():
    region = pytest.importorskip("vot.region")
    random = np.random.default_rng(0)
    boxes = [np.stack([adversarial(random) for _ in range(1500)]) for _ in range(2)]
    boxes[1][::2] = boxes[0][::2] + random.uniform(-3, 3, (750, 4))
    theirs = region.calculate_overlaps(
        *([region.Rectangle(*box) for box in each] for each in boxes), SIZE
    )
    np.testing.assert_allclose(vot_overlaps(*boxes, SIZE), theirs, atol=1e-12)
    assert 0.2 < np.mean(np.array(theirs) > 0) < 0.8


def test_agrees_with_the_toolkit_on_outlines():
    region = pytest.importorskip("vot.region")
    random = np.random.default_rng(1)
    boxes = np.stack([adversarial(random) for _ in range(600)])
    centers = boxes[:, None, :2] + boxes[:, None, 2:] / 2 + random.normal(0, 4, (600, 1, 2))
    outlines = centers + random.normal(0, 15, (600, 4, 2))  # convex, concave and crossed
    outlines[::7] = outlines[::7, :1]
    theirs = region.calculate_overlaps(
        [region.Rectangle(*box) for box in boxes],
        [region.Polygon([tuple(point) for point in outline]) for outline in outlines],
        SIZE,
    )
    np.testing.assert_allclose(vot_overlaps(boxes, outlines, SIZE), theirs, atol=1e-12)


class Scripted:
    """A tracker whose box in a frame, and after so many starts, is known beforehand."""

    def __init__(self, *scripts):
        self.scripts, self.starts = scripts, 0
        self.started = []

    def init(self, image, box):
        self.script = self.scripts[min(self.starts, len(self.scripts) - 1)]
        self.starts += 1
        self.started.append(int(image[0, 0, 0]))

    def update(self, image):
        return types.SimpleNamespace(box=self.script[image[0, 0, 0]], score=1.0)


def make(name, truth, **flags):
    """A sequence whose frames bear their numbers."""
    frames = [np.full((*SIZE[::-1], 3), index, np.uint8) for index in range(len(truth))]
    return Sequence(name, tuple(frames), np.asarray(truth, np.float32), **flags)


STILL = np.tile([5.0, 5, 10, 10], (12, 1))


def test_a_tracker_that_fails_starts_again_five_frames_later():
    script = STILL.copy()
    script[[2, 10]] = [40, 20, 10, 10]
    script[3] = [10, 5, 10, 10]
    tracker, sequence = Scripted(script), make("a", STILL)
    runs = vot_supervised.run_supervised(tracker, sequence)
    assert len(runs) == 3  # equal, so that the other twelve are spared
    assert tracker.started == [0, 7] * 3
    np.testing.assert_array_equal(runs[0].codes, [1, 3, 2, 0, 0, 0, 0, 1, 3, 3, 2, 0])
    assert vot_supervised.failures(runs[0]) == 2
    assert vot_supervised.accuracy(runs[0], burn_in=10) == 0
    assert vot_supervised.accuracy(runs[0], burn_in=1) == 1
    # Both fragments end in failures: 1 and 2 good frames, then zeros; not longer than the longest.
    curve = vot_supervised.expected_overlap_curve([runs])
    np.testing.assert_allclose(curve, [0, 1, (1 / 2 + 1) / 2])


def test_a_tracker_that_varies_runs_fifteen_times():
    scripts = [STILL + 0.001 * start for start in range(15)]
    runs = vot_supervised.run_supervised(Scripted(*scripts), make("a", STILL))
    assert len(runs) == 15


def test_supervised_scores_weigh_sequences_by_length():
    lost = STILL.copy()
    lost[11] = [40, 20, 10, 10]
    half = STILL[:6] * np.array([1, 1, 1.5, 1])
    config = vot_supervised.SupervisedConfig(burn_in=1)
    runs = [
        vot_supervised.run_supervised(Scripted(script), make("a", STILL[: len(script)]))
        for script in (lost, half)
    ]
    scores = vot_supervised.accuracy_robustness(runs, config)
    assert scores["accuracy"] == pytest.approx((12 * 1 + 6 * 10 / 15) / 18)
    assert scores["robustness"] == pytest.approx(12 / 18)
    assert scores["reliability"] == pytest.approx(np.exp(-30 * 12 / 18 / 9))
    # Frames 1 to 4 of a fragment that fails, of which there are 11, and of one that ends with 6.
    curve = vot_supervised.expected_overlap_curve(runs)
    np.testing.assert_allclose(curve[1:6], (1 + 10 / 15) / 2)
    np.testing.assert_allclose(curve[6:], 1)
    assert vot_supervised.expected_average_overlap(runs, (5, 6)) == pytest.approx((5 / 6 + 1) / 2)


def test_anchors_run_both_ways_and_failures_last():
    sequence = make("a", np.tile(STILL[:1], (30, 1)), anchors=np.eye(30, dtype=int)[0])
    sequence.anchors[20] = -1
    script = sequence.boxes.copy()
    script[:8] = [40, 20, 10, 10]
    tracker = Scripted(sequence.boxes, script)
    forward, backward = vot_anchor.run_anchored(tracker, sequence)
    assert tracker.started == [0, 20]
    np.testing.assert_array_equal(backward.boxes[1:], script[19::-1])
    # The start counts as lost; eight lost frames at the end are too few for a failure.
    assert (forward.progress(), backward.progress()) == (30, 21)
    scores = vot_anchor.accuracy_robustness([[forward, backward]])
    assert scores == pytest.approx({"accuracy": (29 + 12) / 51, "robustness": 1})
    config = vot_anchor.AnchorConfig(grace=8)
    assert backward.progress(config) == 13
    scores = vot_anchor.accuracy_robustness([[forward, backward]], config)
    assert scores == pytest.approx({"accuracy": 41 / 43, "robustness": 43 / 51})


def test_short_sequences_have_no_expected_average_overlap():
    report = vot_supervised.evaluate_supervised(Scripted(STILL), [make("a", STILL)], (100, 356))
    assert report["scores"] == {"accuracy": 1, "robustness": 0, "reliability": 1}


def test_an_invisible_target_cannot_be_lost():
    truth = np.tile(STILL[:1], (30, 1))
    truth[10:25] = 0
    sequence = make("a", truth, anchors=np.eye(30, dtype=int)[0])
    (run,) = vot_anchor.run_anchored(Scripted(truth), sequence)
    assert run.progress() == 30


def test_a_sequence_without_anchors_is_refused():
    with pytest.raises(InputError, match="a has no anchors"):
        vot_anchor.run_anchored(Scripted(STILL), make("a", STILL))


# The toolkit's own analyses of our runs. (Its runners of both experiments raise TypeError and
# AttributeError in 0.9.0, whatever the tracker.)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Sequences of ours and the toolkit's, and scripts of trackers that slip, fail and vary."""
    dataset = pytest.importorskip("vot.dataset")
    random = np.random.default_rng(3)
    made = []
    for name, frames, drift in (("slow", 60, 1.0), ("fast", 45, 3.0), ("lost", 50, 8.0)):
        truth = np.array([20, 12, 18, 14]) + random.uniform(-3, 3, (frames, 4))
        truth[30:33] = 0 if name == "fast" else truth[30:33]
        anchors = np.zeros(frames, int)
        anchors[[0, frames // 2, frames - 1]] = [1, 1, -1]
        sequence = make(name, truth, anchors=anchors)
        scripts = [
            truth
            + random.normal(0, drift, (1, 4))
            + random.normal(0, drift, (frames, 4)).cumsum(0) / 4
            for _ in range(40)
        ]
        folder = tmp_path_factory.mktemp(name)
        write_vot(folder, sequence)
        made.append((sequence, scripts, dataset.load_sequence(str(folder))))
    return made


def write_vot(folder, sequence):
    (folder / "color").mkdir()
    for index, frame in enumerate(sequence.frames):
        Image.fromarray(frame).save(folder / "color" / f"{index + 1:08d}.png")
    lines = [",".join(f"{value:.6f}" for value in box) for box in sequence.boxes]
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    (folder / "anchor.value").write_text("\n".join(map(str, sequence.anchors)))
    (folder / "sequence").write_text(
        f"name={folder.name}\nfps=30\nformat=default\nchannel.default=color\n"
        "channels.color=color/%08d.png\n"
    )


def stored(folder, base, **settings):
    """An experiment of the toolkit that keeps its files in a folder."""
    from vot.tracker.results import Results
    from vot.workspace.storage import LocalStorage

    class Experiment(base):
        def results(self, tracker, sequence):
            return Results(LocalStorage(str(folder / sequence.name)))

    return Experiment("test", None, **settings)


def test_supervised_agrees_with_the_toolkit(pairs, tmp_path):
    from vot.analysis import supervised
    from vot.experiment.multirun import SupervisedExperiment

    experiment = stored(tmp_path, SupervisedExperiment, repetitions=4)
    config = vot_supervised.SupervisedConfig(repetitions=4)
    ours, parts = [], []
    for sequence, scripts, theirs in pairs:
        runs = vot_supervised.run_supervised(Scripted(*scripts), sequence, config)
        ours.append(runs)
        vot_files.write_supervised(tmp_path, theirs.name, runs)
        parts.append(supervised.AccuracyRobustness().subcompute(experiment, None, theirs, []))
    a, r, ar, _ = supervised.AverageAccuracyRobustness().aggregate(None, None, parts)
    scores = vot_supervised.accuracy_robustness(ours)
    assert (scores["accuracy"], scores["robustness"]) == pytest.approx((a, r), abs=1e-6)
    assert scores["reliability"] == pytest.approx(ar[0], abs=1e-6)
    sequences = [theirs for *_, theirs in pairs]
    (curve,) = supervised.EAOCurve().subcompute(experiment, None, sequences, [])
    np.testing.assert_allclose(
        vot_supervised.expected_overlap_curve(ours)[1:], curve[1:], atol=1e-6
    )
    assert r > 1
    assert a > 0.1


def test_anchored_agrees_with_the_toolkit(pairs, tmp_path):
    from vot.analysis import multistart
    from vot.experiment.multistart import MultiStartExperiment

    experiment = stored(tmp_path, MultiStartExperiment)
    config = vot_anchor.AnchorConfig(interval=(5, 55))
    ours, parts, curves = [], [], []
    for sequence, scripts, theirs in pairs:
        runs = vot_anchor.run_anchored(Scripted(*scripts), sequence)
        ours.append(runs)
        vot_files.write_anchored(tmp_path, theirs.name, runs)
        parts.append(multistart.AccuracyRobustness().subcompute(experiment, None, theirs, []))
        curves.append(multistart.EAOCurves(high=55).subcompute(experiment, None, theirs, []))
    a, r, *_ = multistart.AverageAccuracyRobustness().aggregate(None, None, parts)
    scores = vot_anchor.accuracy_robustness(ours, config)
    assert (scores["accuracy"], scores["robustness"]) == pytest.approx((a, r), abs=1e-6)
    (curve,) = multistart.EAOCurve(high=55).aggregate(None, None, curves)
    np.testing.assert_allclose(vot_anchor.expected_overlap_curve(ours, config), curve, atol=1e-6)
    expected = np.mean(curve[5:56])
    assert vot_anchor.expected_average_overlap(ours, config) == pytest.approx(expected, abs=1e-6)
    assert 0.2 < r < 0.9
