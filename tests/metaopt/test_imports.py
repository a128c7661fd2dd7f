"""The direction of imports, and what `import metaopt` costs."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
ALLOWED = {
    "basics": {"basics"},
    "metaopt": {"metaopt"},
    "models": {"models", "basics"},
    "tracking_tasks": {"tracking_tasks", "models", "metaopt", "basics"},
    "experiments": {"experiments", "tracking_tasks", "models", "metaopt", "basics"},
}
CORE_MAY_IMPORT = {"jax", "flax", "optax", "numpy", "jaxtyping"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_point_one_way(package):
    for path in (ROOT / package).rglob("*.py"):
        ours = set(imported(path)) & ALLOWED.keys()
        assert ours <= ALLOWED[package], f"{path} imports {ours - ALLOWED[package]}"


def test_the_core_imports_only_the_field_s_own():
    for path in (ROOT / "metaopt").rglob("*.py"):
        foreign = set(imported(path)) - CORE_MAY_IMPORT - {"metaopt"} - sys.stdlib_module_names
        assert not foreign, f"{path} imports {foreign}"


def test_importing_metaopt_loads_none_of_the_others():
    code = (
        "import sys, metaopt; "
        "ours = {'basics', 'tracking_tasks', 'models', 'experiments'}; "
        "others = ours | {'tensorflow_datasets', 'imageio'}; "
        "print(sorted(others & sys.modules.keys()))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


@pytest.mark.full
def test_few_shot_learning_knows_nothing_of_tracking():
    code = (
        "import sys, experiments.few_shot.__main__, experiments.few_shot.transfer; "
        "print('metaopt' in sys.modules, 'tracking_tasks' in sys.modules)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert output.stdout.split() == ["True", "False"]
