import csv
import json
import types

import numpy as np
import pytest
from PIL import Image

import tracking_tasks
from basics.errors import InputError
from experiments import track
from experiments.pictures import drawing
from experiments.tracks.outputs import Outputs
from models.errors import WeightsError
from tests.experiments.programs import TRUTH, Follower, error_line, make_frames, run
from tracking_tasks.data.videos import read_video, write_video


@pytest.fixture
def frames(tmp_path):
    make_frames(tmp_path / "frames")
    return tmp_path / "frames"


@pytest.fixture
def loaded(monkeypatch):
    calls = []

    def load(name, **options):
        calls.append((name, options))
        if options["checkpoint"] == "damaged":
            raise WeightsError("damaged is truncated: download it again")
        return Follower()

    monkeypatch.setattr(tracking_tasks, "load", load)
    return calls


@pytest.mark.parametrize(
    ("output", "video", "boxes"),
    [
        ("new/clip.mp4", "new/clip.mp4", "new/clip.txt"),
        ("clip.gif", "clip.gif", "clip.txt"),
        ("new", "new/video.mp4", "new/boxes.txt"),
    ],
)
def test_boxes_and_video_are_written(frames, loaded, tmp_path, output, video, boxes):
    flags = [f"--video={frames}", "--box=10,15,20,24", f"--output={tmp_path / output}"]
    assert run(track, *flags, "--inner_optimizer=adam") == 0
    ((name, options),) = loaded
    assert (name, options["inner_optimizer"], options["checkpoint"]) == ("dimp", "adam", None)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / boxes, delimiter=","), TRUTH)
    shown = list(read_video(tmp_path / video))
    assert len(shown) == 4
    for image, (x, y, width, height) in zip(shown, TRUTH.astype(int), strict=True):
        red, green, _ = image[y : y + height, x + width : x + width + 2].mean((0, 1))
        assert green > red + 60  # the outline, right of the target
        assert image[y + 4 : y + height - 4, x + 4 : x + width - 4].mean() > 150


def test_a_video_file_is_tracked_at_its_rate(loaded, tmp_path):
    source = tmp_path / "source.mp4"
    write_video(source, np.random.default_rng(0).integers(0, 255, (4, 60, 80, 3), np.uint8), 7)
    out = tmp_path / "out.mp4"
    assert run(track, f"--video={source}", "--box=10,15,20,24", f"--output={out}") == 0
    assert read_video(out).fps == 7


@pytest.mark.parametrize(
    ("flags", "message", "status"),
    [
        (["--video=missing.mp4"], "missing.mp4 does not exist", 1),
        (["--box=200,15,20,24"], "box 200,15,20,24 is outside the frame", 1),
        (["--box=10,15,1.5,24"], "box 10,15,1.5,24 is too small", 1),
        (["--box=10,nan,20,24"], "box 10,nan,20,24 is not finite", 1),
        (["--box=10,15,20"], "must be four numbers", 1),
        (["--box=10,15,20,wide"], "wide", 1),
        (["--output=clip.avi"], "clip.avi must end in .mp4 or .gif", 1),
        (["--checkpoint=damaged"], "damaged is truncated", 1),
        (["--colour=red"], "'colour'", 2),
    ],
)
def test_bad_input_ends_in_one_line(
    frames, loaded, tmp_path, capsys, monkeypatch, flags, message, status
):
    monkeypatch.chdir(tmp_path)
    assert run(track, f"--video={frames}", "--box=10,15,20,24", "--output=out", *flags) == status
    assert message in error_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]
    assert bool(loaded) == ("--checkpoint=damaged" in flags)


@pytest.mark.parametrize("damage", ["text", "empty", "size"])
def test_what_was_tracked_before_a_damaged_frame_is_kept(frames, loaded, tmp_path, capsys, damage):
    path = frames / "0003.png"
    path.write_text("no image" if damage == "text" else "")
    if damage == "size":
        Image.new("RGB", (50, 60)).save(path)
    out = tmp_path / "out"
    assert run(track, f"--video={frames}", "--box=10,15,20,24", f"--output={out}") == 3
    assert "0003.png" in error_line(capsys)
    np.testing.assert_array_equal(np.loadtxt(out / "boxes.txt", delimiter=","), TRUTH[:2])
    assert len(list(read_video(out / "video.mp4"))) == 2


