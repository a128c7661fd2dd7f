"""What the derivative of a long fit of DiMP's filter keeps."""

import jax
import jax.numpy as jnp

import metaopt
from tracking_tasks.trackers.dimp.loss import (
    DiscriminativeLoss,
    DiscriminativeLossConfig,
    FilterSamples,
)


def test_a_long_fit_that_carries_scores_keeps_little_more_than_one_that_does_not():
    loss = DiscriminativeLoss(DiscriminativeLossConfig())
    features = jnp.ones((8, 14, 14, 48))
    samples = FilterSamples(features, jnp.full((8, 2), 7.0), jnp.ones(8))

    def kept(residuals):
        def outer(features):
            given = samples.replace(features=features)
            rule, objective = metaopt.SteepestDescent(), metaopt.LeastSquares(residuals)
            return metaopt.fit(rule, objective, jnp.zeros((4, 4, 48)), given, steps=64).losses[-1]

        compiled = jax.jit(jax.grad(outer)).lower(features).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # Together its factors are spread out to 64 times 400 kB.
    assert kept(loss) < kept(lambda f, s: loss(f, s)) + 6e6
