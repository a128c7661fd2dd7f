"""Damaged annotations give an InputError or the right numbers, never anything else."""

import functools
import json
import os
import pathlib
import re
import tempfile

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from basics.errors import InputError
from tests.tracking_tasks.data.layouts import LAYOUTS, LENGTH, format_of, sample, write_layout
from tracking_tasks.data import formats

SNIPPETS = (
    *(b"", b",", b"\n", b"\r", b" ", b"\t", b"-", b".", b"nan", b"inf", b"1e400", b"0x1", b"1_0"),
    *(b"m", b'"', b"=", b"/", b"..", b"%08d", b"\x00", b"\xff\xfe", b"9" * 30, b"[", b"{", b"null"),
)


@functools.cache
def example(layout):
    """A folder with one sequence in a layout, its files, and what is read from it."""
    keeper = tempfile.TemporaryDirectory()  # emptied when the cache lets go of it
    folder = pathlib.Path(keeper.name)
    write_layout(folder, layout, [sample()])
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".jpg")
    files = [path for path in files if path.name != "nlp.txt"]
    return files, folder, formats.read_dataset(folder, format_of(layout))[0], keeper


def read_damaged(layout, index, change):
    """Reads a layout with one of its files changed: the sequences, or the message."""
    files, folder, *_ = example(layout)
    path = files[index % len(files)]
    whole = path.read_bytes()
    path.write_bytes(change(whole))
    try:
        return formats.read_dataset(folder, format_of(layout)), None
    except InputError as error:
        return [], str(error)
    finally:
        path.write_bytes(whole)


def check(layout, read, message):
    if message is not None:
        assert len(message.splitlines()) <= 1
        assert any(str(path.name) in message for path in example(layout)[1].rglob("*")) or (
            " holds no " in message or "does not exist" in message
        )
    for sequence in read:
        assert len(sequence.boxes) == len(sequence) in (1, LENGTH)
        assert sequence.boxes.dtype == np.float32
        assert np.isfinite(sequence.boxes).all()
        for flags in (sequence.absent, sequence.anchors, *sequence.frame_attributes.values()):
            assert flags is None or len(flags) == len(sequence)
        if sequence.visible is not None:
            assert ((sequence.visible >= 0) & (sequence.visible <= 1)).all()


@pytest.mark.parametrize("layout", LAYOUTS)
@hypothesis.given(index=st.integers(0, 20), data=st.binary(max_size=50))
@hypothesis.settings(max_examples=30, deadline=None)
def test_any_bytes_in_place_of_a_file(layout, index, data):
    check(layout, *read_damaged(layout, index, lambda _: data))


@pytest.mark.parametrize("layout", LAYOUTS)
@hypothesis.given(
    index=st.integers(0, 20),
    start=st.floats(0, 1),
    length=st.integers(0, 6),
    snippet=st.sampled_from(SNIPPETS),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_file_with_a_part_replaced(layout, index, start, length, snippet):
    def change(whole):
        place = int(start * len(whole))
        return whole[:place] + snippet + whole[place + length :]

    check(layout, *read_damaged(layout, index, change))


@pytest.mark.parametrize("layout", LAYOUTS)
@hypothesis.given(index=st.integers(0, 20), share=st.floats(0, 0.98))
@hypothesis.settings(max_examples=20, deadline=None)
def test_a_truncated_file(layout, index, share):
    check(layout, *read_damaged(layout, index, lambda whole: whole[: int(share * len(whole))]))


TRUTH = [layout for layout in LAYOUTS if layout != "coco"]


@pytest.mark.parametrize("layout", TRUTH)
@hypothesis.given(line=st.integers(0, LENGTH - 1), text=st.sampled_from(["x", "1,2", "nan,1,1,1"]))
@hypothesis.settings(max_examples=8, deadline=None)
def test_a_damaged_line_is_named_and_never_read(layout, line, text):
    files, *_ = example(layout)
    names = re.compile(r"groundtruth(_rect)?\.txt|(nfs_)?ball-1(_gt)?\.txt")
    index = max(number for number, path in enumerate(files) if names.fullmatch(path.name))

    def change(whole):
        lines = whole.decode().splitlines()
        return "\n".join([*lines[:line], text, *lines[line + 1 :]]).encode()

    read, message = read_damaged(layout, index, change)
    assert not read
    assert f"{files[index]}, line {line + 1}: expected" in message


@pytest.mark.parametrize("layout", TRUTH)
@hypothesis.given(line=st.integers(1, LENGTH - 1), value=st.integers(5, 9))
@hypothesis.settings(max_examples=5, deadline=None)
def test_a_changed_line_changes_its_own_frame_only(layout, line, value):
    files, _, before, _ = example(layout)
    names = re.compile(r"groundtruth(_rect)?\.txt|(nfs_)?ball-1(_gt)?\.txt")
    index = max(number for number, path in enumerate(files) if names.fullmatch(path.name))
    repeat = 8 if layout == "nfs" else 1  # the truth of 30 frames a second is given at 240

    def change(whole):
        lines = whole.decode().splitlines()
        fields = re.split(r"([,\s])", lines[repeat * line])
        fields[2 if layout == "nfs" else 0] = str(value)
        lines[repeat * line] = "".join(fields)
        return "\n".join(lines).encode()

    ((after,), _) = read_damaged(layout, index, change)
    changed = (after.boxes != before.boxes).any(axis=1)
    assert changed[line]
    assert changed.sum() == 1


def test_missing_files_are_named(tmp_path):
    for layout in LAYOUTS:
        files, folder, *_ = example(layout)
        for path in files:
            if path.name in ("list.txt", "meta_info.ini", "anchor.value", "sequence"):
                continue  # these may be missing
            if path.suffix == ".tag" or path.parent.name == "240":
                continue
            path.rename(tmp_path / "away")
            try:
                with pytest.raises(InputError):
                    formats.read_dataset(folder, format_of(layout))
            finally:
                os.rename(tmp_path / "away", path)


@hypothesis.given(
    key=st.sampled_from(["bbox", "segmentation", "image_id", "category_id", "iscrowd", "id"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_coco_entry_of_any_value(key, value):
    def change(whole):
        document = json.loads(whole)
        document["annotations"][0][key] = value
        return json.dumps(document).encode()

    check("coco", *read_damaged("coco", 0, change))
