"""Trackers and rules of a user's own, in a module that METAOPT_PLUGINS names."""

import os
import subprocess
import sys

from tracking_tasks.trackers import TRACKERS

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


def run(tmp_path, plugins, program):
    (tmp_path / "my_tracker.py").write_text(PLUGIN)
    paths = os.pathsep.join([str(tmp_path), os.getcwd()])
    environment = {**os.environ, "METAOPT_PLUGINS": plugins, "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )


def test_every_folder_is_found_by_its_name():
    assert list(TRACKERS) == ["dimp", "dslt", "gradnet", "meta_rtt", "roam"]
    assert len(TRACKERS) == 5 and all(cls.name == name for name, cls in TRACKERS.items())
    assert "kcf" not in TRACKERS


def test_flags_know_trackers_and_rules_of_a_module_of_ones_own(tmp_path):
    program = (
        "from experiments import evaluate; f = evaluate.FLAGS;"
        "print(*f['tracker'].parser.enum_values, *f['inner_optimizer'].parser.enum_values)"
    )
    done = run(tmp_path, " my_tracker", program)
    assert done.returncode == 0, done.stderr
    assert {"mine", "dimp", "halving", "adam"} <= set(done.stdout.split())


def test_the_package_knows_them_without_a_program(tmp_path):
    program = (
        "import tracking_tasks, metaopt; print(tracking_tasks.TRACKERS['mine'].default_rule);"
        "print(*metaopt.optimizers.names())"
    )
    done = run(tmp_path, "my_tracker", program)
    assert done.stdout.split()[0] == "halving" and "halving" in done.stdout.split()[1:]


def test_a_module_that_is_not_there_is_named_in_one_sentence(tmp_path):
    done = run(tmp_path, "my_tracker,no_such_module", "from experiments import evaluate")
    assert done.returncode == 1
    assert done.stderr.startswith("error: METAOPT_PLUGINS: no module 'no_such_module'")
    assert "Traceback" not in done.stderr
