"""What is equal to the last bit when it is computed again, or otherwise, and how far the rest is.

Each computation of tests/campaigns/equal_program.py runs in a process of its own; the largest
difference, as a share of the largest number, goes to docs/records/equal_results.json.
"""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.campaigns.records import ROOT, Record

RECORD = Record("equal_results", ("computed", "how", "numbers", "equal bits", "difference"))
# Of the largest number: what sums in another order may come to. A tracker starts in each frame from
# where it was in the one before, and so adds up what it is off.
ROUNDING = {"tracking": 1e-3, "rendering": 1e-5, "training": 1e-5, "packed": 1e-5}

# Of each comparison: what is computed, how the second time, and whether all bits must be equal.
COMPARISONS = {
    "tracking twice": ("tracking", "twice", True),
    "tracking in 2 threads": ("tracking", "2 threads", False),
    "rendering in 2 threads": ("rendering", "2 threads", False),
    "meta-training twice": ("training", "twice", True),
    "meta-training in 2 threads": ("training", "2 threads", False),
    "meta-training on 8 devices": ("training", "8 devices", False),
    "meta-training in 2 processes": ("training", "2 processes", False),
    "meta-training on packed data, resumed": ("packed", "in one run", True),
}


def start(what, folder, *arguments, devices=1, threads=1):
    options = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.campaigns.equal_program", what, str(folder), *arguments],
        cwd=ROOT,
        env=os.environ
        | {"XLA_FLAGS": options, "NPROC": str(threads), "JAX_PLATFORMS": "cpu"}
        | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def values(process, devices=1):
    output, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors[-3000:]
    found, *numbers = output.splitlines()[-1].split()
    assert int(found) == devices
    return np.array([float.fromhex(number) for number in numbers])


def in_two_processes(what, folder):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        coordinator = f"localhost:{probe.getsockname()[1]}"
    both = [start(what, folder, coordinator, "2", str(index)) for index in range(2)]
    first, second = (values(process, 2) for process in both)
    np.testing.assert_array_equal(first, second)
    return first


def otherwise(what, how, folder):
    if how == "2 threads":
        return values(start(what, folder, threads=2))
    if how == "8 devices":
        return values(start(what, folder, devices=8), 8)
    if how == "2 processes":
        return in_two_processes(what, folder)
    return values(start("packed_whole" if how == "in one run" else what, folder))


@pytest.mark.campaign
@pytest.mark.parametrize("name", COMPARISONS)
def test_what_is_computed_otherwise_is_the_same(tmp_path, name):
    what, how, exact = COMPARISONS[name]
    once = values(start(what, tmp_path))
    again = otherwise(what, how, tmp_path)
    assert len(once) == len(again) and np.isfinite(once).all()
    difference = float(np.abs(once - again).max() / np.abs(once).max())
    equal = bool((once == again).all())
    found = {"computed": what, "how": how, "numbers": len(once)}
    RECORD.add(name, found | {"equal bits": "yes" if equal else "no", "difference": difference})
    assert equal or not exact
    assert difference <= ROUNDING[what]


def test_the_page_has_the_record():
    rows = RECORD.rows()
    assert set(rows) == set(COMPARISONS)
    for name, (what, _, exact) in COMPARISONS.items():
        assert rows[name]["equal bits"] == "yes" or not exact
        assert rows[name]["difference"] <= ROUNDING[what]
    RECORD.require_on_page()
