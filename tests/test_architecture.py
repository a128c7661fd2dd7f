"""The house as docs/architecture.md describes it: who may import whom, and how large things get."""

import ast
import graphlib
import pathlib

import pytest

from tests import imports

BELOW = {
    "basics": set(),
    "metaopt": set(),
    "models": {"basics"},
    "tracking_tasks": {"models", "metaopt", "basics"},
    "experiments": {"tracking_tasks", "models", "metaopt", "basics"},
}
# From the lowest up: a room imports only what stands in a line before its own.
TRACKING_TASKS = [
    {"boxes", "crops", "labels", "memory"},
    {"augmentation", "episode", "peaks"},
    {"data", "trackers"},
    {"checkpoints"},
    {"online"},
    {"evaluation"},
    {"adapters"},
]
# Rooms are the files and folders right below a package, arrows say which of them imports which
# other. Every program of experiments is a room there, so that only folders are counted, and the
# arrows between those; a program has a few of its own.
MOST_ROOMS = {"tracking_tasks": 13, "experiments": 13}
MOST_ARROWS = {"tracking_tasks": 21, "experiments": 26}
MOST_OF_A_PROGRAM = 4
LONG_FUNCTION, LONG_FUNCTIONS, LONG_FILE = 50, 0.01, 300  # lines, share of functions, lines


def programs() -> set[str]:
    """The single files at the top of experiments."""
    return {path.stem for path in imports.files("experiments") if len(path.parts) == _DEPTH + 1}


_DEPTH = len((imports.ROOT / "experiments").parts)


@pytest.mark.parametrize("package", BELOW)
def test_packages_import_only_those_below(package):
    for module in imports.modules():
        if module.partition(".")[0] == package:
            others = {other.partition(".")[0] for other in imports.imported(module)} - {package}
            assert others <= BELOW[package], f"{module} imports {others - BELOW[package]}"


def test_no_module_is_in_a_circle_of_imports():
    modules = imports.modules().keys()
    graph = {module: imports.imported(module) & modules for module in modules}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises, naming the circle


@pytest.mark.parametrize(
    "package",
    [module for module, path in imports.modules().items() if path.name == "__init__.py"],
)
def test_no_room_of_a_package_is_in_a_circle(package):
    graph: dict[str, set[str]] = {}
    for one, other in imports.arrows(package):
        graph.setdefault(one, set()).add(other)
    list(graphlib.TopologicalSorter(graph).static_order())


def test_rooms_of_tracking_tasks_import_only_those_below():
    floors = {room: floor for floor, rooms in enumerate(TRACKING_TASKS) for room in rooms}
    assert floors.keys() == imports.rooms("tracking_tasks")
    for one, other in imports.arrows("tracking_tasks"):
        assert floors[other] < floors[one], f"{one} imports {other}"


def test_single_files_at_the_top_of_experiments_are_programs_that_nothing_imports():
    for name in programs() - {"__init__"}:
        text = (imports.ROOT / "experiments" / f"{name}.py").read_text()
        assert "cli.run(main, FLAGS" in text, f"experiments/{name}.py is no program"
    imported = {other for module in imports.modules() for other in imports.imported(module)}
    assert not {f"experiments.{name}" for name in programs()} & imported


@pytest.mark.parametrize("package", MOST_ROOMS)
def test_a_package_has_few_rooms_and_few_arrows_between_them(package):
    rooms = imports.rooms(package) - (programs() if package == "experiments" else set())
    assert len(rooms) <= MOST_ROOMS[package], sorted(rooms)
    arrows = [arrow for arrow in imports.arrows(package) if rooms.issuperset(arrow)]
    assert len(arrows) <= MOST_ARROWS[package], sorted(arrows)


def test_a_program_imports_few_rooms():
    for program in programs():
        taken = {other for one, other in imports.arrows("experiments") if one == program}
        assert len(taken) <= MOST_OF_A_PROGRAM, f"{program} imports {taken}"


def test_what_one_tracker_alone_uses_lies_in_its_folder():
    trackers = "tracking_tasks.trackers"
    folders = {
        f"{trackers}.{path.parent.name}"
        for path in imports.files("tracking_tasks/trackers")
        if path.name == "tracker.py"
    }
    assert len(folders) >= 5
    owner = lambda module: next((f for f in folders if f"{module}.".startswith(f"{f}.")), None)
    for module in imports.modules():
        if not module.startswith("tracking_tasks"):
            continue
        users = {owner(one) for one in imports.modules() if module in imports.imported(one)}
        if owner(module):
            outside = {
                one
                for one in imports.modules()
                if module in imports.imported(one) and owner(one) != owner(module)
            }
            assert not any(one.startswith("tracking_tasks") for one in outside), (module, outside)
        else:
            assert not (len(users) == 1 and None not in users), f"{module} is for {users} alone"


def test_functions_and_files_fit_a_screen():
    functions, long = 0, []
    for module, path in imports.modules().items():
        text = path.read_text()
        assert text.count("\n") <= LONG_FILE, f"{module} has more than {LONG_FILE} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                functions += 1
                if (node.end_lineno or 0) - node.lineno >= LONG_FUNCTION:
                    long.append(f"{module}.{node.name}")
    assert len(long) < LONG_FUNCTIONS * functions, long


def test_a_circle_and_a_program_that_is_imported_are_found(tmp_path, monkeypatch):
    """The test of these tests: what they read from source is what stands there."""
    for name, text in {
        "metaopt/__init__.py": "",
        "metaopt/one.py": "def f():\n    from metaopt.inner import two\n",
        "metaopt/inner/__init__.py": "",
        "metaopt/inner/two.py": "import metaopt.one\nimport numpy\n",
    }.items():
        path = pathlib.Path(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(imports, "ROOT", tmp_path)
    monkeypatch.setattr(imports, "PACKAGES", ("metaopt",))
    imports.modules.cache_clear(), imports.imported.cache_clear()
    try:
        assert imports.imported("metaopt.one") == {"metaopt.inner.two"}
        assert imports.rooms("metaopt") == {"one", "inner"}
        assert imports.arrows("metaopt") == {("one", "inner"), ("inner", "one")}
        with pytest.raises(graphlib.CycleError):
            test_no_module_is_in_a_circle_of_imports()
    finally:
        imports.modules.cache_clear(), imports.imported.cache_clear()
