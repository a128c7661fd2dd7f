import functools
import os
import pathlib
import subprocess
import sys
import time

import pytest

from basics.errors import InputError
from experiments.runs import executors


def make(forbidden):
    """A function of a process that fails for one number in a way of ours, for one in another."""
    return functools.partial(run, forbidden)


def run(forbidden, number):
    if number == forbidden:
        raise InputError(f"{number} is forbidden: take another")
    if number == 0:
        os._exit(1)
    return 12 // (number - 1), os.getpid()


def outcomes(forbidden, numbers, **options):
    found = executors.run(functools.partial(make, forbidden), numbers, **options)
    return {job: (result, failure) for job, result, failure in found}


@pytest.mark.parametrize("workers", [1, 2])
def test_failures_are_reported_and_the_others_go_on(workers):
    found = outcomes(3, [1, 2, 3, 4], workers=workers)
    assert [found[n][0] and found[n][0][0] for n in (1, 2, 3, 4)] == [None, 12, None, 4]
    assert found[3] == (None, "3 is forbidden: take another")
    assert "Traceback" in found[1][1] and "ZeroDivisionError" in found[1][1]
    processes = {found[n][0][1] for n in (2, 4)}
    assert (processes == {os.getpid()}) == (workers == 1)


def test_a_full_disk_is_a_sentence_of_the_job():
    def refuse(_):
        raise OSError(28, "No space left on device")

    ((_, result, failure),) = executors.run(lambda: refuse, [1])
    assert (result, failure) == (None, "[Errno 28] No space left on device")


def test_a_killed_process_takes_no_job_with_it_that_was_not_begun():
    found = outcomes(3, [0, 2, 4, 5, 7], workers=2)
    assert sorted(found) == [0, 2, 4, 5, 7]
    failed = {job for job, (_, failure) in found.items() if failure}
    assert 0 in failed and len(failed) <= 2  # that beside it may have been at work
    assert all("was killed, perhaps for want of memory" in found[job][1] for job in failed)


def make_lingering(folder):
    return functools.partial(linger, folder)


def linger(folder, number):
    (folder / str(os.getpid())).touch()
    time.sleep(120)


LINGERING = """
import functools, pathlib, sys
from experiments.runs import executors
from tests.experiments.runs.test_executors import make_lingering
make = functools.partial(make_lingering, pathlib.Path(sys.argv[1]))
list(executors.run(make, [1, 2], workers=2))
"""


def alive(process):
    """Whether a process runs; one that has ended may wait to be looked at."""
    try:
        return (
            pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except FileNotFoundError:
        return False


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    assert condition()


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="asks Linux who is alive")
def test_workers_end_with_the_process_that_started_them(tmp_path):
    root = pathlib.Path(__file__).parents[3]
    program = subprocess.Popen([sys.executable, "-c", LINGERING, str(tmp_path)], cwd=root)
    workers = lambda: [path.name for path in tmp_path.iterdir()]
    wait_until(lambda: len(workers()) == 2, 100)
    assert all(map(alive, workers()))
    program.kill()
    program.wait()
    wait_until(lambda: not any(map(alive, workers())), 20)


@pytest.mark.full
def test_jobs_run_on_ray():
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        found = outcomes(3, [3, 4], executor="ray")
    finally:
        ray.shutdown()
    assert found[3] == (None, "3 is forbidden: take another")
    assert found[4][0][0] == 4 and found[4][0][1] != os.getpid()


def test_without_ray_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match="pip install"):
        list(executors.run(lambda: print, [1], executor="ray"))
