import functools
import http.server
import threading
import time

import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data import live, video_writing, videos


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


def images(folder, *names):
    folder.mkdir(parents=True)
    for index, name in enumerate(names):
        Image.fromarray(frames(index + 1)[index]).save(folder / name)
    return folder


def test_the_frames_of_an_otb_folder_are_in_its_img(tmp_path):
    images(tmp_path / "Car" / "img", "0001.png", "0002.png")
    (tmp_path / "Car" / "groundtruth_rect.txt").write_text("1,1,2,2\n")
    read = np.stack(list(videos.read_video(tmp_path / "Car")))
    np.testing.assert_array_equal(read, frames(2))


@pytest.mark.parametrize(
    "names",
    [
        ("0001.png", "0002.png", "0001.jpg"),
        ("0001.png", "0001_mask.png", "0002.png"),
        ("left_1.png", "right_01.png"),
        ("a.png", "a.tif"),
    ],
)
def test_twins_and_masks_are_asked_about(tmp_path, names):
    folder = images(tmp_path / "frames", *names)
    with pytest.raises(InputError, match=r"holds both .* and .*: move those"):
        videos.read_video(folder)


def test_some_images_of_a_folder_may_be_named(tmp_path):
    folder = images(tmp_path / "frames", "1.png", "2.png", "1.gif", "10.png")
    video = videos.read_video(folder / "*.png")
    assert [path.name for path in video.images] == ["1.png", "2.png", "10.png"]
    with pytest.raises(InputError, match="names no images"):
        videos.read_video(folder / "*.webp")


def test_parts_of_a_folder_and_backward(tmp_path):
    folder = images(tmp_path / "frames", *(f"{index}.png" for index in range(5)))
    video = videos.read_video(folder)
    assert [(frame.number, frame.time) for frame in video.frames(2, 4)] == [(2, 0.08), (3, 0.12)]
    assert [frame.number for frame in video.frames(3)] == [3, 4]
    back = list(video.backward(2))
    assert [frame.number for frame in back] == [2, 1, 0]
    np.testing.assert_array_equal(np.stack([frame.pixels for frame in back]), frames(3)[::-1])


def test_a_failed_encoder_leaves_no_file_and_says_why(tmp_path, monkeypatch):
    encoder = tmp_path / "encoder"
    encoder.write_text("#!/bin/sh\nhead -c 99 >/dev/null\necho no space left >&2\nexit 1\n")
    encoder.chmod(0o755)
    monkeypatch.setattr(video_writing.imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(encoder))
    with pytest.raises(OSError, match=r"out\.mp4 could not be written: no space left"):
        videos.write_video(tmp_path / "out.mp4", iter(np.zeros((9, 480, 640, 3), np.uint8)), 10)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_the_newest_frame_is_taken_where_tracking_is_slower():
    sent, go = [], threading.Semaphore(0)

    def camera():
        for index in range(100):
            go.acquire()
            sent.append(index)
            yield index

    stream = live.newest(camera())
    go.release()
    assert next(stream) == 0
    go.release(40)
    while len(sent) < 41:
        time.sleep(0.001)
    taken = next(stream)
    assert taken >= 38  # the thread may be about to hand over the last one
    go.release(59)
    rest = list(stream)
    assert rest[-1] == 99
    assert rest == sorted(rest)


def test_a_stream_that_fails_says_so_behind_its_last_frame():
    def camera():
        yield 1
        raise InputError("unplugged")

    stream = live.newest(camera())
    assert next(stream) == 1
    with pytest.raises(InputError, match="unplugged"):
        next(stream)


def test_a_stream_is_read_by_its_address(tmp_path):
    videos.write_video(tmp_path / "a.mp4", frames(6), fps=10)
    handler = functools.partial(QuietHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        video = videos.read_video(f"http://127.0.0.1:{server.server_port}/a.mp4")
        assert video.length is None
        shown = list(video.frames())
        server.shutdown()
    assert shown[-1].number == 5
    np.testing.assert_allclose(shown[-1].pixels.astype(int), frames(6)[5], atol=12)
    with pytest.raises(InputError, match="backward"):
        video.backward(3)


def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(InputError, match="97 broke off"):
        list(videos.read_video("97").frames())


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
