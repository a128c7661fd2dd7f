"""The site: its hooks do what they say, its names are all there, its snippets run."""

import importlib.util
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


def hook(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(page, *titles):
    """Runs the snippets with these titles in one namespace, and returns it."""
    names = {}
    blocks = re.findall(r'```python title="(\w+)"\n(.*?)```', (DOCS / page).read_text(), re.DOTALL)
    for title, block in blocks:
        if title in titles:
            exec(compile(block, page, "exec"), names)
    return names


def test_every_public_name_is_on_a_page_and_says_what_it_is(tmp_path, monkeypatch):
    reference = hook("reference")
    assert reference.problems() == []
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    page = "::: metaopt.fit\n\n::: metaopt.nothing\n"
    (tmp_path / "docs" / "reference" / "page.md").write_text(page)
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    problems = reference.problems()
    assert "metaopt.Unrolled is public and on no page of docs/reference/" in problems
    assert "metaopt.nothing is on a page and there is no such name" in problems
    assert not any(problem.startswith("metaopt.fit ") for problem in problems)


@pytest.mark.parametrize(
    ("page", "text", "on_the_site"),
    [
        ("data.md", "[rules](optax.md#a)", "[rules](optax.md#a)"),
        ("data.md", "[new](../CHANGELOG.md)", "[new](changelog.md)"),
        ("results/rules.md", "[all](../../README.md)", "[all](../index.md)"),
        ("data.md", "[the program](../bootstrap.py)", "the program (`bootstrap.py`)"),
        ("data.md", "[away](https://example.org)", "[away](https://example.org)"),
        ("data.md", "[gone](../gone.py)", "[gone](../gone.py)"),
    ],
)
def test_links_that_leave_the_docs(page, text, on_the_site):
    assert hook("links").rewritten(text, f"docs/{page}", page) == on_the_site


def test_a_folder_of_the_navigation_is_its_pages(tmp_path):
    for name in ("b.md", "README.md", "a.py", "x.png"):
        (tmp_path / "papers").mkdir(exist_ok=True)
        (tmp_path / "papers" / name).touch()
    nav = [{"Papers": "papers/"}, {"Gone": "gone/"}, {"Start": "index.md"}]
    pages = ["papers/README.md", "papers/a.py", "papers/b.md"]
    expected = [{"Papers": pages}, {"Start": "index.md"}]
    assert hook("navigation").expanded(nav, tmp_path) == expected


def test_coming_from_optax():
    by_hand = run("coming_from/optax.md", "optax")
    all_of_it = run("coming_from/optax.md", "optax", "metaopt")
    np.testing.assert_allclose(all_of_it["result"].params, by_hand["params"], atol=1e-6)
    assert all_of_it["result"].losses.shape == (11,)
    np.testing.assert_allclose(all_of_it["slope"], by_hand["by_rate"], rtol=1e-4)
    norm = jnp.linalg.norm(all_of_it["updates"])
    np.testing.assert_allclose(norm, 0.1, rtol=1e-5)  # the rate times a gradient clipped to 1


@pytest.mark.full
def test_coming_from_learn2learn():
    names = run("coming_from/learn2learn.md", "metaopt")
    start = names["state"].params  # moves to the point that all lines have in common
    before, after = [
        np.mean([
            names["outer_loss"](each, names["task"](jax.random.key(1000 + index)))[0]
            for index in range(20)
        ])
        for each in (jax.tree.map(jnp.zeros_like, start), start)
    ]  # fmt: skip
    assert after < 0.6 * before


@pytest.mark.full
def test_coming_from_jaxopt():
    names = run("coming_from/jaxopt.md", "metaopt")
    x, y = np.asarray(names["x"]), np.asarray(names["y"])
    damped = x.T @ x + 0.5 * np.eye(2)
    solution = np.linalg.solve(damped, x.T @ y)
    np.testing.assert_allclose(names["fitted"](0.5), solution, atol=1e-3)
    np.testing.assert_allclose(
        names["derivative"], -np.linalg.solve(damped, solution), rtol=1e-3, atol=1e-4
    )


@pytest.mark.full
def test_coming_from_pytracking(monkeypatch):
    monkeypatch.chdir(ROOT)
    names = run("coming_from/pytracking.md", "metaopt")
    assert names["boxes"].shape == (12, 4) and names["scores"].shape == (12,)
    assert names["scores"].min() > 0.6  # DiMP's present_score


def test_several_devices():
    page = (DOCS / "howto" / "run.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(compile(block, "run.md", "exec"), names)
    # Three steps of 0.1 leave 0.9^3 of the distance, so the loss is 1/2 * 2 * 0.9^6.
    np.testing.assert_allclose(names["metrics"]["outer_loss"], 0.9**6, rtol=1e-5)
    np.testing.assert_allclose(names["state"].params, 0.5 * 0.9**6, rtol=1e-5)
