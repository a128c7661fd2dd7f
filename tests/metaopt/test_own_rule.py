"""The example of one's own rule in docs/core.md, run as it is printed there."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "core.md"
START, BATCH = jnp.zeros(2), jnp.array([1.0, 3.0])


@pytest.fixture
def example(monkeypatch):
    """The names that the example defines; its rule is registered in an empty register."""
    monkeypatch.setattr(metaopt.optimizers._base, "_FACTORIES", {})
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    rule, registered = (block for block in blocks if "HeavyBall" in block)
    assert len(rule.split("rule = ")[0].strip().splitlines()) <= 20
    names = {
        "jax": jax,
        "jnp": jnp,
        "metaopt": metaopt,
        "register": metaopt.optimizers.register,
        "__name__": "example",
    }
    exec(rule + registered, names)
    return names


@pytest.mark.full
def test_the_rule_follows_its_recursion_and_can_be_meta_trained(example):
    rule, objective, outer_loss = (example[n] for n in ("rule", "objective", "outer_loss"))
    params, velocity = np.zeros(2), np.zeros(2)
    for _ in range(8):
        velocity = 0.5 * velocity - 0.05 * BATCH * (BATCH * params - 1.0)
        params = params + velocity
    fitted = metaopt.fit(rule, objective, START, BATCH, steps=8).params
    np.testing.assert_allclose(fitted, params, rtol=1e-5)

    trained = rule
    for _ in range(20):
        slope = jax.jit(jax.grad(outer_loss))(trained)
        trained = jax.tree.map(lambda leaf, g: leaf - 0.02 * g, trained, slope)
    assert outer_loss(trained) < 0.2 * outer_loss(rule)


def test_registered_under_a_name_it_appears_among_the_rules(example):
    rule = metaopt.optimizers.make("heavy_ball", START, steps=8, rate=0.05)
    assert metaopt.optimizers.names() == ("heavy_ball",) and rule.rate == 0.05
