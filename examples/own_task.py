"""Bring your own task: learn to fit decaying curves from five points in five steps."""

import jax
import jax.numpy as jnp
import optax

import metaopt


def episode(key):
    """Five points of height * exp(-rate x) to fit to, and twenty to be judged on."""
    height, rate = jax.random.uniform(key, (2,), minval=jnp.array([1, 0.5]), maxval=3)
    x = jax.random.uniform(jax.random.fold_in(key, 1), (25, 1), maxval=3)
    y = height * jnp.exp(-rate * x)
    return (x[:5], y[:5]), (x[5:], y[5:])


def loss(params, batch):
    x, y = batch
    hidden = jnp.tanh(x @ params["kernel"] + params["bias"])
    return jnp.mean((hidden @ params["last"] - y) ** 2)


def outer_loss(meta, episode):
    support, query = episode
    objective = metaopt.ScalarLoss(loss)
    fitted = metaopt.fit(meta["rule"], objective, meta["params"], support, steps=5)
    return loss(fitted.params, query), {"before": loss(meta["params"], query)}


kernel, last = jax.random.normal(jax.random.key(0), (2, 32))
params = {"kernel": kernel[None], "bias": jnp.zeros(32), "last": 0.1 * last[:, None]}
meta = {"params": params, "rule": metaopt.LearnedRates(params, steps=5)}
adam = optax.adam(3e-3)
state = metaopt.OuterState.create(meta, adam)
step = jax.jit(lambda state, episodes: metaopt.outer_step(outer_loss, adam, state, episodes))
for index in range(500):
    episodes = jax.vmap(episode)(jax.random.split(jax.random.key(index), 16))
    state, metrics = step(state, episodes)
print(f"before the fit {metrics['before']:.4f}, after it {metrics['outer_loss']:.4f}")
