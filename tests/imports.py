"""Who imports whom in this repository, read from the source without running it."""

import ast
import functools
import pathlib
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = ("basics", "metaopt", "models", "tracking_tasks", "experiments")


def files(package: str) -> list[pathlib.Path]:
    """The Python files of a package, sorted."""
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: pathlib.Path) -> str:
    """A file's module, such as `models.backbones.vgg`; a package's is that of its `__init__`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def modules() -> dict[str, pathlib.Path]:
    """All of our modules, and their files."""
    return {name_of(path): path for package in PACKAGES for path in files(package)}


@functools.cache
def imported(module: str) -> frozenset[str]:
    """Our modules that a module names in its import statements, wherever they stand."""
    tree = ast.parse(modules()[module].read_text())
    return frozenset(_known(name) for name in _names(tree) if _known(name) not in ("", module))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _known(name: str) -> str:
    """The module of ours that a dotted name is, or is in; empty if there is none."""
    while name and name not in modules():
        name = name.rpartition(".")[0]
    return name


def room(module: str, package: str) -> str:
    """The file or folder right below a package that holds a module; empty for none."""
    inside = module.removeprefix(f"{package}.")
    return "" if inside == module else inside.partition(".")[0]


def rooms(package: str) -> set[str]:
    """All files and folders right below a package but its `__init__`."""
    return {room(module, package) for module in modules()} - {""}


def arrows(package: str) -> set[tuple[str, str]]:
    """Which room of a package imports which other."""
    found = {
        (room(module, package), room(other, package))
        for module in modules()
        for other in imported(module)
    }
    return {(one, other) for one, other in found if one and other and one != other}
