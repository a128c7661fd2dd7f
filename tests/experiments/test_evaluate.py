import hashlib
import json
import types
import zipfile

import numpy as np
import pytest

import tracking_tasks
from basics.errors import InputError
from experiments import evaluate
from tests.experiments.programs import TRUTH, Follower, error_line, make_frames, picture_width, run
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.data import formats, sequences


@pytest.fixture
def dataset(tmp_path):
    for name in ("Ball", "Cup"):
        make_frames(tmp_path / "data" / name / "img")
        rows = TRUTH + np.float32([1, 1, 0, 0])
        text = "\n".join(",".join(f"{value:.0f}" for value in row) for row in rows)
        (tmp_path / "data" / name / "groundtruth_rect.txt").write_text(text + "\n")
    return tmp_path / "data"


@pytest.fixture
def loaded(monkeypatch):
    """The arguments of every call of tracking_tasks.load, which returns a stand-in."""
    calls = []

    def load(name, **options):
        if name != "dimp":
            raise InputError(f"unknown tracker {name!r}: known trackers are dimp")
        calls.append((name, options))
        return Follower()

    monkeypatch.setattr(tracking_tasks, "load", load)
    return calls


@pytest.mark.figures
def test_results_of_a_perfect_tracker(dataset, loaded, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(evaluate, f"--dataset_dir={dataset}", f"--output_dir={out}") == 0
    ((name, options),) = loaded
    assert (name, options["inner_optimizer"], options["checkpoint"]) == ("dimp", None, None)
    results = json.loads((out / "results.json").read_text())
    assert list(results) == [
        *("tracker", "inner_optimizer", "protocol", "auc", "precision20", "success50"),
        *("mean_overlap", "fps", "sequences", "attributes"),
    ]
    assert results["protocol"] == "otb"
    assert results["tracker"] == "dimp"
    assert results["inner_optimizer"] == "steepest_descent"
    assert list(results["sequences"]) == ["Ball", "Cup"]
    for scores in (results, *results["sequences"].values()):
        assert scores["auc"] == pytest.approx(20 / 21)
        assert scores["precision20"] == 1
        assert scores["mean_overlap"] == 1
        assert scores["fps"] > 0
    for name in ("Ball", "Cup"):
        lines = (out / "boxes" / f"{name}.txt").read_text().splitlines()
        assert lines[0] == "10.0000,15.0000,20.0000,24.0000"
        np.testing.assert_array_equal([list(map(float, line.split(","))) for line in lines], TRUTH)
    for name in ("success.png", "precision.png"):
        assert picture_width(out / name) > 500
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[:4]] == ["sequence", "Ball", "Cup", "all"]
    assert table[3].split()[1:4] == ["0.952", "1.000", "1.000"]


def test_chosen_sequences_rule_and_checkpoint(dataset, loaded, tmp_path):
    weights = tmp_path / "weights"
    weights.write_bytes(b"numbers")
    status = run(
        evaluate,
        f"--dataset_dir={dataset}",
        f"--output_dir={tmp_path / 'out'}",
        "--sequences=Cup",
        "--inner_optimizer=adam",
        f"--checkpoint={weights}",
    )
    assert status == 0
    ((name, options),) = loaded
    given = name, options["inner_optimizer"], options["checkpoint"]
    assert given == ("dimp", "adam", str(weights))
    assert [path.name for path in (tmp_path / "out" / "boxes").iterdir()] == ["Cup.txt"]
    ran = json.loads((tmp_path / "out" / "run.json").read_text())["configuration"]
    assert ran["checkpoint"] == hashlib.sha256(b"numbers").hexdigest()


def shorten(dataset):
    (dataset / "Cup" / "groundtruth_rect.txt").write_text("1,1,5,5\n")


def scramble(dataset):
    (dataset / "Cup" / "groundtruth_rect.txt").write_text("1,1,5,5\n1,1,NaN,5\n" * 2)


def shrink(dataset):
    (dataset / "Cup" / "groundtruth_rect.txt").write_text("1,1,1,5\n" * 4)


def damage(dataset):
    (dataset / "Cup" / "img" / "0003.png").write_text("no image")


def nothing(dataset):
    pass


