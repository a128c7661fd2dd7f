"""Bring your own rule: normalized momentum, its numbers learned on random least-squares fits."""

import jax
import jax.numpy as jnp
import optax

import metaopt


class NormalizedMomentum(metaopt.InnerOptimizer):
    """Steps of a length of their own along a running mean of gradients."""

    length: jax.Array  # of the first step
    decay: jax.Array  # of the length from step to step
    momentum: jax.Array

    def init(self, params):
        return jnp.zeros(()), jax.tree.map(jnp.zeros_like, params)

    def step(self, objective, params, state, batch):
        count, mean = state
        gradient = objective.gradient(params, batch)
        mean = jax.tree.map(lambda m, g: self.momentum * m + g, mean, gradient)
        scale = self.length * self.decay**count / (optax.tree.norm(mean) + 1e-8)
        return jax.tree.map(lambda p, m: p - scale * m, params, mean), (count + 1, mean)


def outer_loss(rule, key):
    x = jax.random.normal(key, (20, 8)) * jnp.linspace(0.2, 2, 8)
    objective = metaopt.LeastSquares(lambda params, x: x @ (params - 1))
    return metaopt.fit(rule, objective, jnp.zeros(8), x, steps=20).losses[-1], {}


rule = NormalizedMomentum(length=jnp.array(1.0), decay=jnp.array(0.9), momentum=jnp.array(0.5))
adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.01))
state = metaopt.OuterState.create(rule, adam)
step = jax.jit(lambda state, keys: metaopt.outer_step(outer_loss, adam, state, keys))
for index in range(300):
    state, metrics = step(state, jax.random.split(jax.random.key(index), 16))
print(f"loss after 20 steps {metrics['outer_loss']:.4f}, with {state.params}")
