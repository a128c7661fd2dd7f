"""What tests share: helpers stand in modules of their own, and products keep every value."""

import ast
import pathlib

import pytest

from tests.products import chosen, covering

ROOT = pathlib.Path(__file__).parent


def test_no_test_imports_another():
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                of = (node.module or "").split(".")
                assert of[0] != "tests" or not of[-1].startswith("test_"), f"{path}: {node.module}"


def default_run(params):
    return [param.values for param in params if pytest.mark.full not in param.marks]


def test_a_covering_keeps_every_value_and_every_case():
    cases = [(rule, task, dtype) for rule in "abc" for task in (1, 2) for dtype in (True, False)]
    found = covering(cases)
    assert [param.values for param in found] == cases
    kept = [("a", 1, True), ("a", 1, False), ("a", 2, True), ("b", 1, True), ("c", 1, True)]
    assert default_run(found) == kept


def test_what_is_not_chosen_is_kept_for_the_full_run():
    found = chosen([("a", 1), ("a", 2), ("b", 1)], [("a", 2)])
    assert [param.values for param in found] == [("a", 1), ("a", 2), ("b", 1)]
    assert default_run(found) == [("a", 2)]
