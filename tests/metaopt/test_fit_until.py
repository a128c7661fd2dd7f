"""The loop to convergence: it takes the steps of `fit`, as many as it needs, and counts them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt

OBJECTIVE = metaopt.ScalarLoss(lambda params, batch: 0.5 * batch * params**2)
RULE = metaopt.GradientDescent(optax.sgd(0.4, momentum=0.3))


@jax.jit
def run(start, max_steps=100):
    small = lambda params: jnp.abs(params) < 0.1
    return metaopt.fit_until(RULE, OBJECTIVE, start, 1.0, converged=small, max_steps=max_steps)


def test_gradient_descent_halves_until_it_is_small_enough():
    plain = metaopt.GradientDescent(optax.sgd(0.5))
    small = lambda params: jnp.abs(params) < 0.1
    result = metaopt.fit_until(plain, OBJECTIVE, jnp.array(1.0), 1.0, converged=small, max_steps=9)
    assert result.steps == 4 and result.params == 1 / 16


@pytest.mark.parametrize("max_steps", [0, 1, 3])
def test_it_ends_after_the_most_steps_where_fit_ends(max_steps):
    result = run(jnp.array(8.0), max_steps)
    fixed = metaopt.fit(RULE, OBJECTIVE, jnp.array(8.0), 1.0, steps=max_steps)
    assert result.steps == max_steps
    np.testing.assert_allclose(result.params, fixed.params, rtol=1e-6)
    for left, right in zip(
        jax.tree.leaves(result.state), jax.tree.leaves(fixed.state), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_what_has_converged_is_left_alone_also_within_a_batch():
    starts = jnp.array([0.05, 1.0, 8.0])
    together = jax.vmap(run)(starts)
    assert together.steps[0] == 0 and together.params[0] == starts[0]
    np.testing.assert_array_equal(together.steps, [run(start).steps for start in starts])
    assert (jnp.abs(together.params) < 0.1).all() and together.steps[2] > together.steps[1]


def test_the_former_name_of_max_steps_still_counts():
    never = lambda params: jnp.array(False)
    fitted = metaopt.fit_until(RULE, OBJECTIVE, 8.0, 1.0, converged=never, most_steps=3)
    assert fitted.steps == 3
