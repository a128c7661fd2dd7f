"""A step is timed on the network that it says, and is a step."""

import jax
import numpy as np
import optax
import pytest

import metaopt
from experiments.benchmarks import optimizer_step


@pytest.mark.full
def test_the_suite_compares_with_adam():
    report = optimizer_step.run("smoke", 1)
    (row,) = report.comparisons
    assert row.case == {"layers": "6-5-3", "parameters": 6 * 5 + 5 + 5 * 3 + 3}
    assert set(row.times) == {"OrthogonalMLP", "LSTM", "Adam"}
    ratio = row.times["OrthogonalMLP"].minimum / row.times["Adam"].minimum
    np.testing.assert_allclose(row.numbers["OrthogonalMLP / Adam"], ratio)


def test_what_is_timed_is_a_step_with_its_gradient():
    rule = metaopt.GradientDescent(optax.sgd(0.1))
    timed = optimizer_step.measure({"SGD": rule}, "smoke", 1)["SGD"].output
    params, batch = optimizer_step._problem("smoke")
    gradient = jax.jit(jax.grad(optimizer_step._loss))(params, batch)
    plain = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
    for ours, leaf in zip(jax.tree.leaves(timed[0]), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(ours, leaf, rtol=1e-5)


def test_the_full_network_is_that_of_the_table():
    assert optimizer_step.size("full") == 266_610
