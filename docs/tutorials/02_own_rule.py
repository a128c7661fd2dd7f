# %% [markdown]
# # A rule of your own
#
# Two methods make a rule, `init` and `step`; its array fields are meta-parameters, which an outer
# loop trains. Here it is a momentum with steps of a length of their own, learned on random
# least-squares problems, and judged on fresh ones beside baselines tuned by hand.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax

import metaopt


class NormalizedMomentum(metaopt.InnerOptimizer):
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


# %% [markdown]
# Meta-training, with three seeds of the problems that it sees.

# %%
before = NormalizedMomentum(length=jnp.array(1.0), decay=jnp.array(0.9), momentum=jnp.array(0.5))
adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.01))


@jax.jit
def step(state, keys):
    return metaopt.outer_step(outer_loss, adam, state, keys)


def trained(seed):
    state = metaopt.OuterState.create(before, adam)
    for index in range(300):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), index), 16)
        state, _ = step(state, keys)
    return state.params


after = [trained(seed) for seed in range(3)]

# %% [markdown]
# Judged on 256 fresh problems. A baseline's rate is the best of nine on 256 others: what somebody
# with patience would find.

# %%
keys = lambda seed: jax.random.split(jax.random.key(seed), 256)
losses = jax.jit(lambda rule, keys: jax.vmap(lambda key: outer_loss(rule, key)[0])(keys))
fresh = lambda rule: np.asarray(losses(rule, keys(10_000)))


def tuned(make):
    rules = [
        metaopt.GradientDescent(optax.inject_hyperparams(make)(learning_rate=rate))
        for rate in np.geomspace(1e-3, 1, 9)
    ]
    means = np.array([np.asarray(losses(rule, keys(20_000))).mean() for rule in rules])
    return rules[int(np.nanargmin(means))]


rows = {
    "before": [fresh(before)],
    "trained": [fresh(rule) for rule in after],
    "sgd, best rate": [fresh(tuned(optax.sgd))],
    "adam, best rate": [fresh(tuned(optax.adam))],
    "steepest descent": [fresh(metaopt.SteepestDescent())],
}
for name, each in rows.items():
    means = [values.mean() for values in each]
    error = 1.96 * each[0].std() / np.sqrt(len(each[0]))
    print(f"{name:18} {np.mean(means):8.4f} ± {error:.4f} over problems", end="")
    print(f", ± {np.std(means, ddof=1):.4f} over seeds" if len(means) > 1 else "")
assert max(values.mean() for values in rows["trained"]) < rows["before"][0].mean()

# %% [markdown]
# To have it known to every tracker and program, register it: [extending](../extending.md).
