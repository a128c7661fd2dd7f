"""The README's example of one's own rule, run as it stands there."""

import jax
import jax.numpy as jnp
import numpy as np

import metaopt


class HeavyBall(metaopt.InnerOptimizer):
    """Polyak's heavy ball; its two numbers are meta-parameters."""

    rate: jax.Array
    momentum: jax.Array

    def init(self, params):
        return jax.tree.map(jnp.zeros_like, params)

    def step(self, objective, params, state, batch):
        gradient = objective.gradient(params, batch)
        state = jax.tree.map(lambda v, g: self.momentum * v - self.rate * g, state, gradient)
        return jax.tree.map(jnp.add, params, state), state


OBJECTIVE = metaopt.LeastSquares(lambda params, batch: batch * params - 1.0)
START, BATCH = jnp.zeros(2), jnp.array([1.0, 3.0])


def outer_loss(rule):
    return metaopt.fit(rule, OBJECTIVE, START, BATCH, steps=8).losses[-1]


def test_the_rule_follows_its_recursion_and_can_be_meta_trained():
    rule = HeavyBall(rate=jnp.array(0.05), momentum=jnp.array(0.5))
    params, velocity = np.zeros(2), np.zeros(2)
    for _ in range(8):
        velocity = 0.5 * velocity - 0.05 * BATCH * (BATCH * params - 1.0)
        params = params + velocity
    fitted = metaopt.fit(rule, OBJECTIVE, START, BATCH, steps=8).params
    np.testing.assert_allclose(fitted, params, rtol=1e-5)

    trained = rule
    for _ in range(20):
        slope = jax.jit(jax.grad(outer_loss))(trained)
        trained = jax.tree.map(lambda leaf, g: leaf - 0.02 * g, trained, slope)
    assert outer_loss(trained) < 0.2 * outer_loss(rule)


def test_registered_under_a_name_it_appears_among_the_rules(monkeypatch):
    monkeypatch.setattr(metaopt.optimizers._base, "_FACTORIES", {})

    @metaopt.optimizers.register("heavy_ball")
    def untrained(params, *, steps, rate):
        return HeavyBall(rate=jnp.array(rate), momentum=jnp.array(0.9))

    rule = metaopt.optimizers.make("heavy_ball", START, steps=8, rate=0.05)
    assert metaopt.optimizers.names() == ("heavy_ball",) and rule.rate == 0.05
