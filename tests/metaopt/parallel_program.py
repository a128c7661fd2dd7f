"""One outer step on all devices of all processes; its loss and meta-gradient. Run by test_parallel.

python parallel_program.py [COORDINATOR PROCESSES INDEX]
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import metaopt


def main(coordinator=None, processes="1", index="0"):
    if coordinator:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(coordinator, int(processes), int(index))

    key = jax.random.key(0)
    episodes = {
        "inputs": jax.random.normal(key, (8, 5, 3)),
        "targets": jax.random.normal(jax.random.fold_in(key, 1), (8, 5)),
        "keys": jax.random.split(key, 8),  # as those that episodes are rendered by
    }
    objective = metaopt.LeastSquares(lambda w, e: e["inputs"] @ w - e["targets"])

    def loss(meta, episode):
        result = metaopt.fit(meta["rule"], objective, meta["start"], episode, steps=3)
        return jnp.sum((result.params - 1.0) ** 2), {"final": result.losses[-1]}

    sgd = optax.sgd(1.0)
    meta = {"rule": metaopt.SteepestDescent(), "start": jnp.array([0.1, -0.2, 0.3])}
    state = metaopt.OuterState.create(meta, sgd)
    state, episodes = metaopt.distribute(metaopt.episode_mesh(), state, episodes)
    after, metrics = jax.jit(lambda s, e: metaopt.outer_step(loss, sgd, s, e))(state, episodes)
    gradient = jax.tree.map(lambda a, b: np.asarray(a - b), state.params, after.params)
    values = [jax.device_count(), float(metrics["outer_loss"]), float(metrics["final"])]
    return np.array([*values, *np.concatenate([x.ravel() for x in jax.tree.leaves(gradient)])])


if __name__ == "__main__":
    print(*main(*sys.argv[1:]))
