"""One process at a time writes to a folder: a second is refused, a dead one's place is taken."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

from basics.errors import InputError
from experiments.runs import claims

ROOT = pathlib.Path(__file__).parents[3]
HOLD = "import sys, pathlib; from experiments.runs import claims; "
HOLD += "claims.claim(pathlib.Path(sys.argv[1]), False); print(1, flush=True); sys.stdin.read()"
RACE = """
import sys, pathlib
from basics.errors import InputError
from experiments.runs import claims
folder = pathlib.Path(sys.argv[1])
sys.stdin.readline()
for _ in range(150):
    try:
        claims.claim(folder / "it", True)
    except InputError:
        continue
    with open(folder / "log", "a") as log:
        print("in", file=log, flush=True)
        print("out", file=log, flush=True)
    claims.release()
"""


def start(program, folder):
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def holder(tmp_path):
    """A process that has a folder."""
    process = start(HOLD, tmp_path / "run")
    assert process.stdout.readline() == "1\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(autouse=True)
def released():
    yield
    claims.release()


@pytest.mark.parametrize("take_over", [False, True])
def test_a_second_process_is_refused_with_the_first_s_host_process_and_start(
    holder, tmp_path, take_over
):
    said = json.loads((tmp_path / "run" / ".claim").read_text())
    assert said["process"] == holder.pid and said["host"] == socket.gethostname()
    who = f"process {holder.pid} on {said['host']} since {said['start']}"
    with pytest.raises(InputError) as refused:
        claims.claim(tmp_path / "run", take_over)
    assert f"is being written to by {who}" in str(refused.value).replace("\\", "")


def test_the_claim_of_a_killed_process_is_taken_over_if_asked_for(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with pytest.raises(InputError, match=f"process {holder.pid} .* dead: pass --resume"):
        claims.claim(tmp_path / "run", take_over=False)
    claims.claim(tmp_path / "run", take_over=True)
    assert json.loads((tmp_path / "run" / ".claim").read_text())["process"] == os.getpid()


def test_what_ends_as_it_should_leaves_no_claim_and_no_empty_folder(holder, tmp_path):
    (tmp_path / "run" / "result").write_text("")
    holder.communicate("")  # it ends without a release: the file stays, the lock does not
    claims.claim(tmp_path / "run", take_over=True)
    claims.claim(tmp_path / "run", take_over=False)  # ours already
    claims.claim(tmp_path / "made" / "for it", take_over=False)
    claims.release()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["result"]
    claims.claim(tmp_path / "run", take_over=False)


def test_processes_that_race_are_never_two_at_once(tmp_path):
    racers = [start(RACE, tmp_path) for _ in range(3)]
    for racer in racers:
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate()
        assert racer.returncode == 0
    lines = (tmp_path / "log").read_text().split()
    assert len(lines) > 20
    assert all(pair == ("in", "out") for pair in zip(lines[::2], lines[1::2], strict=True))
