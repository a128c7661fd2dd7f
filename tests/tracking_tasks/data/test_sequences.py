import io
import os
import pathlib
import struct
import tempfile
import zlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import ExifTags, Image

from basics.errors import InputError
from tracking_tasks.data import formats, photos, sequences, tables


def read_otb(folder):
    return formats.read_dataset(folder, "otb")


def make_video(folder, truths, frames=3, name="{:04d}.jpg"):
    """Writes an OTB video; `truths` maps file names to their text."""
    (folder / "img").mkdir(parents=True)
    for index in range(frames):
        pixels = np.full((8, 10, 3), 20 * index % 256, np.uint8)
        Image.fromarray(pixels).save(folder / "img" / name.format(index + 1))
    for file, text in truths.items():
        (folder / file).write_text(text)


@pytest.mark.parametrize("separator", [",", "\t", " ", "   ", " , "])
def test_every_published_delimiter_is_read_and_made_zero_based(tmp_path, separator):
    lines = [separator.join(str(10 * row + column) for column in range(1, 5)) for row in range(3)]
    make_video(tmp_path / "Car", {"groundtruth_rect.txt": "\r\n".join(lines) + "\r\n"})
    (sequence,) = read_otb(tmp_path)
    assert sequence.name == "Car"
    assert len(sequence) == 3
    assert sequence.boxes.dtype == np.float32
    np.testing.assert_array_equal(
        sequence.boxes, [[0, 1, 3, 4], [10, 11, 13, 14], [20, 21, 23, 24]]
    )
    assert sequence.frame(1).shape == (8, 10, 3)
    assert sequence.frame(1).mean() == pytest.approx(20, abs=1)


ROWS = ["1,2,3,4", "nan,NaN,nan,nan", "5,6,7,8"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + "\n".join(ROWS).encode(),
        "\ufeff".encode("utf-16-le") + "\r\n".join(ROWS).encode("utf-16-le"),
        "\ufeff".encode("utf-16-be") + "\n".join(ROWS).encode("utf-16-be"),
        ",\n".join(ROWS).encode() + b",\n",
        "\n".join(ROWS).replace(",", ";").encode(),
        "\n".join(ROWS).replace(",", " ; ").encode() + b" ; \n",
    ],
    ids=["utf-8 mark", "utf-16-le", "utf-16-be", "comma at the end", "semicolons", "spaced"],
)
def test_truth_as_editors_and_spreadsheets_write_it_with_an_absent_target(tmp_path, data):
    make_video(tmp_path / "Car", {})
    (tmp_path / "Car" / "groundtruth_rect.txt").write_bytes(data)
    (sequence,) = read_otb(tmp_path)
    np.testing.assert_array_equal(sequence.annotated, [True, False, True])
    np.testing.assert_array_equal(sequence.boxes[[0, 2]], [[0, 1, 3, 4], [4, 5, 7, 8]])


def test_an_absent_target_of_lasot_may_be_nan(tmp_path):
    video = tmp_path / "cat" / "cat-1"
    make_video(video, {"groundtruth.txt": "\n".join(ROWS)}, name="{:08d}.jpg")
    for name in ("full_occlusion", "out_of_view"):
        (video / f"{name}.txt").write_text("0,1,0")
    (sequence,) = formats.read_dataset(tmp_path, "lasot")
    np.testing.assert_array_equal(sequence.absent, [False, True, False])
    np.testing.assert_array_equal(sequence.annotated, [True, False, True])


def test_an_empty_mask_of_vot_is_an_absent_target(tmp_path):
    from tracking_tasks.data.formats.regions import read_regions

    (tmp_path / "groundtruth.txt").write_text("m1,2,2,1,0,2\nm0,0,0,0,\nm0,0,0,0\nm0,0,3,2,6\n")
    np.testing.assert_array_equal(
        read_regions(tmp_path / "groundtruth.txt").boxes, [[1, 2, 2, 1], *[[0] * 4] * 3]
    )


def test_a_broken_sequence_does_not_hide_the_others(tmp_path):
    for name in ("Car", "Cup", "Dog"):
        make_video(tmp_path / name, {"groundtruth_rect.txt": "1,1,2,2\n" * 3})
    (tmp_path / "Cup" / "groundtruth_rect.txt").write_text("damaged")
    broken = {}
    read = formats.read_dataset(tmp_path, "otb", broken=broken.__setitem__)
    assert [sequence.name for sequence in read] == ["Car", "Dog"]
    assert list(broken) == ["Cup"]
    assert "line 1" in str(broken["Cup"])
    with pytest.raises(InputError, match="line 1"):
        formats.read_dataset(tmp_path, "otb")


