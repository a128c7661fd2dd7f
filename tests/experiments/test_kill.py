"""A run killed at any moment, inside a save too, and resumed ends bit for bit the same."""

import json
import os
import pathlib
import random
import subprocess
import sys

import pytest

from tests.experiments import killed_program

ROOT = pathlib.Path(__file__).parents[2]
STEPS = 12


def run(folder, *moment):
    return subprocess.run(
        [sys.executable, str(ROOT / "tests/experiments/killed_program.py"), str(folder), *moment],
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.full
@pytest.mark.parametrize("early", [False, pytest.param(True, marks=pytest.mark.full)])
def test_killed_runs_end_as_one_that_was_never_stopped(tmp_path, early):
    whole = killed_program.main(tmp_path / "whole")
    assert len(whole) == 6
    late = random.randint(STEPS // 2 + 1, STEPS - 1)
    for moment in (*([str(random.randint(1, STEPS // 2))] if early else []), "save", str(late)):
        killed = run(tmp_path / "killed", moment)
        assert killed.returncode == -9, killed.stderr
        assert not killed.stdout
    assert killed_program.main(tmp_path / "killed") == whole

    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, STEPS + 1))
