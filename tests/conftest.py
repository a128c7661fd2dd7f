"""Shared by all tests: run-time shape checks, a compilation cache, and the development data."""

import functools
import gc
import importlib.metadata
import itertools
import os
import pathlib
import tempfile

# What the tests spend is compilation; small shapes do not need fast programs. Read by XLA when jax
# is imported. Without the emitters of fusions it takes a third less again, and in one part, not in
# one for each core, some more; these flags are of jaxlib 0.10, and an unknown one ends the process.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    * importlib.metadata.version("jaxlib").startswith("0.10.")
)

import jax
import jaxtyping
import pytest
from jax._src.interpreters import mlir

from basics import compilation
from tests import checks

# Every annotation of the libraries is checked at call time, in the tests only.
_LIBRARIES = ["basics", "metaopt", "models", "tracking_tasks"]
jaxtyping.install_import_hook(_LIBRARIES, f"{checks.__name__}.{checks.once_called.__name__}")

if jax.config.values["jax_compilation_cache_dir"] is None:  # JAX_COMPILATION_CACHE_DIR
    _CACHE = pathlib.Path(tempfile.gettempdir()) / "metaopt-test-compilation-cache"
    jax.config.update("jax_compilation_cache_dir", str(_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

# Most programs of the tests are a line long, and a quarter of their time went into a context of
# MLIR for each, with all its dialects. Programs do not see each other in one that they share.
mlir.make_ir_context = functools.cache(mlir.make_ir_context)

# Imports and traces make objects by the hundred thousand, which live: looking through them took a
# tenth.
gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
    gc.enable()


@pytest.fixture(scope="session")
def data_root() -> pathlib.Path:
    """The folder with `data/` and `oracles/`, named by METAOPT_DATA."""
    root = os.environ.get("METAOPT_DATA")
    if not root or not pathlib.Path(root).is_dir():
        pytest.skip("set METAOPT_DATA to the folder that holds data/ and oracles/")
    return pathlib.Path(root)


@pytest.fixture
def unchecked():
    """Leaves annotations unchecked, as users meet the libraries."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# What tests change while Python runs is seen; to look for it takes a while.
compilation.folder_of_traces = lambda: None

# Ten tests make no 20,000 mappings, and what was let go is compiled again.
compilation._MOST_MAPPINGS = 45_000
_finished = itertools.count(1)


@pytest.fixture(autouse=True)
def _within_the_kernel_s_limit():
    yield
    if next(_finished) % 10 == 0:
        compilation.let_go_of_programs()
