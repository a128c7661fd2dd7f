# %% [markdown]
# # Few-shot learning from scratch
#
# Decaying curves: five points to fit to, five steps, and twenty points to be judged on. The outer
# loop learns the initial weights and a rate for every weight and step.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import metaopt


def episode(key):
    height, rate = jax.random.uniform(key, (2,), minval=jnp.array([1, 0.5]), maxval=3)
    x = jax.random.uniform(jax.random.fold_in(key, 1), (25, 1), maxval=3)
    y = height * jnp.exp(-rate * x)
    return (x[:5], y[:5]), (x[5:], y[5:])


def predict(params, x):
    return jnp.tanh(x @ params["kernel"] + params["bias"]) @ params["last"]


def loss(params, batch):
    return jnp.mean((predict(params, batch[0]) - batch[1]) ** 2)


def outer_loss(meta, episode):
    support, query = episode
    objective = metaopt.ScalarLoss(loss)
    fitted = metaopt.fit(meta["rule"], objective, meta["params"], support, steps=5)
    return loss(fitted.params, query), {}


# %%
kernel, last = jax.random.normal(jax.random.key(0), (2, 32))
params = {"kernel": kernel[None], "bias": jnp.zeros(32), "last": 0.1 * last[:, None]}
untrained = {"params": params, "rule": metaopt.LearnedRates(params, steps=5)}
adam = optax.adam(3e-3)
state = metaopt.OuterState.create(untrained, adam)
step = jax.jit(lambda state, episodes: metaopt.outer_step(outer_loss, adam, state, episodes))
for index in range(500):
    episodes = jax.vmap(episode)(jax.random.split(jax.random.key(index), 16))
    state, _ = step(state, episodes)

# %% [markdown]
# On 200 tasks that it has never seen:

# %%
fresh = jax.vmap(episode)(jax.random.split(jax.random.key(10_000), 200))
mean = jax.jit(lambda meta: jax.vmap(lambda each: outer_loss(meta, each)[0])(fresh).mean())
print(f"nothing learned {mean(untrained):.4f}, meta-trained {mean(state.params):.4f}")
assert mean(state.params) < 0.1 * mean(untrained)

# %%
(support, query) = episode(jax.random.key(10_001))
meta = state.params
fitted = metaopt.fit(
    meta["rule"], metaopt.ScalarLoss(loss), meta["params"], support, steps=5
).params
grid = jnp.linspace(0, 3, 100)[:, None]
figure, axes = plt.subplots(figsize=(5, 3))
axes.plot(*query, ".", color="0.6", label="query")
axes.plot(*support, "o", color="#D55E00", label="support")
axes.plot(grid, predict(meta["params"], grid), "--", color="#0072B2", label="before the fit")
axes.plot(grid, predict(fitted, grid), color="#009E73", label="after five steps")
_ = axes.legend()

# %% [markdown]
# MAML, Meta-SGD and others on Omniglot and digits: [few-shot learning](../few_shot.md).
