"""The programs of campaigns, on data that is not committed."""

import os
import pathlib
import subprocess
import sys

import pytest

from basics.files import read_json
from tests.campaigns.records import ROOT


def data(name):
    """A folder of METAOPT_DATA; the test is skipped where there is none."""
    folder = pathlib.Path(os.environ.get("METAOPT_DATA", "")) / "data" / name
    if "METAOPT_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"needs data/{name} in the folder that METAOPT_DATA names")
    return folder


def targets(folder, *splits):
    """A folder of the targets of `data/videos` that are in these splits, in the layout of OTB."""
    videos = data("videos")
    folder.mkdir()
    for split in splits:
        for name in read_json(videos / "split.json")[split]:
            (folder / name).symlink_to(videos / name)
    return folder


def results(folder, program, *flags):
    """What `results.json` of a program holds."""
    output(folder, program, *flags)
    return read_json(folder / "results.json")


def output(folder, program, *flags):
    """Runs a program that writes to the folder."""
    command = [sys.executable, "-m", f"experiments.{program}", *flags, f"--output_dir={folder}"]
    # What the tests tell XLA makes other sums, and a target that is barely held another box.
    own = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
