"""Trackers are found in their folders, and in other packages that name them in their metadata."""

import os
import subprocess
import sys

import pytest

from tracking_tasks.trackers import TRACKERS, register

PLUGIN = """
import optax

import metaopt
from tracking_tasks.trackers import register
from tracking_tasks.trackers.dimp.tracker import DiMP


@metaopt.optimizers.register("halving")
def halving(params, *, steps, rate):
    return metaopt.GradientDescent(optax.sgd(rate / 2))


@register
class Mine(DiMP):
    name = "mine"
    default_rule = "halving"
"""


METADATA = "Metadata-Version: 2.1\nName: mine\nVersion: 1\n"
ENTRY_POINTS = """
[tracking_tasks.trackers]
mine = my_tracker
[metaopt.optimizers]
halving = my_tracker
"""


def run(folder, program):
    """Runs a program beside an installed package that brings a tracker and a rule."""
    (folder / "my_tracker.py").write_text(PLUGIN)
    (folder / "mine-1.dist-info").mkdir()
    (folder / "mine-1.dist-info" / "METADATA").write_text(METADATA)
    (folder / "mine-1.dist-info" / "entry_points.txt").write_text(ENTRY_POINTS)
    paths = os.pathsep.join([str(folder), os.getcwd()])
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_every_folder_is_found_by_its_name():
    assert list(TRACKERS) == ["dimp", "dslt", "gradnet", "meta_rtt", "roam"]
    assert len(TRACKERS) == 5 and all(cls.name == name for name, cls in TRACKERS.items())
    assert "kcf" not in TRACKERS


@pytest.mark.full
def test_programs_know_trackers_and_rules_of_other_packages(tmp_path):
    program = (
        "from experiments import evaluate; f = evaluate.FLAGS; import tracking_tasks;"
        "print(tracking_tasks.TRACKERS['mine'].default_rule);"
        "print(*f['tracker'].parser.enum_values, *f['inner_optimizer'].parser.enum_values)"
    )
    default_rule, *known = run(tmp_path, program)
    assert default_rule == "halving"
    assert {"mine", "dimp", "halving", "adam"} <= set(known)


def test_a_name_is_taken_once():
    dimp = TRACKERS["dimp"]
    assert register(dimp) is dimp
    with pytest.raises(ValueError, match=r"'dimp' already, by tracking_tasks\.trackers\.dimp"):
        register(type("Other", (dimp,), {}))
