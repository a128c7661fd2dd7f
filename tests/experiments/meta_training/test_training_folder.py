"""What is damaged in the folder of a meta-training: dropped if it can be, else a sentence."""

import contextlib

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from basics.errors import InputError
from basics.files import read_json
from experiments.meta_training.training_folder import TrainingFolder


def state(step):
    params = {"a": jnp.full(3, float(step))}
    return metaopt.OuterState.create(params, optax.sgd(0.1)).replace(step=jnp.int32(step))


@pytest.fixture
def saved(tmp_path):
    folder = TrainingFolder(tmp_path)
    folder.save(state(4))
    return tmp_path


def test_lines_of_metrics_that_cannot_be_read_are_dropped(saved):
    lines = [b'{"step": 1}', b"\xff\xfe", b"[" * 100_000, b'{"step": "x"}', b"3", b'{"step": 4}']
    (saved / "metrics.jsonl").write_bytes(b"\n".join([*lines, b'{"step": 5}', b'{"st']))
    restored = TrainingFolder(saved).restore(state(0))
    np.testing.assert_array_equal(restored.params["a"], [4, 4, 4])
    assert (saved / "metrics.jsonl").read_bytes() == b'{"step": 1}\n{"step": 4}\n'


def test_a_full_disk_is_a_sentence_and_the_earlier_state_stays(saved, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: Error writing " + "x" * 1000)

    folder = TrainingFolder(saved)
    monkeypatch.setattr(folder._manager, "save", refuse)
    with pytest.raises(InputError, match=r"step 6 cannot be written.*RESOURCE_EXH") as refused:
        folder.save(state(6))
    assert len(str(refused.value).replace(str(saved), "")) < 400
    assert int(TrainingFolder(saved).restore(state(0)).step) == 4


def test_a_state_that_is_damaged_never_starts_from_the_beginning(saved):
    for path in (saved / "state").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    with pytest.raises(InputError, match="damaged or of another run"):
        TrainingFolder(saved).restore(state(0))


@pytest.mark.parametrize("pattern", ["_*", "*"])
def test_a_state_that_lacks_files_is_whole_or_refused(saved, pattern):
    for path in (saved / "state").rglob(pattern):
        if path.is_file():
            path.unlink()
    with contextlib.suppress(InputError):
        restored = TrainingFolder(saved).restore(state(0))
        assert int(restored.step) == 4
        np.testing.assert_array_equal(restored.params["a"], [4, 4, 4])


@pytest.mark.parametrize("text", [b"[" * 100_000, b"\xff", b"{", b""])
def test_json_of_any_damage_is_a_sentence(tmp_path, text):
    (tmp_path / "it.json").write_bytes(text)
    with pytest.raises(InputError, match=r"it\.json is damaged"):
        read_json(tmp_path / "it.json")
