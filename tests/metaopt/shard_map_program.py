"""A fit and an outer step inside shard_map on two devices. Run by test_parallel.

Then what parallel_program prints, of all devices.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

import metaopt
from tests.metaopt import parallel_program

DEALT, SHARED = PartitionSpec("d"), PartitionSpec()


def main():
    kind = (jax.sharding.AxisType.Auto,)
    mesh = jax.make_mesh((2,), ("d",), axis_types=kind, devices=jax.devices()[:2])
    rules = {
        "momentum": metaopt.GradientDescent(optax.sgd(0.1, momentum=0.5)),
        "steepest": metaopt.SteepestDescent(),
        "lstm": metaopt.CoordinatewiseRNN(bias=-3.0, size=2, layers=1),
    }
    objective = metaopt.LeastSquares(lambda p, b: b[0] @ p - b[1])
    x = jax.random.normal(jax.random.key(0), (8, 3))
    y = x.sum(1) + jnp.arange(8.0) / 4
    start = jnp.array([0.1, -0.2, 0.3])

    def shared(f, out):
        return jax.jit(jax.shard_map(f, mesh=mesh, in_specs=(SHARED, DEALT, DEALT), out_specs=out))

    for rule in rules.values():
        fit = lambda p, x, y, rule=rule: metaopt.fit(rule, objective, p, (x, y), steps=3).params
        got = shared(lambda p, x, y, fit=fit: fit(p, x, y)[None], DEALT)(start, x, y)
        wanted = jnp.stack([fit(start, x[:4], y[:4]), fit(start, x[4:], y[4:])])
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)

    def outer(params, episode):
        p, b = params, episode
        fitted = metaopt.fit(rules["momentum"], objective, p, b, steps=2)
        return jnp.sum((fitted.params - 1.0) ** 2), {"last": fitted.losses[-1]}

    sgd = optax.sgd(1.0)
    episodes = x.reshape(4, 2, 3), y.reshape(4, 2)
    state = metaopt.OuterState.create(start, sgd)
    step = lambda s, x, y: metaopt.outer_step(outer, sgd, s, (x, y))
    after, metrics = shared(step, SHARED)(state, *episodes)
    wanted, wanted_metrics = jax.jit(step)(state, *episodes)
    np.testing.assert_allclose(after.params, wanted.params, rtol=1e-4)
    for name, value in wanted_metrics.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4)
    print("equal")


if __name__ == "__main__":
    main()
    print(*parallel_program.main())
