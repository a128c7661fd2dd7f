# %% [markdown]
# # A fit and its gradient
#
# An inner loop fits `params` to a batch; the outer gradient goes through it.

# %%
import jax
import jax.numpy as jnp

import metaopt

x = jax.random.normal(jax.random.key(0), (50, 3))
y = x @ jnp.array([1.0, -2.0, 3.0])
objective = metaopt.LeastSquares(lambda w, batch: batch[0] @ w - batch[1])
result = metaopt.fit(metaopt.SteepestDescent(), objective, jnp.zeros(3), (x, y), steps=5)
print("losses", result.losses)  # steps + 1: before each step and after the last
print("params", result.params)

# %% [markdown]
# The loss after five steps is a function of where the fit starts and of the rule. Its gradient has
# the structure of both: a rule is a pytree, and its leaves are meta-parameters.


# %%
def outer_loss(start, rule):
    return metaopt.fit(rule, objective, start, (x, y), steps=2).losses[-1]


start = jnp.zeros(3)
by_start, by_rule = jax.grad(outer_loss, argnums=(0, 1))(start, metaopt.SteepestDescent())
print("by the start", by_start)
print("by the step length", by_rule.log_step)

# %% [markdown]
# A difference quotient says the same.

# %%
up, down = (outer_loss(start, metaopt.SteepestDescent(log_step=step)) for step in (0.01, -0.01))
quotient = (up - down) / 0.02
print("difference quotient", quotient)
assert abs(quotient - by_rule.log_step) < 0.01 * abs(quotient)
