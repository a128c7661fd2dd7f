"""Every command and every link that the pages print is one that works."""

import importlib
import pathlib
import re
import shlex

import pytest

from basics.errors import InputError
from experiments.command_line.tracker_flags import LoadedTracker

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def commands(text):
    """The programs of ours in a page's blocks: module name and arguments, lines joined."""
    for block in re.findall(r"```(?:\w*)\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"(?:python3 bootstrap\.py|python) -m (experiments\S*)(.*)", line)
            if found:
                yield found[1], shlex.split(found[2], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_printed_command_parses(page):
    for name, arguments in commands(page.read_text()):
        module = importlib.import_module(name)
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"{name}.__main__")
        rest = module.FLAGS(["program", *arguments])
        module.FLAGS.unparse_flags()
        assert len(rest) <= 2, f"{page.name}: {name} takes no {rest[1:]}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_first_example_of_the_readme_runs_as_pasted(capsys):
    block = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    exec(compile(block, "README.md", "exec"), {})
    loss, gradient = capsys.readouterr().out.split("\n", 1)
    assert 0 <= float(loss) < 1e-3  # five steps nearly solve three unknowns
    assert "SteepestDescent" in gradient


def test_the_readme_has_the_totals_of_the_scoreboard():
    totals = r"\d+ holds, \d+ fails, \d+ undecided, \d+ not run"
    pages = [ROOT / "README.md", ROOT / "docs" / "papers" / "README.md"]
    ours, scoreboard = (re.findall(totals, page.read_text()) for page in pages)
    assert ours == scoreboard and len(ours) == 1


def test_the_readme_is_one_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.full
def test_every_printed_command_finds_its_tracker():
    """The shipped weights take the rule and the constants that a page prints."""
    found, asked = 0, set()
    for page in PAGES:
        for name, arguments in commands(page.read_text()):
            module = importlib.import_module(name)
            loaded = [each for each in vars(module).values() if isinstance(each, LoadedTracker)]
            checkpoint = any(argument.startswith("--checkpoint") for argument in arguments)
            said = [
                each for each in arguments if re.match(r"--(tracker|inner_opt|redet|\w+\.)", each)
            ]
            if not loaded or checkpoint or (name, *said) in asked:
                continue
            asked.add((name, *said))
            module.FLAGS(["program", *arguments])
            try:
                tracker = loaded[0].load()
            except InputError as error:
                raise AssertionError(f"{page.name}: {name} {' '.join(arguments)}") from error
            finally:
                module.FLAGS.unparse_flags()
            found += bool(said)
            assert tracker.inner_optimizer
    assert found > 5
