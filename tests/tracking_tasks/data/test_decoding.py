"""Every frame that a file holds, each once: against OpenCV as a second decoder."""

import shutil
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from tracking_tasks.data.decoding import DamagedVideoError
from tracking_tasks.data.videos import read_video

COUNT, SIZE = 12, (48, 64)
PALETTE = "split[a][b];[a]palettegen[p];[b][p]paletteuse"
# Container, arguments of the encoder. Each frame says its number by its brightness.
KINDS = [
    *((f"h264.{kind}", "-c:v libx264") for kind in ("mp4", "mkv", "mov", "ts", "flv", "avi")),
    ("b-frames.mp4", "-c:v libx264 -bf 3 -g 12"),
    ("fragments.mp4", "-c:v libx264 -movflags frag_keyframe+empty_moov"),
    ("full-range.mp4", "-c:v libx264 -pix_fmt yuvj420p"),
    ("444.mp4", "-c:v libx264 -pix_fmt yuv444p"),
    ("ten-bit.mp4", "-c:v libx265 -pix_fmt yuv420p10le -x265-params log-level=none"),
    ("grey.mkv", "-c:v libx264 -pix_fmt gray"),
    ("raw.h264", "-c:v libx264 -f h264"),
    ("phone.m4v", "-c:v libx264"),
    ("hevc.mp4", "-c:v libx265 -x265-params log-level=none"),
    ("hevc.mkv", "-c:v libx265 -x265-params log-level=none"),
    ("vp8.webm", "-c:v libvpx"),
    ("vp9.webm", "-c:v libvpx-vp9"),
    ("vp9.mp4", "-c:v libvpx-vp9"),
    ("mjpeg.mkv", "-c:v mjpeg"),
    ("mpeg2.mxf", "-c:v mpeg2video"),
    ("utvideo.avi", "-c:v utvideo -pix_fmt yuv422p"),
    ("mpeg4.mp4", "-c:v mpeg4"),
    ("mpeg4.avi", "-c:v mpeg4"),
    ("xvid.avi", "-c:v libxvid"),
    ("mpeg2.mpg", "-c:v mpeg2video -f mpeg"),
    ("mpeg2.ts", "-c:v mpeg2video"),
    ("mpeg1.mpg", "-c:v mpeg1video -f mpeg"),
    ("mjpeg.avi", "-c:v mjpeg"),
    ("mjpeg.mov", "-c:v mjpeg"),
    ("prores.mov", "-c:v prores_ks"),
    ("dnx.mov", "-c:v dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p -s 256x128"),
    ("ffv1.mkv", "-c:v ffv1"),
    ("ffv1.avi", "-c:v ffv1"),
    ("huffyuv.avi", "-c:v huffyuv -pix_fmt yuv422p"),
    ("raw.avi", "-c:v rawvideo -pix_fmt bgr24"),
    ("qtrle.mov", "-c:v qtrle -pix_fmt rgb24"),
    ("theora.ogv", "-c:v libtheora -q:v 8"),
    ("wmv2.wmv", "-c:v wmv2"),
    ("wmv1.asf", "-c:v wmv1"),
    ("sorenson.flv", "-c:v flv1"),
    ("h263.3gp", "-c:v h263 -s 128x96"),
    ("raw.y4m", "-pix_fmt yuv420p"),
    ("animation.gif", f"-vf {PALETTE} -pix_fmt pal8"),
    ("animation.apng", "-plays 0"),
]  # fmt: skip


def ffmpeg(*arguments):
    exe = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([exe, "-y", "-loglevel", "error", *map(str, arguments)], check=True)


def source(height=SIZE[0], width=SIZE[1], count=COUNT):
    """Grey frames, each brighter than the one before, with a left half half as bright."""
    level = 30 + 18 * np.arange(count)
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = level[:, None, None, None]
    frames[:, :, : width // 2] //= 2
    return frames


def encode(path, *arguments, frames=None, rate=10, filters=()):
    """Writes frames by ffmpeg; lossless unless the arguments say otherwise."""
    frames = source() if frames is None else frames
    raw = path.with_name("raw.bin")
    raw.write_bytes(frames.tobytes())
    size = f"{frames.shape[2]}x{frames.shape[1]}"
    ffmpeg("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", rate, "-i", raw, *filters,
           *arguments, path)  # fmt: skip
    raw.unlink()


def numbers(frames):
    """Which of `source`'s frames each is."""
    return [round((int(np.median(frame[:, -8:])) - 30) / 18) for frame in frames]


@pytest.mark.parametrize(("name", "arguments"), KINDS, ids=[name for name, _ in KINDS])
def test_the_frames_of_a_file_are_those_of_a_second_decoder(tmp_path, name, arguments):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is the second decoder")
    path = tmp_path / name
    rate = 25 if path.suffix in (".mpg", ".mxf") else 10  # they know no other
    encode(path, "-pix_fmt", "yuv420p", *arguments.split(), rate=rate)
    read = list(read_video(path))
    assert numbers(read) == list(range(COUNT))
    one = [cv2.CAP_PROP_N_THREADS, 1]  # of ffmpeg's, too, which race in Theora
    capture, second = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, one), []
    while (frame := capture.read()[1]) is not None:
        second.append(frame[:, :, ::-1])
    assert numbers(second) == list(range(COUNT))
    np.testing.assert_allclose(np.stack(read).astype(int), np.stack(second), atol=12)


