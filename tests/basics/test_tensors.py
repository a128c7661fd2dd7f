"""Files of named arrays: what is written is read, and what cannot be used is said in a sentence."""

import numpy as np
import pytest
import safetensors.numpy

from basics import tensors
from basics.errors import InputError

ARRAYS = {"a": np.arange(6.0, dtype=np.float32).reshape(2, 3), "b.c": np.array(2.5)}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "folder" / "file.safetensors"
    tensors.write(path, ARRAYS, {"format": "test 1", "note": "x"})
    return path


def test_what_is_written_is_read(path):
    assert tensors.read_metadata(path, ["test 1"], "test") == {"format": "test 1", "note": "x"}
    found = tensors.read(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    tensors.require_same_shapes(path, found, ARRAYS, "it")


@pytest.mark.parametrize(
    "expected",
    [ARRAYS | {"d": np.zeros(1)}, {"a": ARRAYS["a"]}, ARRAYS | {"a": np.zeros((3, 2))}],
    ids=["missing", "unexpected", "other shape"],
)
def test_other_names_or_shapes_are_refused(path, expected):
    with pytest.raises(InputError, match="does not fit this version of 'it'"):
        tensors.require_same_shapes(path, tensors.read(path), expected, "it")


def test_missing_damaged_and_foreign_files_are_refused(path):
    with pytest.raises(InputError, match="no such file"):
        tensors.read_metadata(path.parent / "absent", ["test 1"], "test")
    with pytest.raises(InputError, match="not written by `other`"):
        tensors.read_metadata(path, ["other 1"], "other")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="truncated"):
        tensors.read_metadata(path, ["test 1"], "test")


@pytest.mark.parametrize("spoilt", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_neither_written_nor_read(path, tmp_path, spoilt):
    arrays = ARRAYS | {"b.c": np.array([1.0, spoilt])}
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"not written: b\.c would not be finite"):
        tensors.write(path, arrays, {"format": "test 1"})
    assert path.read_bytes() == before
    safetensors.numpy.save_file(arrays, tmp_path / "spoilt", {"format": "test 1"})
    with pytest.raises(InputError, match=r"b\.c is not finite"):
        tensors.read(tmp_path / "spoilt")


def test_numbers_of_an_unknown_type_are_refused(tmp_path):
    header = b'{"__metadata__":{"format":"test 1"},"a":{"dtype":"F8_E5M2","shape":[1],'
    header += b'"data_offsets":[0,1]}}'
    (tmp_path / "odd").write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    with pytest.raises(InputError, match="tensors cannot be read"):
        tensors.read(tmp_path / "odd")
