"""Omniglot from zip files and from TFDS; damaged files are refused in a sentence."""

import urllib.error
import urllib.request
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from basics.errors import InputError
from experiments.few_shot.tasks.omniglot import Omniglot
from tests.experiments.few_shot import data


@pytest.fixture
def folder(tmp_path):
    data.omniglot_zip(tmp_path / "images_background_small1.zip", "ABC")
    data.omniglot_zip(tmp_path / "images_background_small2.zip", "CDE")
    return tmp_path


SMALL = {"ways": 2, "shots": 1, "queries": 3}


def test_of_the_small_sets_one_is_learned_from_and_what_only_the_other_has_is_the_test(folder):
    task = Omniglot.create(data_dir=str(folder), **SMALL)
    assert task.training.count.tolist() == [4] * 6  # A, B, C
    assert task.test.count.tolist() == [4] * 4  # D and E
    data.omniglot_zip(folder / "images_background_small2.zip", "DE")
    same = Omniglot.create(data_dir=str(folder), **SMALL)
    np.testing.assert_array_equal(same.test.images, task.test.images)


def test_omniglot_without_its_evaluation_set_tests_on_a_fifth_of_the_characters(folder):
    (folder / "images_background_small1.zip").rename(folder / "images_background.zip")
    task = Omniglot.create(data_dir=str(folder), **SMALL)
    assert task.training.count.tolist() == [4] * 8  # of ten, C not twice
    assert task.test.count.tolist() == [4] * 2
    both = np.concatenate([task.training.images, task.test.images])[..., 0]
    assert both.shape == (40, 28, 28)
    # Each drawing is there once, its ink bright, on black.
    centres = lambda images: np.array([np.argwhere(image > 128).mean(0) for image in images])
    drawn = [
        255 - data.drawing([ord(alphabet), character, index])
        for alphabet in "ABCDE" for character in range(2) for index in range(4)
    ]  # fmt: skip
    expected = (centres(drawn) + 0.5) * 28 / 105 - 0.5
    distances = np.linalg.norm(centres(both)[:, None] - expected, axis=-1)
    assert (distances.min(0) < 0.4).all() and (distances.min(1) < 0.4).all()
    assert both.max() == 255 and both.min() == 0


def test_omniglot_s_evaluation_set_is_the_test(folder):
    data.omniglot_zip(folder / "images_evaluation.zip", "XYZ", characters=1)
    task = Omniglot.create(data_dir=str(folder), **SMALL)
    assert len(task.training.count) == 10 and len(task.test.count) == 3


def test_nothing_in_a_zip_file_is_extracted(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    names = [f"../{alphabet}/c/{index}.png" for alphabet in ("..", "A") for index in range(4)]
    evil = [(name, data.png(data.drawing(0))) for name in [*names, "/evil/a/b.txt", "notes.txt"]]
    data.omniglot_zip(folder / "images_background_small1.zip", "ABC", extra=evil)
    before = sorted(tmp_path.parent.rglob("*"))
    Omniglot.create(data_dir=str(folder), **SMALL)
    assert sorted(tmp_path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("r/A/c/1.png", b"no image", "is no image or is damaged"),
        ("r/A/c/1.png", data.png(data.drawing(0, 50)), "has 50x50 pixels, not 105x105"),
        ("r/A/c/1.png", bytes(200_000), "too large for a drawing"),
        ("r/A/c/1.png", data.png(data.drawing(0)), "1 images of A/c are too few for 4"),
    ],
)
def test_an_odd_drawing_is_refused(folder, name, contents, message):
    data.omniglot_zip(folder / "images_background_small1.zip", "ABC", extra=[(name, contents)])
    with pytest.raises(InputError, match=message):
        Omniglot.create(data_dir=str(folder), **SMALL)


def test_damaged_zip_files_are_refused_or_read(folder):
    """Whatever bytes are wrong, there is a sentence or a task, and nothing else."""
    path = folder / "images_background_small1.zip"
    whole, random = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(30):
        broken = bytearray(whole)
        for position in random.integers(0, len(whole), 20):
            broken[position] = random.integers(256)
        path.write_bytes(broken[: random.integers(len(whole) // 2, len(whole) + 1)])
        try:
            Omniglot.create(data_dir=str(folder), **SMALL)
        except InputError as error:
            refused += 1
            assert str(path) in str(error) or str(folder) in str(error)
    assert refused > 20
    path.write_bytes(b"")
    with pytest.raises(InputError, match="no zip file or is damaged"):
        Omniglot.create(data_dir=str(folder), **SMALL)


def test_an_encrypted_drawing_is_refused(folder):
    path = folder / "images_background_small1.zip"
    contents = bytearray(path.read_bytes())
    contents[6] |= 1  # the flags of the first file
    directory = contents.find(b"PK\x01\x02")
    contents[directory + 8] |= 1
    path.write_bytes(contents)
    with pytest.raises(InputError, match="no zip file or is damaged"):
        Omniglot.create(data_dir=str(folder), **SMALL)
    assert zipfile.is_zipfile(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ways": 5}, "4 classes are too few for --ways=5"),
        ({"shots": 4}, "4 images of .* are too few for 7"),
    ],
)
def test_too_few_classes_or_images_are_refused(folder, options, message):
    with pytest.raises(InputError, match=message):
        Omniglot.create(data_dir=str(folder), **SMALL | options)


def test_a_folder_without_zip_files_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no images_\*\.zip"):
        Omniglot.create(data_dir=str(tmp_path))


def test_omniglot_through_tensorflow_datasets(monkeypatch):
    class Builder:
        def is_prepared(self):
            return True

        def as_data_source(self, split):
            assert split == ["train", "test"]
            return [self.examples(7), self.examples(9)]

        def examples(self, alphabet):
            for character in range(2):
                for index in range(4):
                    pixels = data.drawing([alphabet, character, index])
                    image = np.repeat(pixels[..., None], 3, -1)
                    yield {"image": image, "alphabet": alphabet, "alphabet_char_id": character}

    monkeypatch.setattr(tfds, "builder", lambda name, file_format: Builder())
    task = Omniglot.create(**SMALL)
    assert task.training.count.tolist() == task.test.count.tolist() == [4, 4]
    assert task.test.images.max() == 255 and task.test.images.min() == 0

    def no_network(url, timeout):
        raise urllib.error.URLError("a long story\nof many lines")

    monkeypatch.setattr(Builder, "is_prepared", lambda self: False)
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    with pytest.raises(InputError, match="give --data_dir"):
        Omniglot.create(**SMALL)


def test_the_published_small_sets(data_root):
    folder = data_root / "data" / "omniglot"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    task = Omniglot.create(data_dir=str(folder))
    assert len(task.training.count) == 136 and len(task.test.count) == 106
    assert set(task.training.count.tolist()) == {20}
    assert 0.02 < task.training.images.mean() / 255 < 0.2