def test_a_video_that_breaks_off_is_tracked_as_far_as_it_goes(loaded, tmp_path, capsys):
    noise = np.random.default_rng(0).integers(0, 255, (12, 60, 80, 3), np.uint8)
    write_video(tmp_path / "whole.mp4", noise, 7)
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "part.mp4").write_bytes(whole[: len(whole) // 2])
    flags = ["--box=10,15,20,24", f"--output={tmp_path / 'out'}"]
    assert run(track, f"--video={tmp_path / 'part.mp4'}", *flags) == 3
    said = error_line(capsys)
    assert "part.mp4 is cut off or damaged" in said
    assert "of about 12 that it announces" in said
    boxes = np.loadtxt(tmp_path / "out" / "boxes.txt", delimiter=",")
    assert 3 <= len(boxes) < 12
    np.testing.assert_array_equal(boxes[:, 0], 10 + np.arange(len(boxes)))


def test_the_tables_hold_time_score_and_presence(frames, loaded, tmp_path):
    out = tmp_path / "new"
    flags = [f"--video={frames}", "--box=10,15,20,24", f"--output={out}", "--forms=mot,cvat"]
    assert run(track, *flags) == 0
    names = ["boxes.txt", "cvat.xml", "mot.txt", "tracks.csv", "tracks.json", "video.mp4"]
    assert sorted(path.name for path in out.iterdir()) == names
    rows = list(csv.DictReader((out / "tracks.csv").read_text().splitlines()))
    assert rows[2] == {
        **{"frame": "2", "time": "0.080000", "target": "1", "x": "12.0000", "y": "15.0000"},
        **{"width": "20.0000", "height": "24.0000", "score": "0.5000", "present": "true"},
    }
    assert [row["score"] for row in rows] == ["1.0000", *["0.5000"] * 3]
    document = json.loads((out / "tracks.json").read_text())
    assert (document["tracker"], document["video"]) == ("dimp", str(frames))
    assert document["rows"][3] == {
        **{"frame": 3, "time": 0.12, "target": "1", "box": [13.0, 15.0, 20.0, 24.0]},
        **{"score": 0.5, "present": True},
    }


def test_nothing_that_is_there_is_overwritten_unasked(frames, loaded, tmp_path, capsys):
    (tmp_path / "clip.txt").write_text("precious")
    flags = [f"--video={frames}", "--box=10,15,20,24", f"--output={tmp_path / 'clip.mp4'}"]
    assert run(track, *flags) == 1
    assert "clip.txt exists already" in error_line(capsys)
    assert (tmp_path / "clip.txt").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.txt", "frames"]
    assert run(track, *flags, "--overwrite") == 0
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "clip.txt", delimiter=","), TRUTH)


class Diverging(Follower):
    def update(self, image):
        found = super().update(image)
        return types.SimpleNamespace(box=found.box * np.float32(np.nan), score=float("nan"))


def test_boxes_that_are_no_numbers_end_nothing(frames, monkeypatch, tmp_path):
    monkeypatch.setattr(tracking_tasks, "load", lambda *_, **__: Diverging())
    out = tmp_path / "out"
    flags = [f"--video={frames}", "--box=10,15,20,24", f"--output={out}", "--forms=mot,cvat"]
    assert run(track, *flags) == 0
    rows = list(csv.DictReader((out / "tracks.csv").read_text().splitlines()))
    assert [(row["x"], row["score"], row["present"]) for row in rows[1:]] == [("", "", "false")] * 3
    assert json.loads((out / "tracks.json").read_text())["rows"][1]["box"] == [None] * 4
    assert len(list(read_video(out / "video.mp4"))) == 4
    assert len((out / "mot.txt").read_text().splitlines()) == 1


class Interrupted(Follower):
    def update(self, image):
        if self.box[0] == 12:
            raise KeyboardInterrupt
        return super().update(image)


