"""A rule that stops early is a shorter fit, in values and derivatives, compiled once."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from tests.products import chosen

CURVATURE = jnp.array([1.0, 2.0, 0.5])
QUADRATIC = metaopt.ScalarLoss(lambda p, batch: 0.5 * jnp.sum(batch * p**2))
START = jnp.array([1.0, -2.0, 3.0])
BATCHES = CURVATURE * jnp.arange(1.0, 6)[:, None] / 3


MOMENTUM = metaopt.GradientDescent(
    optax.inject_hyperparams(optax.sgd)(learning_rate=0.1, momentum=0.5)
)


ADJOINTS = [metaopt.Unrolled(), metaopt.Unrolled(mixed_mode=True), metaopt.FirstOrder()]


@pytest.mark.parametrize(
    ("with_batches", "adjoint"),
    chosen(
        itertools.product((True, False), ADJOINTS),
        [(True, ADJOINTS[1]), (False, ADJOINTS[2])],
    ),
    ids=str,
)
def test_it_is_a_shorter_fit(with_batches, adjoint):
    traces = []

    def outer(rule, start, batches, steps, active):
        traces.append(None)
        samples = {"batches": batches[:steps]} if with_batches else {"batch": batches[0]}
        rule = rule if active is None else metaopt.ActiveSteps(rule, active)
        fitted = metaopt.fit(rule, QUADRATIC, start, **samples, steps=steps, adjoint=adjoint,
                             observe=lambda p: p)  # fmt: skip
        scored = jnp.where(jnp.arange(steps + 1) < 3, fitted.losses, 0).sum()
        return scored + jnp.sum(jnp.sin(fitted.params)), fitted.observed

    gradient = jax.jit(jax.value_and_grad(outer, (0, 1, 2), has_aux=True), static_argnums=3)
    (short, observed), short_gradient = gradient(MOMENTUM, START, BATCHES, 3, None)
    traces.clear()
    (long, long_observed), long_gradient = gradient(MOMENTUM, START, BATCHES, 5, 3)
    gradient(MOMENTUM, START, BATCHES, 5, 2)
    assert len(traces) == 1
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5)
    close(long, short)
    jax.tree.map(close, jax.tree.leaves(long_gradient), jax.tree.leaves(short_gradient))
    close(long_observed, jnp.stack([*observed, observed[-1], observed[-1]]))


def test_the_argument_of_fit_is_the_same_and_keeps_the_state_of_the_rule():
    whole = metaopt.fit(MOMENTUM, QUADRATIC, START, CURVATURE, steps=5)
    first = metaopt.fit(MOMENTUM, QUADRATIC, START, CURVATURE, steps=4, active_steps=2)
    rest = metaopt.fit(
        MOMENTUM, QUADRATIC, first.params, CURVATURE, steps=6, active_steps=3, state=first.state
    )
    np.testing.assert_allclose(rest.params, whole.params, rtol=1e-6)
    np.testing.assert_array_equal(first.losses[2:], [first.losses[2]] * 3)


def test_the_number_may_differ_within_a_vmap():
    sgd = metaopt.GradientDescent(optax.sgd(0.1))
    final = lambda active: (
        metaopt.fit(metaopt.ActiveSteps(sgd, active), QUADRATIC, START, CURVATURE, steps=3).params
    )
    together = jax.vmap(final)(jnp.array([0, 1, 3, 9]))
    expected = START * (1 - 0.1 * CURVATURE) ** jnp.array([0, 1, 3, 3])[:, None]
    np.testing.assert_allclose(together, expected, rtol=1e-6)
