"""Checkpoints of PyTorch are read, and what is none, or would run code, is refused."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from models import WeightsError, load_state_dict
from tests.models.backbones.torch_files import (
    DTYPES,
    checkpoint,
    dictionary,
    group,
    name,
    number,
    storage,
    tensor,
    text,
)


def small_checkpoint(legacy):
    numbers = np.arange(12, dtype=np.float32)
    stored = storage("FloatStorage", "0", 12, legacy)
    body = dictionary(
        whole=tensor(stored, 0, (3, 4), (4, 1)), part=tensor(stored, 5, (2, 2), (1, 4))
    )
    return checkpoint(body, {"0": numbers}, legacy), numbers


@pytest.fixture(params=[True, False], ids=["legacy", "zip"])
def legacy(request):
    return request.param


def written(tmp_path, data):
    path = tmp_path / "net.pth"
    path.write_bytes(data)
    return path


def refusal(tmp_path, data):
    """The one-line message with which a file is refused."""
    path = written(tmp_path, data)
    with pytest.raises(WeightsError) as refused:
        load_state_dict(path)
    message = str(refused.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_safetensors_come_back_and_are_refused_when_cut(tmp_path):
    path = tmp_path / "net.safetensors"
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([7], np.int64)}
    safetensors.numpy.save_file(arrays, path)
    loaded = load_state_dict(path)
    assert loaded.keys() == arrays.keys()
    for key, array in arrays.items():
        np.testing.assert_array_equal(loaded[key], array, strict=True)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"net\.safetensors is truncated"):
        load_state_dict(path)
    with pytest.raises(WeightsError, match=r"gone\.safetensors cannot be read \(.*No such file"):
        load_state_dict(tmp_path / "gone.safetensors")


def test_shared_and_strided_tensors_come_back(tmp_path, legacy):
    data, numbers = small_checkpoint(legacy)
    loaded = load_state_dict(written(tmp_path, data))
    assert list(loaded) == ["whole", "part"]
    np.testing.assert_array_equal(loaded["whole"], numbers.reshape(3, 4))
    np.testing.assert_array_equal(loaded["part"], [[5, 9], [6, 10]])
    assert loaded["part"].flags.c_contiguous


@pytest.mark.parametrize("kind", DTYPES)
def test_every_kind_of_storage(tmp_path, legacy, kind):
    numbers = np.array([0, 1, 1, 0]).astype(DTYPES[kind])
    body = dictionary(
        vector=tensor(storage(kind, "7", 4, legacy), 0, (4,), (1,)),
        scalar=tensor(storage(kind, "7", 4, legacy), 2, (), ()),
        empty=tensor(storage(kind, "7", 4, legacy), 0, (0, 3), (3, 1)),
    )
    loaded = load_state_dict(written(tmp_path, checkpoint(body, {"7": numbers}, legacy)))
    assert {array.dtype for array in loaded.values()} == {np.dtype(DTYPES[kind])}
    np.testing.assert_array_equal(loaded["vector"], numbers)
    assert loaded["scalar"] == 1
    assert loaded["empty"].shape == (0, 3)


def test_parameters_are_read_as_their_tensors(tmp_path, legacy):
    plain = tensor(storage("FloatStorage", "0", 2, legacy), 0, (2,), (1,))
    rebuilt = name("torch._utils", "_rebuild_parameter") + group(plain, b"\x88", b"N") + b"R"
    # As PyTorch before 0.4 did: a class, its arguments, and a state of flags and hooks.
    ancient = name("torch.nn.parameter", "Parameter") + group(plain) + b"\x81"
    ancient += group(b"\x88", b"\x89", b"N") + b"b"
    numbers = np.array([3, 4], np.float32)
    data = checkpoint(dictionary(new=rebuilt, old=ancient), {"0": numbers}, legacy)
    for array in load_state_dict(written(tmp_path, data)).values():
        np.testing.assert_array_equal(array, numbers)


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("collections", "Counter"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_tensor_v2.__globals__"),
    ],
)
def test_what_could_run_code_is_refused(tmp_path, legacy, module, attribute):
    victim = tmp_path / "victim"
    call = name(module, attribute) + group(text(f"touch {victim}")) + b"R"
    message = refusal(tmp_path, checkpoint(dictionary(weight=call), {}, legacy))
    assert f"{module}.{attribute}" in message
    assert not victim.exists()


def test_a_pickle_cannot_change_what_later_files_get(tmp_path, legacy):
    # BUILD with a slot state sets attributes on the object below it, here our own function.
    tampering = name("torch._utils", "_rebuild_tensor_v2") + b"N}" + text("__kwdefaults__")
    tampering += b"}s\x86b"
    refusal(tmp_path, checkpoint(dictionary(weight=tampering), {}, legacy))
    data, numbers = small_checkpoint(legacy)
    np.testing.assert_array_equal(
        load_state_dict(written(tmp_path, data))["whole"], numbers.reshape(3, 4)
    )


def test_truncation_anywhere_is_noticed(tmp_path, legacy):
    data, _ = small_checkpoint(legacy)
    for length in {*range(0, len(data), 13), len(data) - 1}:
        assert "truncated" in refusal(tmp_path, data[:length])


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (13,), (1,)),
        (1, (3, 4), (4, 1)),
        (0, (2, 2), (11, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-1, -1), (1, 1)),
        (0, (2, 2), (1,)),
        (0, (1 << 40,), (0,)),
        (1 << 62, (1,), (1,)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(tmp_path, legacy, offset, size, stride):
    body = dictionary(w=tensor(storage("FloatStorage", "0", 12, legacy), offset, size, stride))
    refusal(tmp_path, checkpoint(body, {"0": np.zeros(12, np.float32)}, legacy))


def test_a_storage_longer_than_the_file_is_refused(tmp_path, legacy):
    body = dictionary(w=tensor(storage("FloatStorage", "0", 1 << 40, legacy), 0, (1,), (1,)))
    refusal(tmp_path, checkpoint(body, {"0": np.zeros(12, np.float32)}, legacy))


def test_a_compressed_archive_is_refused(tmp_path):
    data, _ = small_checkpoint(legacy=False)
    repacked = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as stored,
        zipfile.ZipFile(repacked, "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for member in stored.namelist():
            deflated.writestr(member, stored.read(member))
    assert "compressed" in refusal(tmp_path, repacked.getvalue())


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", pickle.dumps({"a": 1}), b"PK"])
def test_what_is_no_checkpoint_is_refused(tmp_path, data):
    assert "torch.save(model.state_dict(), path)" in refusal(tmp_path, data)


@pytest.mark.parametrize("body", [number(3), dictionary(epoch=number(3)), b"]"])
def test_what_is_no_state_dict_is_refused(tmp_path, legacy, body):
    refusal(tmp_path, checkpoint(body, {}, legacy))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"nowhere\.pth cannot be read"):
        load_state_dict(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("put", [b"r" + struct.pack("<I", 2**27), b"p134217728\n"])
def test_a_few_bytes_cannot_claim_memory_through_the_memo(tmp_path, legacy, put):
    claim = b"\x80\x02N" + put + b"."
    data = claim
    if not legacy:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as members:
            members.writestr("net/data.pkl", claim)
        data = archive.getvalue()
    assert "memo index 134217728" in refusal(tmp_path, data)
