"""What made results: versions of the libraries, and the revision of this code."""

import importlib.metadata
import pathlib
import subprocess

import jax

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")


def versions() -> dict[str, str | None]:
    """Of libraries by name, the `platform` that computes, and the `revision`."""
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return libraries | {"platform": jax.default_backend(), "revision": _revision()}


def _revision() -> str | None:
    """The git revision of this code, with a + if it was changed since; None without git."""
    git = ["git", "-C", str(_ROOT)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
