import numpy as np
import pytest
from PIL import Image

import tracking_tasks
from basics.errors import InputError
from experiments import track
from experiments.pictures import drawing
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
def test_a_damaged_later_frame_leaves_no_result(frames, loaded, tmp_path, capsys, damage):
    path = frames / "0003.png"
    path.write_text("no image" if damage == "text" else "")
    if damage == "size":
        Image.new("RGB", (50, 60)).save(path)
    out = tmp_path / "out"
    assert run(track, f"--video={frames}", "--box=10,15,20,24", f"--output={out}") == 1
    assert "0003.png" in error_line(capsys)
    assert not list(out.glob("**/*"))


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
            track.output_paths(output, source)


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
