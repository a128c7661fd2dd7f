"""Names that stand in files stay in their folder: in every reader, in results, in archives."""

import json
import pathlib
import types

import numpy as np
import pytest

from basics.errors import InputError
from experiments.analysis.evaluation_folder import EvaluationFolder
from experiments.analysis.published_results import find_boxes
from experiments.few_shot.tasks.mini_imagenet import MiniImageNet
from tests.basics.bad_names import BAD, IDS
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.data import formats
from tracking_tasks.data.coco import read_annotations
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import SequenceResult, results_folder, vot_files

COCO = "annotations/instances_val2017.json"
BOXES = np.float32([[1, 1, 4, 3]] * 2)


def replaced(path, old, new):
    """Puts a text into a file, as bytes, in the place of another."""
    whole = path.read_bytes()
    assert old.encode() in whole
    path.write_bytes(whole.replace(old.encode(), new.encode(errors="surrogatepass")))


def listed(folder, layout, file, old, name, split=None):
    """Reads a data set after a name in one of its files was replaced."""
    frames = (np.zeros((6, 8, 3), np.uint8),) * 2
    sequence = Sequence("ball-1", frames, BOXES)
    write_layout(folder, layout, [sequence], **({"split": split} if split else {}))
    replaced(folder / file, old, json.dumps(name) if file.endswith(".json") else name)
    formats.read_dataset(folder, layout, split=split)


def list_of_photographs(folder, name):
    entry = {"file": name, "width": 8, "height": 6, "instances": []}
    (folder / "instances.json").write_text(json.dumps([entry]))
    read_annotations(folder / "instances.json")


def mini_imagenet(folder, name):
    text = f"filename,label\n{name},n01\n"
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_bytes(text.encode(errors="surrogatepass"))
    MiniImageNet.create(data_dir=str(folder))


READERS = {
    "got10k": lambda f, n: listed(f, "got10k", "val/list.txt", "ball-1", n, "val"),
    "lasot": lambda f, n: listed(f, "lasot", "testing_set.txt", "ball-1", n, "test"),
    "vot": lambda f, n: listed(f, "vot", "list.txt", "ball-1", n),
    "vot_channel": lambda f, n: listed(f, "vot", "ball-1/sequence", "color/%08d.jpg", n),
    "coco_file": lambda f, n: listed(f, "coco", COCO, '"000000000001.jpg"', n),
    "coco_id": lambda f, n: listed(f, "coco", COCO, "101", n),
    "photographs": list_of_photographs,
    "mini_imagenet": mini_imagenet,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", BAD, ids=IDS)
def test_readers_refuse_what_is_no_name(tmp_path, reader, name):
    outside = tmp_path / "x"  # what `../x` would reach from some folder below
    outside.mkdir()
    folder = tmp_path / "data"
    folder.mkdir()
    if (reader, name) == ("vot_channel", ""):
        return READERS[reader](folder, name)  # it says nothing: frames are where they usually are
    with pytest.raises(InputError) as refused:
        READERS[reader](folder, name)
    assert len(str(refused.value).replace(str(tmp_path), "")) < 400
    assert "\n" not in str(refused.value)


def result(name):
    return types.SimpleNamespace(name=name, boxes=BOXES, seconds=np.ones(1))


def evaluated(folder, name):
    found = SequenceResult(name, BOXES, BOXES, np.ones(1), np.ones(2, np.float32), 1)
    EvaluationFolder(folder, {}, resume=False).save(found)


WRITERS = {
    "a sequence": lambda folder, name: Sequence(name, (), np.zeros((0, 4), np.float32)),
    "evaluation": evaluated,
    "published": find_boxes,
    "got10k": lambda folder, name: results_folder.write_got10k(folder, "t", [result(name)]),
    "text": lambda folder, name: results_folder.write_text_form(folder, "otb", [result(name)]),
    **{
        f"archive of {protocol}": lambda folder, name, protocol=protocol: (
            results_folder.write_submission(folder / "s.zip", protocol, [result(name)])
        )
        for protocol in results_folder.SUBMISSIONS
    },
    "vot": lambda folder, name: vot_files.write_anchored(folder, name, []),
    "vot before 2020": lambda folder, name: vot_files.write_supervised(folder, name, []),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", BAD, ids=IDS)
def test_writers_write_nothing_under_what_is_no_name(tmp_path, writer, name):
    folder = tmp_path / "a" / "b"
    with pytest.raises(InputError, match="cannot be the name of a file"):
        WRITERS[writer](folder, name)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"run.json"}


def test_the_only_image_reader_and_the_only_json_reader_are_the_guarded_ones():
    owners = {
        "Image.open(": {"basics/images.py"},
        "json.loads(": {
            "basics/files.py",
            "experiments/runs/run_lock.py",  # what it has just written
            "metaopt/_files.py",  # which imports nothing of ours
            "metaopt/_safetensors.py",
        },
    }
    root = pathlib.Path(__file__).parents[1]
    for call, allowed in owners.items():
        users = {
            path.relative_to(root).as_posix()
            for package in ("basics", "metaopt", "models", "tracking_tasks", "experiments")
            for path in (root / package).rglob("*.py")
            if call in path.read_text()
        }
        assert users == allowed
