"""Whatever a trace may depend on changes the digest, and nothing else does."""

import dataclasses
import functools
import importlib
import os
import pathlib
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from tests.tracking_tasks.trackers.small import make
from tracking_tasks import boxes, labels
from tracking_tasks.online import fingerprint
from tracking_tasks.online.fingerprint import Fingerprint, UnknownError
from tracking_tasks.trackers.gradnet import tracker as gradnet
from tracking_tasks.trackers.scale_filter import ScaleFilterConfig

pytestmark = pytest.mark.usefixtures("without_checks")
FOREIGN: dict[str, Any] = {"__name__": "foreign"}
exec("class Kind:\n    x = 1\n    def method(self): ...\ndef function(*_): ...", FOREIGN)


def digest(value):
    found = Fingerprint()
    found.add(value)
    return found.hexdigest()


def structure(rate=0.1, **constants):
    rule = metaopt.GradientDescent(optax.adam(rate))
    tracker = make("gradnet", "none", stand_in=True)
    config = dataclasses.replace(tracker.config, **constants)
    return jax.tree.structure((tracker.replace(config=config), rule))


@functools.cache
def before():
    return digest(structure())


def test_what_is_made_anew_is_the_same():
    assert digest(structure()) == before()


@pytest.mark.parametrize(
    "other",
    [
        lambda: structure(rate=0.2),  # in a closure of optax
        lambda: structure(search_factor=4.5),
        lambda: jax.tree.structure(make("dslt", "none", stand_in=True)),
    ],
)
def test_another_structure_has_another_digest(other):
    assert digest(other()) != before()


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (boxes, "center", boxes.from_center),  # used from afar
        (gradnet.GradNet, "init", gradnet.GradNet.step),
        (gradnet.GradNet, "scale_interval", 7),
        (ScaleFilterConfig, "__init__", FOREIGN["function"]),
        (metaopt._program, "_MOST", 63),
        (jax.nn, "relu", jax.nn.gelu),
    ],
)
def test_code_that_is_changed_while_python_runs_is_seen(monkeypatch, owner, name, value):
    old = before()
    monkeypatch.setattr(owner, name, value)
    try:
        changed = digest(structure()) != old
    except UnknownError:
        changed = value is FOREIGN["function"]  # which may read anything
    assert changed == (owner is not jax.nn)  # what is installed counts by its version alone


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Imports a module of such text, older than Python's start by some seconds."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fingerprint, "_OWN", fingerprint._OWN | {"module_of_test"})

    def made(text, age=10):
        (tmp_path / "module_of_test.py").write_text(text)
        os.utime(tmp_path / "module_of_test.py", 2 * (fingerprint._imported - age,))
        sys.modules.pop("module_of_test", None)
        importlib.invalidate_caches()
        return importlib.import_module("module_of_test")

    yield made
    sys.modules.pop("module_of_test", None)


def test_what_runs_at_import_counts(imported):
    text = "rules = []\nrules.append(lambda x: {})\ndef function(x): return rules[0](x)"
    one, other = (digest(imported(text.format(sign)).function) for sign in ("x", "-x"))
    assert one != other == digest(imported(text.format("-x"), age=20).function)


def test_a_file_that_changed_after_its_import_has_no_digest(imported):
    with pytest.raises(UnknownError, match="has changed"):
        digest(imported("def function(x): return x", age=-10).function)


def test_state_that_programs_keep_for_themselves_does_not_count(monkeypatch):
    old = before()
    monkeypatch.setitem(metaopt._program._programs, "a key", None)
    assert digest(structure()) == old


def test_how_jax_is_set_counts_where_it_is_set():
    old = before()
    with jax.default_matmul_precision("highest"):
        assert digest(structure()) != old
    with jax.enable_x64(True):
        assert digest(structure()) != old
    assert digest(structure()) == old


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (1, 1.0),
        (1, True),
        ("1", 1),
        ((1, (2,)), ((1, 2),)),
        ([], ()),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (np.zeros((1, 2)), np.zeros((2, 1))),
        (np.arange(5000), np.r_[np.arange(2500), 0, np.arange(2501, 5000)]),  # of one repr
        (jnp.ones(3), jnp.zeros(3)),
        (functools.partial(labels.radial, 1), functools.partial(labels.radial, 2)),
        (boxes.center, boxes.from_center),
        (jax.nn.relu, jax.nn.gelu),
        (jnp.float32, jnp.bfloat16),
    ],
)
def test_values_that_differ_have_digests_that_differ(one, other):
    assert digest(one) != digest(other)


def test_what_an_object_remembers_of_itself_does_not_count():
    path = pathlib.Path("a", "b")
    before = digest(path)
    assert hash(path) and path.parts  # which it keeps
    assert digest(path) == before != digest(pathlib.Path("a", "c"))


@pytest.mark.parametrize(
    "make",
    [lambda: frozenset("abcdefgh"), lambda: {"a": np.float32(1)}, lambda: optax.adam(0.1)],
)
def test_values_that_are_the_same_have_the_same_digest(make):
    assert digest(make()) == digest(make())


@pytest.mark.parametrize(
    "value",
    [FOREIGN["Kind"], FOREIGN["Kind"](), FOREIGN["Kind"]().method, FOREIGN["function"], object()],
)
def test_of_what_nothing_is_known_has_no_digest(value):
    with pytest.raises(UnknownError):
        digest([value])


def test_foreign_code_in_a_constant_is_seen(monkeypatch):
    monkeypatch.setattr(metaopt._program, "_CONSTANTS", (FOREIGN["Kind"],))
    with pytest.raises(UnknownError, match="foreign"):
        digest(structure())


@pytest.mark.full
def test_another_process_has_the_same_digest():
    program = (
        "import jax, tracking_tasks; from tracking_tasks.online.fingerprint import Fingerprint;"
        "found = Fingerprint(); tracker = tracking_tasks.load('dimp').tracker;"
        "found.add(jax.tree.structure(tracker)); print(found.hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(found) == 1 and len(found.pop()) == 65