def test_what_was_tracked_is_kept_after_an_interrupt(frames, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tracking_tasks, "load", lambda *_, **__: Interrupted())
    out = tmp_path / "out"
    assert run(track, f"--video={frames}", "--box=10,15,20,24", f"--output={out}") == 130
    said = capsys.readouterr().err.splitlines()[-1]
    assert "go on with --start_frame=2 --box=12.0,15.0,20.0,24.0" in said
    np.testing.assert_array_equal(np.loadtxt(out / "boxes.txt", delimiter=","), TRUTH[:3])
    assert len(json.loads((out / "tracks.json").read_text())["rows"]) == 3
    assert not (out / "video.mp4").exists()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("flags", "numbers", "lefts"),
    [
        (["--start_frame=1"], [1, 2, 3], [10, 11, 12]),
        (["--end_frame=1"], [0, 1], [10, 11]),
        (["--start_frame=2", "--backward"], [2, 1, 0], [10, 11, 12]),
        (["--start_frame=3", "--end_frame=1", "--backward"], [3, 2, 1], [10, 11, 12]),
        (["--correct=2:40,10,20,24"], [0, 1, 2, 3], [10, 11, 40, 41]),
    ],
)
def test_tracking_starts_anywhere_and_is_put_right(frames, loaded, tmp_path, flags, numbers, lefts):
    out = tmp_path / "out"
    assert run(track, f"--video={frames}", "--box=10,15,20,24", f"--output={out}", *flags) == 0
    rows = list(csv.DictReader((out / "tracks.csv").read_text().splitlines()))
    assert [int(row["frame"]) for row in rows] == numbers
    assert [float(row["x"]) for row in rows] == lefts


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--forms=xml"], "known forms are mot, cvat"),
        (["--correct=2"], "--correct=2 must be FRAME:x,y,w,h"),
        (["--start_frame=9"], "has no frame 9"),
        (["--boxes=none.csv"], "none.csv does not exist"),
    ],
)
def test_bad_starts_end_in_one_line(frames, loaded, tmp_path, capsys, flags, message):
    flags = [f"--video={frames}", "--box=1,5,20,24", f"--output={tmp_path / 'o'}", *flags]
    assert run(track, *flags) == 1
    assert message in error_line(capsys)
    assert not (tmp_path / "o").exists()


def test_unreadable_videos_are_named(loaded, tmp_path, capsys):
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(2000))
    (tmp_path / "folder").mkdir()
    for name in ("noise.mp4", "folder"):
        flags = [f"--video={tmp_path / name}", "--box=1,1,9,9", f"--output={tmp_path / 'out'}"]
        assert run(track, *flags) == 1
        assert name in error_line(capsys)
    assert not loaded


def test_the_source_is_never_overwritten(tmp_path):
    source = tmp_path / "video.mp4"
    source.touch()
    for output in (source, tmp_path):
        with pytest.raises(InputError, match="is the video itself"):
            Outputs.at(output).require_free(source, overwrite=True)


def test_help_shows_an_example(capsys):
    assert run(track, "--help") == 0
    assert "--box=120,80,60,90" in capsys.readouterr().out


@pytest.mark.parametrize("box", [[10, 15, 20, 24], [-30, -30, 45, 45], [70, 50, 90, 90]])
def test_drawing_hides_nothing_of_the_target(box):
    image = np.full((60, 80, 3), 90, np.uint8)
    drawn = drawing.draw_box(image, np.float32(box))
    x, y = max(box[0], 0), max(box[1], 0)
    inside = np.s_[y : box[1] + box[3], x : box[0] + box[2]]
    assert (image == 90).all()
    assert (drawn[inside] == 90).all()
    changed = drawn != image
    changed[inside] = False
    assert changed.any()
    assert (drawn[changed.any(-1)] == drawing.COLOR).all()


def test_drawing_writes_the_score_above_the_box():
    image = np.zeros((60, 80, 3), np.uint8)
    box = np.float32([10, 30, 20, 24])
    difference = drawing.draw_box(image, box, 0.5) != drawing.draw_box(image, box)
    rows = np.flatnonzero(difference.any((1, 2)))
    assert rows.size > 0
    assert rows.max() < 30