def test_a_video_with_several_targets_makes_several_sequences(tmp_path):
    truths = {"groundtruth_rect.1.txt": "1,1,2,2\n" * 3, "groundtruth_rect.2.txt": "5,5,2,2\n" * 3}
    make_video(tmp_path / "Jogging", truths)
    first, second = read_otb(tmp_path)
    assert (first.name, second.name) == ("Jogging.1", "Jogging.2")
    assert first.boxes[0, 0] == 0
    assert second.boxes[0, 0] == 4


def test_an_empty_numbered_truth_is_no_target(tmp_path):
    truths = {"groundtruth_rect.1.txt": "", "groundtruth_rect.2.txt": "5,5,2,2\n" * 3}
    make_video(tmp_path / "Human4", truths)
    assert [sequence.name for sequence in read_otb(tmp_path)] == ["Human4.2"]


def test_frames_and_videos_are_in_natural_order(tmp_path):
    for name in ("Car10", "Car2"):
        make_video(tmp_path / name, {"groundtruth_rect.txt": "1,1,2,2\n" * 12}, 12, "{}.png")
    first, second = read_otb(tmp_path)
    assert (first.name, second.name) == ("Car2", "Car10")
    assert [path.stem for path in first.frames] == [str(number) for number in range(1, 13)]


def test_frames_are_found_whatever_their_first_number_and_digits(tmp_path):
    make_video(tmp_path / "Board", {"groundtruth_rect.txt": "1,1,2,2\n" * 3}, name="{:05d}.jpg")
    (sequence,) = read_otb(tmp_path)
    assert [path.name for path in sequence.frames] == ["00001.jpg", "00002.jpg", "00003.jpg"]
    (tmp_path / "Board" / "img" / "00002.jpg").unlink()
    with pytest.raises(InputError, match=r"3 lines for 2 frames .*: frame 00002.jpg is missing"):
        read_otb(tmp_path)


def test_attributes_come_from_the_toolkits_flags(tmp_path):
    make_video(tmp_path / "Car", {"groundtruth_rect.txt": "1,1,2,2\n" * 3})
    (tmp_path / "att").mkdir()
    (tmp_path / "att" / "Car.txt").write_text("1,0,0,1,0,0,0,0,0,0,1\n")
    assert read_otb(tmp_path)[0].attributes == ("IV", "OCC", "LR")
    (tmp_path / "att" / "Car.txt").write_text("1,0,0,1,0\n")
    with pytest.raises(InputError, match=r"Car.txt has 5 flags"):
        read_otb(tmp_path)


def test_of_david_only_the_annotated_frames_are_read(tmp_path):
    make_video(tmp_path / "David", {"groundtruth_rect.txt": "1,1,2,2\n" * 2}, 301)
    (sequence,) = read_otb(tmp_path)
    assert [path.stem for path in sequence.frames] == ["0300", "0301"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,2,2\n" * 2, "groundtruth_rect.txt has 2 lines for 3 frames"),
        ("1,1,2,2\n" * 4, "has 4 lines for 3 frames"),
        ("", "has 0 lines for 3 frames"),
        ("1,1,2,2\n1,1,2\n1,1,2,2\n", "groundtruth_rect.txt, line 2: .*'1,1,2'"),
        ("1,1,2,2\n\n1,1,2,2\n", "line 2"),
        ("1,1,2,2\n1,1,2,2\n1,1,nan,2\n", "line 3"),
        ("inf,1,2,2\n1,1,2,2\n1,1,2,2\n", "line 1"),
        ("1,1,2,2\n1,,2,2\n1,1,2,2\n", "line 2"),
        ("1,1,2,2\n1,1,2,2,,\n1,1,2,2\n", "line 2"),
        ("1,1,2,2\n1,1,2e7,2\n1,1,2,2\n", "line 2"),
    ],
)
def test_a_damaged_ground_truth_is_named(tmp_path, text, message):
    make_video(tmp_path / "Car", {"groundtruth_rect.txt": text})
    with pytest.raises(InputError, match=message):
        read_otb(tmp_path)


def test_incomplete_folders_are_named(tmp_path):
    with pytest.raises(InputError, match="holds no OTB sequence"):
        read_otb(tmp_path)
    with pytest.raises(InputError, match="missing is not a folder"):
        read_otb(tmp_path / "missing")
    make_video(tmp_path / "a" / "Car", {})
    with pytest.raises(InputError, match="Car has no groundtruth_rect"):
        read_otb(tmp_path / "a")
    (tmp_path / "b" / "Car").mkdir(parents=True)
    (tmp_path / "b" / "Car" / "groundtruth_rect.txt").write_text("1,1,2,2\n")
    with pytest.raises(InputError, match="img does not exist"):
        read_otb(tmp_path / "b")


