# %% [markdown]
# # A learned optimizer in your own training loop
#
# `metaopt.pretrained` gives a rule that trains any network for a number of steps that you name,
# with no rate to tune. `metaopt.as_optax` makes an optax transformation of it, for flax's
# `nnx.Optimizer` or a loop of your own. Here a small network learns the digits of scikit-learn,
# beside Adam at four rates, constant and falling to 0, as the rule's steps do.

# %%
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import nnx
from sklearn.datasets import load_digits

import metaopt

digits = load_digits()
images, labels = jnp.asarray(digits.data / 16, jnp.float32), jnp.asarray(digits.target)
steps, batch = 300, 64


def loss(model, images, labels):
    return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()


def network(seed):
    rngs = nnx.Rngs(seed)
    return nnx.Sequential(nnx.Linear(64, 64, rngs=rngs), nnx.relu, nnx.Linear(64, 10, rngs=rngs))


# %% [markdown]
# The loop is flax's; nothing in it knows what the optimizer is.


# %%
@nnx.jit
def step(model, optimizer, images, labels):
    value, gradient = nnx.value_and_grad(loss)(model, images, labels)
    optimizer.update(model, gradient)
    return value


def train(transformation, seed):
    model = network(seed)
    optimizer = nnx.Optimizer(model, transformation, wrt=nnx.Param)
    order = np.random.default_rng(seed)
    chosen = [order.integers(0, len(images), batch) for _ in range(steps)]
    values = [step(model, optimizer, images[each], labels[each]) for each in chosen]
    return np.array(values), float(loss(model, images, labels))


# %%
rule = metaopt.pretrained("orthogonal_mlp").replace(steps=float(steps))  # where it comes to rest
optimizers = {"orthogonal_mlp": metaopt.as_optax(rule)}
for rate in (1e-3, 3e-3, 1e-2, 3e-2):
    falling = optax.cosine_decay_schedule(rate, steps)
    optimizers |= {f"adam, {rate:g}": optax.adam(rate), f"{rate:g}, falling": optax.adam(falling)}
curves, finals = {}, {}
for name, transformation in optimizers.items():
    runs = [train(transformation, seed) for seed in range(3)]
    curves[name] = np.mean([values for values, _ in runs], 0)
    finals[name] = np.mean([final for _, final in runs])
    print(f"{name:16} loss on all digits after {steps} steps: {finals[name]:.5f}")

# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
smooth = lambda values: np.exp(np.convolve(np.log(values), np.ones(15) / 15, "valid"))
for index, (name, values) in enumerate(curves.items()):
    line = {"color": "#D55E00", "lw": 2} if index == 0 else {"ls": ":" if index % 2 else "--"}
    axes.semilogy(smooth(values), label=name, **line)
axes.set(xlabel="step", ylabel="loss on the batch")
_ = figure.legend(fontsize="small", loc="outside right upper", frameon=False)

# %%
assert finals["orthogonal_mlp"] < min(finals[name] for name in finals if name != "orthogonal_mlp")

# %% [markdown]
# How it was made, and what it does beside optax's optimizers on tasks that it was not made on:
# [the learned optimizer](../learned_optimizer.md).
