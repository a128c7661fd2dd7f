"""What is published: the wheel and the source archive, installed alone beside somebody's project.

Needs the package registry, and takes a minute or two for each Python and set of versions.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest

import metaopt

ROOT = pathlib.Path(__file__).parents[2]
PROJECT = ROOT / "pyproject.toml"
VERSIONS = ["3.11", "3.12", "3.13", "3.14"]
PYENV = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"
# What meets most of JAX and optax: every rule, the loop, its program outside of jit, the doors.
CORE = ["contract", "fit", "door", "as_optax", "files", "program", "steepest_descent"]
# What these take of what is around them.
AROUND = ["tests/__init__.py", "tests/metaopt/__init__.py", "tests/products.py"]
# Nothing of this checkout may be found beside what is installed; the flags of the other tests are
# those of their jaxlib, and an unknown one ends a process.
OF_THE_CHECKOUT = ("PYTHONPATH", "XLA_FLAGS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in OF_THE_CHECKOUT}
FOREIGN = {"models.py": "ours = 1", "basics/__init__.py": "ours = 2", "experiments.py": "ours = 3"}

pytestmark = pytest.mark.slow


def interpreter(version):
    """A Python of this version that runs, or None; pyenv's on the path may be one that does not."""
    found = [shutil.which(f"python{version}"), *sorted(PYENV.glob(f"{version}.*/bin/python"))]
    runs = lambda path: not subprocess.run([path, "-c", ""], capture_output=True).returncode
    return next((str(path) for path in found if path and runs(path)), None)


PYTHONS = {version: path for version in VERSIONS if (path := interpreter(version))}


def run(*command, env=ENVIRONMENT, **options):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=env, **options
    )
    assert result.returncode == 0, f"{command}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout


def environment(python, folder):
    """A fresh virtual environment; returns its interpreter."""
    run(python, "-m", "venv", folder)
    return folder / "bin/python"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Wheel and source archive, built from a copy of what the repository tracks."""
    folder = tmp_path_factory.mktemp("published")
    source = folder / "source"
    for name in run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    python = environment(sys.executable, folder / "tools")
    run(python, "-m", "pip", "install", "-q", "build", "twine")
    run(python, "-m", "build", "--outdir", folder / "dist", source)
    run(python, "-m", "twine", "check", "--strict", *(folder / "dist").iterdir())
    (wheel,), (archive,) = (list((folder / "dist").glob(p)) for p in ("*.whl", "*.tar.gz"))
    return wheel, archive


def test_the_wheel_holds_metaopt_and_nothing_else(published):
    names = zipfile.ZipFile(published[0]).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"metaopt", f"metaopt_jax-{metaopt.__version__}.dist-info"}
    assert "metaopt/py.typed" in names and "metaopt/optimizers/steepest_descent.py" in names
    weights = {f.name for f in (ROOT / "metaopt/weights").glob("*.safetensors")}
    assert weights == {pathlib.Path(n).name for n in names if n.startswith("metaopt/weights/")}


def test_the_source_archive_holds_tests_and_examples(published):
    with tarfile.open(published[1]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    wanted = {"tests/metaopt/test_fit.py", "examples/own_task.py", "CHANGELOG.md", "LICENSE"}
    assert wanted <= set(names)
    assert not [name for name in names if name.startswith(("models/", "tracking_tasks/"))]


def requirements():
    return tomllib.loads(PROJECT.read_text())["project"]["dependencies"]


def lowest():
    """The lowest version of each dependency, and of jaxlib, which goes with jax."""
    pinned = [re.sub(r">=([\d.]+)[^;]*", r"==\1", line) for line in requirements()]
    return [*pinned, next(p for p in pinned if p.startswith("jax=")).replace("jax=", "jaxlib=")]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """What is in the environment of all runs of the tests: programs are compiled once for all."""
    return ENVIRONMENT | {
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("versions", ["lowest", "newest"])
def test_alone_it_works_and_leaves_another_project_whole(
    versions, python, published, compiled, tmp_path
):
    other = tmp_path / "other"
    for name, text in FOREIGN.items():
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).write_text(text)
    (other / "pyproject.toml").write_text(
        '[project]\nname = "other"\nversion = "1"\n'
        '[tool.setuptools]\npackages = ["basics"]\npy-modules = ["models", "experiments"]\n'
    )
    alone = environment(PYTHONS[python], tmp_path / "environment")
    pip = [alone, "-m", "pip", "install", "-q"]
    run(*pip, other)
    run(*pip, published[0], *(lowest() if versions == "lowest" else []))
    installed = run(alone, "-m", "pip", "list").splitlines()
    assert len(installed) < 20, installed

    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "examples", elsewhere / "examples")
    (elsewhere / "tests/metaopt").mkdir(parents=True)
    tests = [f"tests/metaopt/test_{name}.py" for name in CORE]
    for name in (*AROUND, *tests):
        shutil.copy(ROOT / name, elsewhere / name)
    version = run(alone, "-c", "import metaopt; print(metaopt.__version__)", cwd=elsewhere)
    assert version.strip() == metaopt.__version__
    for name in ("own_rule.py", "own_task.py"):
        run(alone, elsewhere / "examples" / name, cwd=elsewhere)
    run(*pip, "pytest", "safetensors")
    default = "-q", "-m", "not slow and not full"
    run(alone, "-m", "pytest", *default, *tests, cwd=elsewhere, env=compiled)

    run(alone, "-m", "pip", "uninstall", "-q", "-y", "metaopt-jax")
    found = "import models, basics, experiments; print(models.ours, basics.ours, experiments.ours)"
    assert run(alone, "-c", found, cwd=tmp_path).split() == ["1", "2", "3"]
    gone = subprocess.run(
        [alone, "-c", "import metaopt"], cwd=tmp_path, capture_output=True, env=ENVIRONMENT
    )
    assert gone.returncode != 0
