import json

import numpy as np
import pytest

from experiments import plot
from experiments.analysis.published_results import read_published
from experiments.analysis.statistics import mean_and_interval
from tests.experiments.programs import TRUTH, error_line, make_frames, picture_width, run
from tracking_tasks.data.formats import read_dataset
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import otb_starts

FROM_ONE = np.float32([1, 1, 0, 0])


@pytest.fixture
def dataset(tmp_path):
    for name in ("Ball", "Cup"):
        make_frames(tmp_path / "data" / name / "img")
        np.savetxt(tmp_path / "data" / name / "groundtruth_rect.txt", TRUTH + FROM_ONE, "%d")
    return tmp_path / "data"


def write(path, boxes, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, boxes, "%.3f", delimiter)


@pytest.fixture
def trackers(tmp_path):
    """A perfect tracker of this project, one by got10k's toolkit, and one that counts from 1."""
    late = TRUTH.copy()
    late[1:, 0] += 21
    for name in ("Ball", "Cup"):
        write(tmp_path / "perfect" / "boxes" / f"{name}.txt", TRUTH)
        write(tmp_path / "late" / name / f"{name}_001.txt", late)
        write(tmp_path / "one" / f"{name}.txt", TRUTH + FROM_ONE, "\t")
    return [tmp_path / name for name in ("late", "perfect", "one")]


@pytest.mark.figures
def test_everyone_is_in_the_plots(dataset, trackers, tmp_path):
    out, folders = tmp_path / "out", ",".join(map(str, trackers))
    flags = f"--dataset_dir={dataset}", f"--results_dirs={folders}", f"--output_dir={out}"
    assert run(plot, *flags) == 0
    scores = json.loads((out / "scores.json").read_text())
    assert list(scores) == ["late", "perfect", "one"]
    for name in ("perfect", "one"):
        assert scores[name]["auc"] == pytest.approx(20 / 21)
        assert scores[name]["precision20"] == scores[name]["normalized_precision"] == 1
    assert scores["late"]["precision20"] == 1 / 4
    plots = ("success", "precision", "normalized_precision", "strips/Ball", "strips/Cup")
    for name in plots:
        assert picture_width(out / f"{name}.png") > 500
    assert not (out / "attributes.png").exists()


def test_starts_are_paired_with_two_intervals(dataset, tmp_path, capsys):
    """A tracker that is wrong on one of two sequences, from eleven of its twelve starts."""
    areas = np.zeros((2, 12))
    for row, whole in enumerate(read_dataset(dataset, "otb")):
        for column, start in enumerate(otb_starts.spatial(whole)):
            boxes = start.boxes.copy()
            write(tmp_path / "a" / "boxes" / f"{start.name}.txt", boxes)
            if row == 1 and column > 0:
                boxes[1:, 0] += 100
                areas[row, column] = 1 / 4 - 1  # of the perfect one, which has 20 / 21
            write(tmp_path / "b" / "boxes" / f"{start.name}.txt", boxes)
    (tmp_path / "b" / "boxes" / "Ball_up.txt").unlink()  # no difference there
    out, folders = tmp_path / "out", f"{tmp_path / 'a'},{tmp_path / 'b'}"
    flags = f"--dataset_dir={dataset}", f"--results_dirs={folders}", f"--output_dir={out}"
    assert run(plot, *flags, "--start=sre") == 0
    found = json.loads((out / "scores.json").read_text())
    assert "auc_difference" not in found["a"]
    found = found["b"]["auc_difference"]
    by_sequence, by_start = 20 / 21 * areas.mean(1), 20 / 21 * areas.mean(0)
    by_start[2] = 20 / 21 * areas[1, 2]  # without Ball
    assert (found["sequences"], found["starts"]) == (2, 12)
    assert found["mean"] == pytest.approx(by_sequence.mean())
    for name, values in (("over_sequences", by_sequence), ("over_starts", by_start)):
        assert found[name] == pytest.approx(mean_and_interval(values)[1])
    said = "AUC of b less that of a: -0.327 +- 4.160 over 2 sequences, -0.327 +-"
    assert said in capsys.readouterr().out


def test_only_sequences_that_all_have_count(dataset, trackers, tmp_path, capsys):
    (trackers[2] / "Cup.txt").unlink()
    out, folders = tmp_path / "out", ",".join(map(str, trackers))
    flags = f"--dataset_dir={dataset}", f"--results_dirs={folders}", f"--output_dir={out}"
    assert run(plot, *flags, "--names=a,b,c") == 0
    assert "one has no boxes for 1 sequences, such as Cup" in capsys.readouterr().out
    assert [path.stem for path in (out / "strips").iterdir()] == ["Ball"]
    assert list(json.loads((out / "scores.json").read_text())) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--names=a,b"], "--names gives 2 names for 3 folders"),
        (["--names=a,b,a"], "called the same (a, b, a)"),
        (["--strips=Mug"], "unknown sequence 'Mug': known sequences are Ball, Cup"),
        (["--results_dirs=elsewhere"], "elsewhere is not a folder"),
        (["--results_dirs=."], "no sequence that all folders have boxes for"),
    ],
)
def test_bad_input_ends_in_one_line(dataset, trackers, tmp_path, capsys, flags, message):
    folders = ",".join(map(str, trackers))
    status = run(
        plot,
        f"--dataset_dir={dataset}",
        f"--results_dirs={folders}",
        f"--output_dir={tmp_path / 'out'}",
        *flags,
    )
    assert status == 1
    assert message in error_line(capsys)


@pytest.mark.parametrize(
    ("text", "message"),
    [("1,2,3,4\n", "has 1 boxes for the 4 frames"), ("1,2,x,4\n", "line 1: expected 4 numbers")],
)
def test_damaged_results_are_named(dataset, trackers, tmp_path, capsys, text, message):
    (trackers[2] / "Cup.txt").write_text(text)
    flags = f"--dataset_dir={dataset}", f"--results_dirs={trackers[2]}"
    assert run(plot, *flags, f"--output_dir={tmp_path / 'out'}") == 1
    assert message in error_line(capsys)


VOT = {
    "challenge": "vot2018", "accuracy": 0.6, "robustness": 0.2, "sequences": {},
    "interval": [1, 2], "expected_overlap": [1.0, 0.5],
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value"),
    [("accuracy", "high"), ("robustness", None), ("expected_overlap", {}), ("interval", [1]),
     ("challenge", 3), ("expected_overlap", [1.0, "x"]), ("sequences", 1)],
)  # fmt: skip
def test_results_of_vot_of_another_form_are_one_line(tmp_path, capsys, key, value):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "results.json").write_text(json.dumps(VOT | {key: value}))
    assert run(plot, f"--results_dirs={tmp_path / 'a'}", f"--output_dir={tmp_path / 'out'}") == 1
    assert "a/results.json is damaged: run experiments.vot again" in error_line(capsys)


def test_the_first_box_shows_where_pixels_count_from(tmp_path):
    sequence = Sequence("a", (np.zeros((60, 80, 3), np.uint8),) * 4, TRUTH)
    for offset, moved in (([1, 1, 0, 0], True), ([0.1, 0, 0, 0], False), ([1, 0, 0, 0], False)):
        write(tmp_path / "a.txt", TRUTH + np.float32(offset))
        expected = TRUTH if moved else TRUTH + np.float32(offset)
        np.testing.assert_allclose(read_published(tmp_path / "a.txt", sequence), expected, 1e-4)
