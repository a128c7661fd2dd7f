"""docs/equations.toml says where the papers' equations are, and is right."""

import ast
import io
import pathlib
import re
import textwrap
import tokenize
import tomllib
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TABLE = tomllib.loads((ROOT / "docs" / "equations.toml").read_text())
IDEAS = [row for rows in TABLE["ideas"].values() for row in rows]
ROWS = [(paper, row) for paper, rows in TABLE["equations"].items() for row in rows]
# "eq. 5", "eqs. 9 to 11", "equation 4", "Eq. 1, 2 and 6"
_CITATION = re.compile(r"\b(?:eqs?\.|equations?)\s+(\d+(?:(?:,\s*|\s+and\s+|\s+to\s+)\d+)*)", re.I)


def cited(text: str) -> set[int]:
    """The numbers of the equations that a text names."""
    found: set[int] = set()
    for citation in _CITATION.finditer(text):
        for part in re.split(r",|\band\b", citation[1]):
            first, *last = map(int, part.split("to"))
            found |= set(range(first, (last or [first])[0] + 1))
    return found


def words(source: str, symbol: str) -> str:
    """The docstring of a symbol and the comments in it.

    Raises:
        KeyError: there is no such symbol.
    """
    node: Any = ast.parse(source)
    for name in symbol.split("."):
        found = {
            each.name: each
            for each in ast.iter_child_nodes(node)
            if isinstance(each, ast.ClassDef | ast.FunctionDef)
        }
        node = found[name]
    lines = source.splitlines(keepends=True)[node.lineno - 1 : node.end_lineno]
    tokens = tokenize.generate_tokens(io.StringIO(textwrap.dedent("".join(lines))).readline)
    comments = [token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT]
    return " ".join([ast.get_docstring(node) or "", *comments])


def test_numbers_are_read_as_people_write_them():
    text = "(eqs. 9 to 11 and Algorithm 1; eq. 3), Equation 14; eq. 1, 2 and 6. In 8: eqs. 4 and 5"
    assert cited(text) == {9, 10, 11, 3, 14, 1, 2, 6, 4, 5}
    assert cited("seq. 5, 2019") == cited("in 2 and 3") == set()


def test_words_are_docstring_and_comments_of_the_symbol_alone():
    source = "# eq. 1\nclass A:\n    '''Eq. 2.'''\n    def f():\n        x = 'eq. 3'  # eq. 4\n"
    assert cited(words(source, "A")) == {2, 4}
    assert cited(words(source, "A.f")) == {4}
    with pytest.raises(KeyError):
        words(source, "A.g")


@pytest.mark.parametrize(
    ("paper", "row"), ROWS, ids=[f"{paper}-{row['number']}-{row['symbol']}" for paper, row in ROWS]
)
def test_each_symbol_names_its_equation(paper, row):
    source = (ROOT / row["file"]).read_text()
    assert row["number"] in cited(words(source, row["symbol"])), f"{paper}, {row}"


@pytest.mark.parametrize("row", IDEAS, ids=lambda row: row["what"])
def test_each_idea_is_where_it_is_said_to_be(row):
    path = ROOT / row["file"]
    if "symbol" not in row:
        assert (path / "__init__.py").is_file()
        return
    names = set()
    for node in ast.parse(path.read_text()).body:
        names |= {node.name} if isinstance(node, ast.ClassDef | ast.FunctionDef) else set()
        names |= {node.target.id} if isinstance(node, ast.AnnAssign) else set()
    assert row["symbol"] in names


def test_every_paper_has_a_title_and_every_row_is_whole():
    assert TABLE["papers"].keys() == TABLE["equations"].keys()
    assert all(row.keys() == {"number", "what", "file", "symbol"} for _, row in ROWS)
    keys = [(paper, row["number"], row["file"], row["symbol"]) for paper, row in ROWS]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("paper", "numbers"),
    [
        ("DSLT", {1, 3, 4, 5, 6, 7}),  # 2 is plain gradient descent
        ("DiMP", set(range(1, 10))),
        ("GradNet", {1, 4, 5, 6, 7, 8, 10}),  # 2, 3: what 4 to 7 say; 9: what 10 replaces
        ("MetaRTT", {*range(1, 8), 9, 10, 11, 12}),  # 8 is the gradient of 7
        ("ROAM", set(range(1, 16))),
    ],
)
def test_the_five_papers_are_there_as_a_whole(paper, numbers):
    assert {row["number"] for row in TABLE["equations"][paper]} == numbers