@pytest.mark.parametrize(
    ("change", "flags", "message", "status"),
    [
        (shorten, [], "groundtruth_rect.txt has 1 lines for 4 frames", 1),
        (scramble, [], "groundtruth_rect.txt, line 2", 1),
        (shrink, [], "Cup, first frame: box 0,0,1,5 is too small", 1),
        (damage, [], "0003.png is not a readable image", 1),
        (nothing, ["--sequences=Cup,Mug"], "'Mug': known sequences are Ball, Cup", 1),
        (
            nothing,
            ["--dataset_format=kcf"],
            "--dataset_format=kcf: value should be one of <otb",
            2,
        ),
        (nothing, ["--tracker=kcf"], "--tracker=kcf: value should be one of <dimp", 2),
        (nothing, ["--dataset_dir=missing"], "missing is not a folder", 1),
        (nothing, ["--trakcer=dimp"], "Did you mean: tracker", 2),
        (nothing, ["extra"], "unexpected argument 'extra'", 2),
    ],
)
def test_bad_input_ends_in_one_line(
    dataset, loaded, tmp_path, capsys, change, flags, message, status
):
    change(dataset)
    out = tmp_path / "out"
    assert run(evaluate, f"--dataset_dir={dataset}", f"--output_dir={out}", *flags) == status
    assert message in error_line(capsys)
    assert not (out / "results.json").exists()


def test_flags_of_an_earlier_run_are_forgotten(dataset, loaded, tmp_path):
    flags = [f"--dataset_dir={dataset}", "--inner_optimizer=adam"]
    run(evaluate, f"--output_dir={tmp_path / 'a'}", *flags)
    run(evaluate, f"--output_dir={tmp_path / 'b'}", flags[0])
    assert [options["inner_optimizer"] for _, options in loaded] == ["adam", None]


def test_a_required_flag_is_asked_for(capsys):
    assert run(evaluate, "--dataset_format=otb") == 2
    assert "--output_dir" in error_line(capsys)