def test_a_frame_without_positive_sides_is_not_annotated():
    boxes = np.float32([[1, 2, 3, 4], [1, 2, 0, 4], [1, 2, 3, -1], [np.nan] * 4])
    sequence = sequences.Sequence("a", (np.zeros((4, 4, 3), np.uint8),) * 4, boxes)
    np.testing.assert_array_equal(sequence.annotated, [True, False, False, False])


def test_only_the_named_sequences_are_read(tmp_path):
    for name in ("Car", "Cup", "Dog"):
        make_video(tmp_path / name, {"groundtruth_rect.txt": "1,1,2,2\n" * 3})
    (tmp_path / "Cup" / "groundtruth_rect.txt").write_text("damaged")
    read = formats.read_dataset(tmp_path, "otb", names=["Dog", "Car"])
    assert [sequence.name for sequence in read] == ["Dog", "Car"]
    with pytest.raises(InputError, match=r"'Bus': known sequences are Car, Cup, Dog"):
        formats.read_dataset(tmp_path, "otb", names=["Bus"])
    with pytest.raises(InputError, match=r"unknown split 'all' of otb"):
        formats.read_dataset(tmp_path, "otb", split="all")


def test_an_unknown_format_lists_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"'kcf'.* otb"):
        formats.read_dataset(tmp_path, "kcf")


FIELD = st.floats(-1e7, 1e7, width=32)


@hypothesis.given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD, FIELD), max_size=4),
    separator=st.sampled_from([",", "\t", "  ", ", "]),
)
@hypothesis.settings(max_examples=50, deadline=None)
def test_boxes_are_read_back_as_written(rows, separator):
    text = "".join(separator.join(map(repr, row)) + "\n" for row in rows)
    np.testing.assert_array_equal(parse(text.encode()), np.asarray(rows, np.float32).reshape(-1, 4))


@hypothesis.given(
    st.binary(max_size=60) | st.text("0123456789.,-+eE \t\r\n\0naif_").map(str.encode)
)
@hypothesis.settings(max_examples=300, deadline=None)
def test_any_bytes_are_boxes_or_an_input_error(data):
    try:
        boxes = parse(data)
    except InputError as error:
        assert "truth.txt, line " in str(error)
        assert len(str(error).splitlines()) == 1
    else:
        marked = data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"))
        assert marked or boxes.shape == (len(data.rstrip().splitlines()), 4)
        assert np.isfinite(boxes).all()


def parse(data):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "truth.txt"
        path.write_bytes(data)
        return tables.read_boxes(path)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_images_of_any_mode_become_rgb(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new("RGB", (7, 5), (255, 255, 255)).convert(mode).save(path)
    image = sequences.read_image(path)
    assert (image.shape, image.dtype) == ((5, 7, 3), np.uint8)
    np.testing.assert_array_equal(image, 255)


def test_grey_values_are_repeated_in_the_channels(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    image = sequences.read_image(tmp_path / "grey.png")
    np.testing.assert_array_equal(image, np.repeat(grey[..., None], 3, axis=2))


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "text.jpg").write_text("not an image")
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "part.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(tmp_path / "deep.png")
    for name in ("text.jpg", "part.jpg", "deep.png", "missing.jpg"):
        with pytest.raises(InputError, match=name):
            sequences.read_image(tmp_path / name)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_says(tmp_path, orientation):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = 250  # upper left
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif.tobytes())
    np.testing.assert_array_equal(sequences.read_image(tmp_path / "a.png"), upright)


@pytest.mark.parametrize("suffix", ["tif", "jfif", "ppm", "avif", "gif", "jp2", "tga", "JPG"])
def test_every_suffix_that_pillow_reads_is_an_image(tmp_path, suffix):
    grey = Image.new("RGB", (16, 16), (90, 90, 90))
    form = {"jfif": "JPEG", "JPG": "JPEG", "jp2": "JPEG2000", "tif": "TIFF"}.get(suffix, suffix)
    grey.save(tmp_path / f"1.{suffix}", format=form)
    for other in ("1.txt", "1.mpg", "1.h5", ".1.png"):
        (tmp_path / other).write_text("no image")
    (path,) = sequences.list_images(tmp_path)
    np.testing.assert_allclose(sequences.read_image(path).astype(int), 90, atol=2)


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png is no regular file"):
        sequences.read_image(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png is no regular file"):
        photos.load_bank(tmp_path, "train")


def test_more_pixels_than_an_image_has_are_refused_before_they_are_decoded(tmp_path):
    """A header of a PNG that claims 10000 x 8500 pixels, with hardly any data."""
    image = io.BytesIO()
    Image.new("1", (8, 8)).save(image, "PNG")
    data = bytearray(image.getvalue())
    data[16:24] = struct.pack(">II", 10_000, 8_500)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="10000x8500 pixels, more than 80,000,000: shrink it"):
        sequences.read_image(tmp_path / "a.png")