@pytest.mark.parametrize(("name", "codec", "threads"), [
    ("a.ogv", "libtheora", ["-threads", "1"]), ("a.mp4", "libx264", []),
])  # fmt: skip
def test_a_decoder_whose_threads_race_has_one(tmp_path, monkeypatch, name, codec, threads):
    """With more, one reading in ten of Theora has wrong frames, the more often the busier."""
    encode(tmp_path / name, "-pix_fmt", "yuv420p", "-c:v", codec)
    video, commands = read_video(tmp_path / name), []

    def popen(command, **options):
        commands.append(command)
        return subprocess_popen(command, **options)

    subprocess_popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    assert numbers(video) == list(range(COUNT))
    (command,) = commands
    begin, end = command.index("level+error") + 1, command.index("-i")
    assert command[begin:end] == threads


def test_av1_gives_its_frames(tmp_path):
    """OpenCV's wheel does not read it."""
    encode(tmp_path / "a.mkv", "-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p")
    assert numbers(read_video(tmp_path / "a.mkv")) == list(range(COUNT))


TIMES = np.cumsum([0.0, 0.04, 0.01, 0.06, 0.03, 0.2, 0.008, 0.05, 0.3, 0.02, 0.04, 0.011])


@pytest.mark.parametrize("name", ["phone.mp4", "screen.mkv", "phone.mov"])
def test_frames_at_unequal_times_come_once_each_with_their_times(tmp_path, name):
    terms = "+".join(f"eq(N\\,{i})*{time:.6f}" for i, time in enumerate(TIMES))
    variable = ["-vf", f"settb=1/90000,setpts=({terms})/TB", "-fps_mode", "passthrough"]
    encode(tmp_path / name, *variable, "-enc_time_base", "1/90000", "-c:v", "libx264",
           "-video_track_timescale", "90000", "-crf", "5")  # fmt: skip
    frames = list(read_video(tmp_path / name).frames())
    assert numbers(frame.pixels for frame in frames) == list(range(COUNT))
    assert [frame.number for frame in frames] == list(range(COUNT))
    np.testing.assert_allclose([frame.time for frame in frames], TIMES, atol=1.1e-3)


def test_unequal_delays_of_a_gif_repeat_nothing(tmp_path):
    from PIL import Image

    first, *rest = map(Image.fromarray, source())
    delays = [20, 500, 40, 100, 30, 20, 20, 700, 60, 50, 20, 90]
    first.save(tmp_path / "a.gif", save_all=True, append_images=rest, duration=delays)
    frames = list(read_video(tmp_path / "a.gif").frames())
    assert numbers(frame.pixels for frame in frames) == list(range(COUNT))
    starts = np.cumsum([0, *delays[:-1]]) / 1000
    np.testing.assert_allclose([frame.time for frame in frames], starts, atol=1e-6)


def test_times_that_start_late_count_from_zero(tmp_path):
    encode(tmp_path / "a.ts", "-c:v", "mpeg2video", "-output_ts_offset", "500")
    frames = list(read_video(tmp_path / "a.ts").frames())
    assert numbers(frame.pixels for frame in frames) == list(range(COUNT))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(COUNT) / 10, atol=1e-3)