def test_the_data_sets_may_lie_where_a_variable_says(
    dataset, loaded, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("METAOPT_DATASETS", raising=False)
    assert run(evaluate, f"--output_dir={tmp_path / 'out'}") == 1
    assert "give --dataset_dir, or name in METAOPT_DATASETS" in error_line(capsys)
    (tmp_path / "sets").mkdir()
    dataset.rename(tmp_path / "sets" / "otb")
    monkeypatch.setenv("METAOPT_DATASETS", str(tmp_path / "sets"))
    assert run(evaluate, f"--output_dir={tmp_path / 'out'}") == 0
    assert list(json.loads((tmp_path / "out" / "results.json").read_text())["sequences"]) == [
        *("Ball", "Cup")
    ]
    assert run(evaluate, f"--output_dir={tmp_path / 'new'}", "--dataset_dir=elsewhere") == 1
    assert "elsewhere is not a folder" in error_line(capsys)


def test_a_file_in_the_way_of_the_output_is_named(dataset, loaded, tmp_path, capsys):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    assert run(evaluate, f"--dataset_dir={dataset}", f"--output_dir={out}") == 1
    assert "file is a file" in error_line(capsys)
    assert not loaded


def test_help_shows_an_example_and_every_flag(capsys):
    assert run(evaluate, "--help") == 0
    text = capsys.readouterr().out
    assert "python -m experiments.evaluate --dataset_dir=" in text
    for flag in ("tracker", "inner_optimizer", "checkpoint", "dataset_dir", "dataset_format"):
        assert f"--{flag}:" in text
    for name, layout in formats.FORMATS.items():  # each on a line of its own
        assert f"\n      {name}: {layout.layout[:40]}" in text


def test_a_defect_of_ours_is_not_hidden(dataset, monkeypatch, tmp_path):
    def load(*_, **__):
        raise TypeError("our mistake")

    monkeypatch.setattr(tracking_tasks, "load", load)
    with pytest.raises(TypeError, match="our mistake"):
        run(evaluate, f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'out'}")


class Fragile(Follower):
    """Dies in the second sequence, as if it had been killed."""

    started = 0

    def init(self, image, box):
        super().init(image, box)
        self.started += 1
        self.updates = 0

    def update(self, image):
        self.updates += 1
        if self.started == 2 and self.updates == 2:
            raise KeyboardInterrupt
        return super().update(image)


def without_speed(path):
    results = json.loads(path.read_text())
    return {
        **results,
        "fps": None,
        "sequences": {n: {**s, "fps": None} for n, s in results["sequences"].items()},
    }


def test_a_killed_run_that_is_resumed_gives_the_same_results(
    dataset, loaded, tmp_path, monkeypatch, capsys
):
    flags = [f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'killed'}"]
    with monkeypatch.context() as patched:
        patched.setattr(tracking_tasks, "load", lambda *_, **__: Fragile())
        assert run(evaluate, *flags) == 130
    killed = tmp_path / "killed"
    assert [path.name for path in (killed / "boxes").iterdir()] == ["Ball.txt"]
    assert not (killed / "results.json").exists()
    (killed / "boxes" / "Ball.txt").touch()
    before = (killed / "boxes" / "Ball.txt").stat().st_mtime_ns
    assert run(evaluate, *flags, "--resume") == 0
    assert "1 of 2 sequences are done already" in capsys.readouterr().out
    assert (killed / "boxes" / "Ball.txt").stat().st_mtime_ns == before
    whole = tmp_path / "whole"
    assert run(evaluate, flags[0], f"--output_dir={whole}", "--resume") == 0
    assert without_speed(killed / "results.json") == without_speed(whole / "results.json")
    for kind in ("boxes", "scores"):
        for name in ("Ball.txt", "Cup.txt"):
            assert (killed / kind / name).read_text() == (whole / kind / name).read_text()
    assert (whole / "scores" / "Cup.txt").read_text().split() == ["1.0000", *["0.5000"] * 3]
    assert len((whole / "times" / "Cup.txt").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("form", "line", "said"),
    [
        ("zero", "12.0000,15.0000,20.0000,24.0000", "counted from 0"),
        ("one", "13.0000,16.0000,20.0000,24.0000", "counted from 1"),
        ("lasot", "13.0000,16.0000,20.0000,24.0000", "LaSOT"),
        ("otb", "13.0000\t16.0000\t20.0000\t24.0000", "OTB"),
    ],
)
def test_boxes_are_written_in_the_form_that_is_asked_for(
    dataset, loaded, tmp_path, form, line, said
):
    out = tmp_path / "out"
    assert run(evaluate, f"--dataset_dir={dataset}", f"--output_dir={out}", f"--forms={form}") == 0
    names = sorted(path.name for path in (out / "forms" / form).iterdir())
    assert names == ["Ball.txt", "Cup.txt", "README.txt"]
    assert (out / "forms" / form / "Ball.txt").read_text().splitlines()[2] == line
    assert said in (out / "forms" / form / "README.txt").read_text()


def spoil_the_truth(dataset):
    (dataset / "Ball" / "groundtruth_rect.txt").write_text("1,2,3\n")


def spoil_the_first_box(dataset):
    (dataset / "Ball" / "groundtruth_rect.txt").write_text("0,0,0,0\n" * 4)


def spoil_a_frame(dataset):
    (dataset / "Ball" / "img" / "0003.png").write_text("no image")


@pytest.mark.parametrize("spoil", [spoil_the_truth, spoil_the_first_box, spoil_a_frame])
def test_a_broken_sequence_is_left_out_if_asked_for(dataset, loaded, tmp_path, capsys, spoil):
    spoil(dataset)
    flags = [f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'out'}"]
    assert run(evaluate, *flags) == 1
    assert "skipped" not in error_line(capsys)
    assert run(evaluate, f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'b'}",
               "--skip_broken") == 0  # fmt: skip
    assert "skipped Ball: " in capsys.readouterr().err
    results = json.loads((tmp_path / "b" / "results.json").read_text())
    assert list(results["sequences"]) == ["Cup"]
    assert results["auc"] == pytest.approx(20 / 21)
    assert list(results["skipped"]) == ["Ball"]


@pytest.mark.parametrize(
    "damage",
    ["1,2,3,4\n", "1,2\n" * 4, "\0\xff", "1,2,3,4\n" * 4, "nan,15,20,24\n" + "1,2,3,4\n" * 3],
)
def test_damaged_boxes_are_tracked_again(dataset, loaded, tmp_path, damage):
    flags = [f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'out'}", "--resume"]
    run(evaluate, *flags)
    path = tmp_path / "out" / "boxes" / "Cup.txt"
    whole = path.read_text()
    path.write_text(damage)
    assert run(evaluate, *flags) == 0
    assert path.read_text() == whole


