"""Packed data sets: what was packed is read back, shared frames once, and damage is a sentence."""

import io
import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data import packed
from tracking_tasks.data.sequences import Sequence


def save(path, seed, size=(24, 16), **options):
    """Writes an image of random blocks, which JPEG keeps up to a few grey levels."""
    blocks = np.random.default_rng(seed).integers(0, 255, (2, 3, 3), np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(path, **options)
    return path


def boxes(count):
    return np.float32([[1 + index, 2, 8, 6] for index in range(count)])


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two targets of one video, a still of another kind of image, and a target never seen."""
    folder = tmp_path_factory.mktemp("frames")
    frames = tuple(save(folder / f"{index}.jpg", index, quality=90) for index in range(5))
    partly = boxes(5)
    partly[1] = np.nan
    absent = np.arange(5) == 3
    share = np.float32([1, 1, 0.5, 1, 0.25])
    return [
        Sequence("first", frames, boxes(5)),
        Sequence("second", frames, partly, visible=share, absent=absent),
        Sequence("unseen", frames, boxes(5), absent=np.ones(5, bool)),
        Sequence("still", (save(folder / "still.png", 9, (40, 60)),), boxes(1)),
    ]


@pytest.fixture(scope="module")
def folder(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "tiny"
    packed.pack(videos, folder, name="tiny")
    return folder


def pixels(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), int)


def test_what_was_packed_is_read_back(videos, folder):
    dataset = packed.PackedDataset(folder)
    assert (dataset.name, len(dataset), dataset.frames) == ("tiny", 3, 6)
    first, second, still = (dataset[index] for index in range(3))
    assert [s.name for s in (first, second, still)] == ["first", "second", "still"]
    assert [s.first for s in (first, second, still)] == [0, 0, 5]
    np.testing.assert_array_equal(first.boxes, videos[0].boxes)
    np.testing.assert_array_equal(first.visible, np.ones(5))
    np.testing.assert_array_equal(second.visible, [1, 0, 0.5, 0, 0.25])
    np.testing.assert_array_equal(second.boxes[[1, 3]], 0)
    np.testing.assert_array_equal(second.boxes[[0, 2, 4]], boxes(5)[[0, 2, 4]])
    for number, path in enumerate(videos[0].frames):
        assert dataset.image(number) == path.read_bytes()
    original = pixels(videos[3].frames[0].read_bytes())
    assert np.abs(pixels(dataset.image(5)) - original).mean() < 8  # JPEG of quality 95


def test_larger_images_shrink_with_their_boxes(videos, tmp_path):
    packed.pack(videos, tmp_path / "small", name="small", longest_side=30)
    dataset = packed.PackedDataset(tmp_path / "small")
    assert pixels(dataset.image(5)).shape == (30, 20, 3)
    np.testing.assert_allclose(dataset[2].boxes, boxes(1) / 2)
    assert dataset.image(0) == videos[0].frames[0].read_bytes()
    np.testing.assert_array_equal(dataset[0].boxes, boxes(5))


def test_frames_in_memory_and_rare_modes_become_rgb_jpeg(tmp_path):
    grey = save(tmp_path / "grey.png", 1)
    with Image.open(grey) as picture:
        picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    memory = np.full((20, 30, 3), 77, np.uint8)
    frames = (tmp_path / "cmyk.jpg", memory)
    packed.pack([Sequence("a", frames, boxes(2))], tmp_path / "out", name="modes")
    dataset = packed.PackedDataset(tmp_path / "out")
    for number in range(2):
        image = Image.open(io.BytesIO(dataset.image(number)))
        assert (image.format, image.mode) == ("JPEG", "RGB")
    assert np.abs(pixels(dataset.image(1)) - 77).max() <= 1


def test_it_is_a_data_set_of_tfds(folder, videos):
    builder = tfds.builder_from_directory(folder / "frames" / "1.0.0")
    assert builder.info.splits["train"].num_examples == 6
    source = builder.as_data_source("train", decoders={"image": tfds.decode.SkipDecoding()})
    assert source[2]["image"] == videos[0].frames[2].read_bytes()


def test_many_shards_keep_the_order(videos, tmp_path, monkeypatch):
    monkeypatch.setattr(packed.writing, "_SHARD_BYTES", 1500)
    packed.pack(videos[:1], tmp_path / "out", name="many")
    assert len(list((tmp_path / "out" / "frames" / "1.0.0").glob("*array_record*"))) > 1
    dataset = packed.PackedDataset(tmp_path / "out")
    for number, path in enumerate(videos[0].frames):
        assert dataset.image(number) == path.read_bytes()


def test_refusals(videos, folder, tmp_path):
    with pytest.raises(InputError, match="tiny exists already"):
        packed.pack(videos, folder, name="tiny")
    with pytest.raises(InputError, match="no sequence with a visible target"):
        packed.pack(videos[2:3], tmp_path / "out", name="tiny")
    cut_off = tmp_path / "cut.jpg"
    cut_off.write_bytes(videos[0].frames[0].read_bytes()[:-200])
    frames = (*videos[0].frames[:2], cut_off)
    with pytest.raises(InputError, match=r"cut\.jpg"):
        packed.pack([Sequence("a", frames, boxes(3))], tmp_path / "out", name="tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.jpg"]


def test_what_a_killed_run_left_is_replaced(videos, tmp_path):
    (tmp_path / ".out.partial" / "frames" / "1.0.0").mkdir(parents=True)
    packed.pack(videos, tmp_path / "out", name="tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(packed.PackedDataset(tmp_path / "out")) == 3


def read_all(folder):
    dataset = packed.PackedDataset(folder)
    for index in range(len(dataset)):
        _ = dataset[index]
    return [dataset.image(number) for number in range(dataset.frames)]


@pytest.mark.parametrize("victim", range(7))
@pytest.mark.parametrize("damage", ["removed", "cut", "empty", "noise"])
def test_damage_is_a_sentence(folder, tmp_path, victim, damage):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    assert len(files) == 7
    data = files[victim].read_bytes()
    if damage == "removed":
        files[victim].unlink()
    elif damage == "noise":
        noise = np.random.default_rng(victim).integers(0, 256, len(data), np.uint8)
        files[victim].write_bytes(noise.tobytes())
    else:
        files[victim].write_bytes(data[: len(data) // 2 if damage == "cut" else 0])
    with pytest.raises(InputError, match=r"copy is (damaged|no packed data set).*: \w+") as caught:
        read_all(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bytes_are_noticed_or_harmless(folder, tmp_path, seed):
    generator = np.random.default_rng(seed)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    files = sorted(path for path in copy.rglob("*array_record*") if path.is_file())
    path = files[seed % len(files)]
    data = bytearray(path.read_bytes())
    for _ in range(200):
        data[generator.integers(len(data))] = generator.integers(256)
    path.write_bytes(data)
    try:
        assert read_all(copy) == read_all(folder)
    except InputError as error:
        assert "pack the data set again" in str(error)


def test_sequences_that_do_not_fit_the_frames_are_refused(folder, tmp_path):
    manifest = json.loads((folder / "packed.json").read_text())
    shutil.copytree(folder, tmp_path / "copy")
    more = json.dumps(manifest | {"frames": 7})
    (tmp_path / "copy" / "packed.json").write_text(more)
    with pytest.raises(InputError, match="frames holds 6 records in place of 7"):
        packed.PackedDataset(tmp_path / "copy")
