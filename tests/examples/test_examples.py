"""The examples run and learn; those of docs/core.md stand on the page as they are."""

import pathlib
import re
import runpy

import jax
import jax.numpy as jnp
import pytest

import metaopt

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_short_and_stands_in_the_readme_if_any_of_it_does(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "core.md").read_text(), re.DOTALL)
    title = text.splitlines()[0]
    assert [block for block in blocks if title in block] in ([], [text])


@pytest.mark.full
def test_own_task():
    names = runpy.run_path(str(ROOT / "examples/own_task.py"))
    state, metrics = names["state"], names["metrics"]
    assert int(state.step) == 500 and int(state.skipped) == 0
    assert metrics["outer_loss"] < 0.05 < 1 < metrics["before"]
    support, query = names["episode"](jax.random.key(10_000))
    fitted = metaopt.fit(
        state.params["rule"], metaopt.ScalarLoss(names["loss"]), state.params["params"], support,
        steps=5,
    )  # fmt: skip
    assert names["loss"](fitted.params, query) < 0.2


def test_own_rule():
    names = runpy.run_path(str(ROOT / "examples/own_rule.py"))
    keys = jax.random.split(jax.random.key(10_000), 32)
    mean_loss = jax.jit(lambda rule: jax.vmap(names["outer_loss"], (None, 0))(rule, keys)[0].mean())
    assert mean_loss(names["state"].params) < 0.8 * mean_loss(names["rule"])
    assert all(jnp.isfinite(leaf) for leaf in jax.tree.leaves(names["state"].params))


def test_learned_optimizer():
    names = runpy.run_path(str(ROOT / "examples/learned_optimizer.py"))
    x = jax.random.normal(jax.random.key(1000), (1000, 2))
    assert names["loss"](names["model"], x) < 0.005 < 0.3 < jnp.mean(x.prod(1) ** 2) / 2
