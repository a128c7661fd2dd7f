"""A file of the user's own with the name of one of our packages is named in one line."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["models.py", "basics/__init__.py"])
def test_a_file_in_the_way_is_named(name, tmp_path):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("size = 3\n")
    result = subprocess.run(
        [sys.executable, "-c", "import tracking_tasks"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {tmp_path / name} stands in the way of the package")
