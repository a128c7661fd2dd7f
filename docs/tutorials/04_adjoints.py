# %% [markdown]
# # Adjoints and their memory
#
# The adjoint says how the outer gradient goes through a fit. Memory is that of the compiled
# program, as XLA itself plans it; no measurement is involved.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import metaopt

x = jax.random.normal(jax.random.key(0), (64, 32))
y = jnp.sin(x[:, :1])
params = {"first": 0.1 * jnp.ones((32, 256)), "last": jnp.zeros((256, 1))}
rule = metaopt.GradientDescent(optax.sgd(0.01))


def loss(params, batch):
    return jnp.mean((jnp.tanh(batch[0] @ params["first"]) @ params["last"] - batch[1]) ** 2)


def program(adjoint, steps):
    def outer_loss(params):
        objective = metaopt.ScalarLoss(loss)
        fitted = metaopt.fit(rule, objective, params, (x, y), steps=steps, adjoint=adjoint)
        return fitted.losses[-1]

    return jax.jit(jax.grad(outer_loss)).lower(params).compile()


ADJOINTS = {
    "Unrolled(remat=False)": metaopt.Unrolled(remat=False),
    "Unrolled()": metaopt.Unrolled(),
    "Truncated(2)": metaopt.Truncated(2),
    "FirstOrder()": metaopt.FirstOrder(),
}
STEPS = (4, 16, 64)
memory = {
    name: [program(adjoint, n).memory_analysis().temp_size_in_bytes / 2**20 for n in STEPS]
    for name, adjoint in ADJOINTS.items()
}
for name, each in memory.items():
    print(f"{name:22}", "  ".join(f"{size:6.2f} MiB" for size in each))
assert memory["Unrolled()"][-1] < 0.5 * memory["Unrolled(remat=False)"][-1]

# %%
figure, axes = plt.subplots(figsize=(5, 3))
for (name, each), color, line in zip(
    memory.items(), ("#D55E00", "#0072B2", "#009E73", "#CC79A7"), ("-", "--", "-.", ":")
):
    axes.loglog(STEPS, each, line, color=color, marker="o", label=name)
axes.set_xticks(STEPS, map(str, STEPS))
axes.minorticks_off()
axes.set(xlabel="inner steps", ylabel="memory in MiB")
_ = axes.legend()

# %% [markdown]
# The exact adjoints agree. `FirstOrder` is biased, by how much depends on the problem. `Truncated`
# has no derivative at all by the start, which lies further back than its window: it is for what
# every step depends on, the rule and the objective.

# %%
exact = program(metaopt.Unrolled(), 16)(params)
norm = optax.tree.norm(exact)
for name, adjoint in ADJOINTS.items():
    found = program(adjoint, 16)(params)
    error = optax.tree.norm(jax.tree.map(jnp.subtract, found, exact)) / norm
    print(f"{name:22} relative error {error:.1e}")

# %% [markdown]
# Which to take: [choosing](../howto/choose.md).
