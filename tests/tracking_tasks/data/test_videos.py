import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data import videos


def frames(count, height=32, width=48):
    """Grey frames, each a little brighter than the one before, with a dark left half."""
    result = np.zeros((count, height, width, 3), np.uint8)
    result[:, :, width // 2 :] = (20 + 30 * np.arange(count))[:, None, None, None]
    return result


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".MP4"])
def test_a_written_video_reads_back(tmp_path, suffix):
    path = tmp_path / "new" / f"video{suffix}"
    written = frames(6)
    videos.write_video(path, iter(written), fps=10)
    video = videos.read_video(path)
    assert (video.fps, video.length) == (10, 6)
    read = np.stack(list(video))
    assert read.dtype == np.uint8
    np.testing.assert_allclose(read.astype(int), written, atol=12)
    assert len(list(video)) == 6  # starts over
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_odd_sides_are_padded_for_mp4(tmp_path):
    videos.write_video(tmp_path / "odd.mp4", frames(3, 31, 47), fps=25)
    read = np.stack(list(videos.read_video(tmp_path / "odd.mp4")))
    assert read.shape == (3, 32, 48, 3)
    np.testing.assert_allclose(read[:, :31, :47].astype(int), frames(3, 31, 47), atol=12)


def test_a_folder_is_read_in_natural_order(tmp_path):
    for index, frame in enumerate(frames(7), start=6):
        Image.fromarray(frame).save(tmp_path / f"frame{index}.png")
    (tmp_path / "notes.txt").write_text("no image")
    video = videos.read_video(tmp_path)
    assert video.length == 7
    np.testing.assert_array_equal(np.stack(list(video)), frames(7))


def test_frames_are_decoded_only_when_asked_for(tmp_path):
    Image.fromarray(frames(1)[0]).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_text("no image")
    stream = iter(videos.read_video(tmp_path))
    assert next(stream).shape == (32, 48, 3)
    with pytest.raises(InputError, match=r"2\.png"):
        next(stream)


def test_images_of_different_sizes_are_refused(tmp_path):
    for index, width in enumerate((48, 48, 50)):
        Image.fromarray(frames(1, width=width)[0]).save(tmp_path / f"{index}.png")
    with pytest.raises(InputError, match=r"2\.png differs in size"):
        list(videos.read_video(tmp_path))


def test_unreadable_videos_are_named(tmp_path):
    videos.write_video(tmp_path / "whole.mp4", frames(6), fps=10)
    whole = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.txt").write_text("no video\n" * 50)
    (tmp_path / "folder").mkdir()
    for name in ("half.mp4", "empty.mp4", "text.txt", "folder", "missing.mp4"):
        with pytest.raises(InputError, match=name) as caught:
            videos.read_video(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_what_was_there(tmp_path):
    def broken():
        yield from frames(3)
        raise InputError("frame 4 is damaged")

    for name in ("video.mp4", "video.gif"):
        path = tmp_path / name
        path.write_text("before")
        with pytest.raises(InputError, match="frame 4"):
            videos.write_video(path, broken(), fps=10)
        assert path.read_text() == "before"
        path.unlink()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "count"), [("video.avi", 3), ("video.mp4", 0)])
def test_what_cannot_be_written_is_refused(tmp_path, name, count):
    with pytest.raises(InputError, match=name):
        videos.write_video(tmp_path / name, frames(count), fps=10)
