"""Trains a flax network with the pretrained learned optimizer: no rate to tune."""

import jax
import optax
from flax import nnx

import metaopt

rngs = nnx.Rngs(0)
model = nnx.Sequential(nnx.Linear(2, 64, rngs=rngs), nnx.tanh, nnx.Linear(64, 1, rngs=rngs))
rule = metaopt.pretrained("orthogonal_mlp").replace(steps=300.0)  # how long the training will be
optimizer = nnx.Optimizer(model, metaopt.as_optax(rule), wrt=nnx.Param)
loss = lambda model, x: optax.l2_loss(model(x)[:, 0], x.prod(1)).mean()
step = nnx.jit(lambda model, optimizer, x: optimizer.update(model, nnx.grad(loss)(model, x)))
for index in range(300):
    step(model, optimizer, jax.random.normal(jax.random.key(index), (64, 2)))
print(f"loss {loss(model, jax.random.normal(jax.random.key(300), (1000, 2))):.5f}")
