"""The same outer step on one device, on 8 simulated ones, and on 2 processes."""

import os
import pathlib
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from tests.metaopt import parallel_program

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "tests/metaopt"
# Seconds, after which a process has come to a standstill: on a busy machine it takes minutes.
HANGS = 1800


def start(devices, *arguments, program="parallel_program.py"):
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.Popen(
        [sys.executable, str(FOLDER / program), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines(process):
    output, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 0
    return output.splitlines()


def values(line):
    return np.array(line.split(), float)


@pytest.fixture(scope="module")
def on_eight():
    """What both programs print on eight devices: one process, since most of it is to begin."""
    return lines(start(8, program="shard_map_program.py"))


@pytest.fixture(scope="module")
def reference():
    """On one device."""
    found = parallel_program.main()
    assert found[0] == 1 and np.abs(found[3:]).max() > 0
    return found


def assert_equal(actual, devices, reference):
    assert actual[0] == devices
    # Sums in another order: equal to float32's precision of the largest entry.
    scale = np.abs(reference[1:]).max()
    np.testing.assert_allclose(actual[1:], reference[1:], rtol=0, atol=1e-6 * scale)


def test_meta_gradients_are_equal_on_one_device_and_eight(on_eight, reference):
    assert_equal(values(on_eight[-1]), 8, reference)


@pytest.mark.full
def test_meta_gradients_are_equal_in_one_process_and_two(reference):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        coordinator = f"localhost:{probe.getsockname()[1]}"
    for process in [start(1, coordinator, "2", str(index)) for index in range(2)]:
        assert_equal(values(lines(process)[-1]), 2, reference)


def test_inside_of_shard_map_each_device_fits_its_own_samples_and_the_outer_step_means_all(
    on_eight,
):
    assert on_eight[-2] == "equal"


def test_episodes_that_do_not_divide_are_refused():
    mesh = jax.sharding.AbstractMesh((4,), ("episodes",))
    with pytest.raises(ValueError, match=r"\[6\] episodes do not divide among 4 devices"):
        metaopt.distribute(mesh, {}, jnp.zeros((6, 2)))
