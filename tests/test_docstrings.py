"""One convention: in Args, Attributes and Raises a text goes on in lower case after its name."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests import imports

# Names and acronyms keep their capitals; "A" is an article.
NAMES = {"Adam", "False", "Gaussian", "Ray", "Student", "True"}
_SECTION = re.compile(r"^(?:Args|Attributes|Raises):\n((?:    .*\n|\n)*)", re.M)
_ITEM = re.compile(r"^    [*\w`.][\w`., *]*: ([A-Za-z]+)", re.M)


def first_words(docstring: str) -> Iterator[str]:
    """The first word after each name."""
    for section in _SECTION.finditer(docstring + "\n"):
        yield from (item[1] for item in _ITEM.finditer(section[1]))


def is_capital(word: str) -> bool:
    return word == "A" or (word.istitle() and len(word) > 1 and word not in NAMES)


def test_words_are_found_and_told_apart():
    text = "What.\n\nArgs:\n    one: The first,\n        x: Not one.\n    *two, b: OTB's.\n\nA: No."
    assert list(first_words(text)) == ["The", "OTB"]
    assert [is_capital(word) for word in ("The", "A", "the", "OTB", "Adam", "U")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("package", imports.PACKAGES)
def test_texts_go_on_in_lower_case(package):
    wrong = []
    for path in imports.files(package):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                words = first_words(ast.get_docstring(node) or "")
                wrong += [f"{path.name}: {word}" for word in words if is_capital(word)]
    assert not wrong
