"""Memory that was freed stays with the process, unless the environment says otherwise."""

import os
import subprocess
import sys

import pytest

_PROGRAM = """
import resource
import numpy as np
from basics.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        arrays = [np.ones(2**20) for _ in range(4)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
@pytest.mark.parametrize("told", [{}, {"MALLOC_TRIM_THRESHOLD_": "131072"}])
def test_what_is_allocated_again_faults_no_pages(told):
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", _PROGRAM]
    printed = subprocess.check_output(command, env=own | told, text=True)
    before, after = map(int, printed.split())
    assert before > 5000  # of 8192 pages a round
    assert (after > 5000) == bool(told)
    assert told or after < 100