def test_times_of_a_long_recording_are_exact(tmp_path):
    """Seven hours and 46 minutes in: by six digits they would be told to a tenth of a second."""
    late = ["-vf", "settb=1/1000,setpts=if(N\\,28000000\\,0)+33*N", "-fps_mode", "passthrough"]
    encode(tmp_path / "a.mkv", *late, "-enc_time_base", "1/1000", "-c:v", "mjpeg")
    frames = list(read_video(tmp_path / "a.mkv").frames())
    expected = [0, *(28000 + 0.033 * np.arange(1, COUNT))]
    np.testing.assert_allclose([frame.time for frame in frames], expected, atol=1e-6)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_a_rotated_video_is_read_as_it_is_shown(tmp_path, degrees, turns):
    encode(tmp_path / "flat.mp4", "-c:v", "libx264", "-crf", "5", "-pix_fmt", "yuv420p")
    ffmpeg("-display_rotation", degrees, "-i", tmp_path / "flat.mp4", "-c", "copy",
           tmp_path / "turned.mp4")  # fmt: skip
    flat = np.stack(list(read_video(tmp_path / "flat.mp4")))
    turned = np.stack(list(read_video(tmp_path / "turned.mp4")))
    expected = np.rot90(flat, turns, axes=(1, 2))
    assert turned.shape == expected.shape
    np.testing.assert_allclose(turned.astype(int), expected, atol=3)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "avi"])
def test_a_file_that_breaks_off_gives_its_frames_and_says_so(tmp_path, suffix):
    frames = np.random.default_rng(0).integers(0, 255, (COUNT, *SIZE, 3), np.uint8)
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(suffix, "libx264")
    faststart = ["-movflags", "faststart"] if suffix == "mp4" else []
    encode(tmp_path / f"whole.{suffix}", "-c:v", codec, "-g", "1", *faststart, frames=frames)
    data = (tmp_path / f"whole.{suffix}").read_bytes()
    part = tmp_path / f"part.{suffix}"
    part.write_bytes(data[: len(data) * 6 // 10])
    whole, read = list(read_video(tmp_path / f"whole.{suffix}")), []
    video = read_video(part)
    with pytest.raises(DamagedVideoError, match=rf"part\.{suffix} is cut off or damaged") as caught:
        for frame in video.frames():
            read.append(frame.pixels)
    assert 4 <= len(read) <= 8
    for one, other in zip(read[:-1], whole, strict=False):
        np.testing.assert_array_equal(one, other)
    assert f"{len(read)} frames" in str(caught.value)
    with pytest.warns(UserWarning, match="is cut off or damaged"):
        assert len(list(video)) == len(read)


def test_damage_is_seen_at_every_reading(tmp_path):
    """ffmpeg's threads say at once what is damaged and what else they do."""
    frames = np.random.default_rng(0).integers(0, 255, (COUNT, *SIZE, 3), np.uint8)
    encode(tmp_path / "a.avi", "-c:v", "mpeg4", "-g", "1", frames=frames)
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "a.avi").write_bytes(data[: len(data) * 6 // 10])
    video = read_video(tmp_path / "a.avi")
    for _ in range(8):
        with pytest.raises(DamagedVideoError, match=r"ac-tex damaged|Error at MB"):
            list(video.frames())


@pytest.mark.parametrize("name", ["12:30.mp4", "-x.mp4", "a b.mp4", "%d.mp4"])
def test_a_relative_name_is_no_protocol_option_or_pattern(tmp_path, monkeypatch, name):
    encode(tmp_path / "plain.mp4", "-c:v", "libx264")
    shutil.move(tmp_path / "plain.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(read_video(name))) == COUNT


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
def test_parts_and_backward_give_the_same_frames(tmp_path, monkeypatch, name):
    from tracking_tasks.data import videos

    kind = ["-c:v", "libx264"] if name == "a.mp4" else ["-vf", PALETTE]
    encode(tmp_path / name, *kind)
    video = read_video(tmp_path / name)
    assert [frame.number for frame in video.frames(3, 7)] == [3, 4, 5, 6]
    part = list(video.frames(3, 7))
    assert numbers(frame.pixels for frame in part) == [3, 4, 5, 6]
    np.testing.assert_allclose([frame.time for frame in part], [0.3, 0.4, 0.5, 0.6], atol=1e-3)
    assert list(video.frames(20)) == []
    assert list(video.frames(5, 5)) == []
    monkeypatch.setattr(videos, "_CHUNK", 4 * 3 * SIZE[0] * SIZE[1])  # four frames at a time
    back = list(video.backward(9))
    assert [frame.number for frame in back] == list(range(9, -1, -1))
    assert numbers(frame.pixels for frame in back) == list(range(9, -1, -1))


def test_frames_can_be_written_to(tmp_path):
    encode(tmp_path / "a.mp4", "-c:v", "libx264")
    frame = next(iter(read_video(tmp_path / "a.mp4")))
    frame[:] = 7
    assert (frame == 7).all()