def test_results_are_neither_overwritten_nor_mixed(dataset, loaded, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    flags = [f"--dataset_dir={dataset}", f"--output_dir={out}"]
    assert run(evaluate, *flags) == 0
    before = (out / "results.json").read_text()
    capsys.readouterr()
    assert run(evaluate, *flags) == 1
    assert "holds a run already: pass --resume" in error_line(capsys)
    weights = tmp_path / "weights"
    weights.write_bytes(b"others")
    assert run(evaluate, *flags, "--resume", f"--checkpoint={weights}") == 1
    assert "was made with other checkpoint" in error_line(capsys)
    monkeypatch.setattr(Follower, "inner_optimizer", "adam")
    assert run(evaluate, *flags, "--resume") == 1
    assert "was made with inner_optimizer steepest_descent, not adam" in error_line(capsys)
    (out / "run.json").write_text("[1]")
    assert run(evaluate, *flags, "--resume") == 1
    assert "does not say what made the results" in error_line(capsys)
    assert (out / "results.json").read_text() == before


def test_a_tracker_that_diverges_has_results_all_the_same(dataset, loaded, tmp_path, monkeypatch):
    diverged = lambda self, image: types.SimpleNamespace(box=np.full(4, np.nan), score=np.nan)
    monkeypatch.setattr(Follower, "update", diverged)
    assert run(evaluate, f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'out'}") == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["mean_overlap"] == 1 / 4


def test_side_by_side_takes_a_tracker_of_this_project(dataset, loaded, tmp_path, capsys):
    flags = [f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'out'}"]
    assert run(evaluate, *flags, "--parallel_videos=2") == 1
    assert "a Follower cannot track videos side by side" in error_line(capsys)
    assert run(evaluate, *flags, "--parallel_videos=0") == 2
    assert "--parallel_videos=0" in error_line(capsys)


@pytest.mark.parametrize(("start", "runs"), [("sre", 12), ("first", 1)])
def test_every_start_is_a_run_of_its_own(dataset, loaded, tmp_path, start, runs):
    out = tmp_path / "out"
    flags = f"--dataset_dir={dataset}", f"--output_dir={out}", f"--start={start}"
    assert run(evaluate, *flags) == 0
    assert len(list((out / "boxes").iterdir())) == 2 * runs
    assert len(json.loads((out / "results.json").read_text())["sequences"]) == 2 * runs


def test_sequences_too_short_for_later_starts_are_named(dataset, loaded, tmp_path, capsys):
    flags = f"--dataset_dir={dataset}", f"--output_dir={tmp_path / 'out'}"
    assert run(evaluate, *flags, "--start=tre") == 1
    assert "Ball is too short: 20 frames are needed" in error_line(capsys)


def test_another_protocol_scores_the_same_boxes(dataset, loaded, tmp_path, capsys):
    out = tmp_path / "out"
    flags = f"--dataset_dir={dataset}", f"--output_dir={out}"
    assert run(evaluate, *flags, "--protocol=got10k") == 0
    results = json.loads((out / "results.json").read_text())
    assert (results["protocol"], results["ao"], results["sr75"]) == ("got10k", 1, 1)
    assert "auc" not in results
    assert run(evaluate, *flags, "--protocol=lasot", "--resume") == 0
    assert "2 of 2 sequences are done already" in capsys.readouterr().out
    assert json.loads((out / "results.json").read_text())["protocol"] == "lasot"


@pytest.mark.parametrize(
    ("layout", "name"), [("got10k", "a/a_001.txt"), ("trackingnet", "a.txt"), ("vot", None)]
)
def test_where_the_truth_is_withheld_there_is_something_to_submit(
    loaded, tmp_path, capsys, layout, name
):
    frames = tuple(np.zeros((60, 80, 3), np.uint8) for _ in range(4))
    split = {} if name is None else {"split": "test"}
    truth = TRUTH * (np.arange(4) == 0)[:, None] if name is None else TRUTH
    sequence = sequences.Sequence("a", frames, truth.astype(np.float32))
    write_layout(tmp_path / "data", layout, [sequence], **split)
    out = tmp_path / "out"
    flags = [f"--dataset_dir={tmp_path / 'data'}", f"--output_dir={out}"]
    flags += [f"--dataset_format={layout}", *(["--dataset_split=test"] if split else [])]
    assert run(evaluate, *flags) == 0
    assert "the truth is withheld" in capsys.readouterr().out
    assert not (out / "results.json").exists()
    if name is None:
        assert not (out / "submission.zip").exists()
        return
    with zipfile.ZipFile(out / "submission.zip") as archive:
        boxes = np.loadtxt(archive.open(name), delimiter=",")
    np.testing.assert_allclose(boxes, TRUTH)
