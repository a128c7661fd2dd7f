"""--dataset_dir given more than once, and what of its folders weights were trained on."""

import json

import numpy as np
import pytest
from absl import flags

from basics.errors import InputError
from experiments.command_line.dataset_flags import Dataset
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.data.sequences import Sequence


def dataset(*folders):
    registry = flags.FlagValues()
    found = Dataset(registry, several=True)
    registry(["program", *(f"--dataset_dir={folder}" for folder in folders)])
    return found


@pytest.fixture
def folders(tmp_path):
    frames = tuple(np.zeros((3, 16, 16, 3), np.uint8))
    for folder, names in (("one", ["cat", "dog"]), ("two", ["car"])):
        sequences = [Sequence(name, frames, np.float32([[1, 1, 4, 4]] * 3)) for name in names]
        write_layout(tmp_path / folder, "otb", sequences)
    return tmp_path / "one", tmp_path / "two"


def test_the_sequences_of_all_folders_are_read(folders):
    assert [each.name for each in dataset(*folders).read()] == ["cat", "dog", "car"]
    with pytest.raises(InputError, match="two folders hold a sequence cat"):
        dataset(folders[0], folders[0]).read()


def test_those_for_training_are_named_by_split_json(folders):
    assert dataset(*folders).for_training() == set()
    (folders[0] / "split.json").write_text(json.dumps({"train": ["dog"], "val": ["cat"]}))
    assert dataset(*folders).for_training() == {"dog"}
    (folders[0] / "split.json").write_text(json.dumps({"val": ["cat"]}))
    with pytest.raises(InputError, match=r"split.json must name .* of train"):
        dataset(*folders).for_training()


def test_without_a_folder_the_one_of_the_format_is_read(folders, monkeypatch):
    monkeypatch.setenv("METAOPT_DATASETS", str(folders[0].parent))
    folders[0].rename(folders[0].with_name("otb"))
    found = dataset()
    assert not found.given
    assert [each.name for each in found.read()] == ["cat", "dog"]
