"""The implicit derivative: solvers, what they report, and where it cannot be right."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from tests.products import chosen

MATRIX = jnp.array([[2.0, 0.3], [0.3, 1.0]])
WANTED = np.linalg.solve(np.asarray(MATRIX), np.ones(2))
SGD = metaopt.GradientDescent(optax.sgd(0.3))


SOLVERS = ["cg", "bicgstab", "gmres", "neumann", "dense"]


def quadratic(theta):
    return metaopt.ScalarLoss(lambda p, _: 0.5 * p @ MATRIX @ p - theta * jnp.sum(p))


@pytest.mark.parametrize(("solver",), chosen(zip(SOLVERS), [("cg",), ("dense",)]))
def test_every_solver_gives_the_derivative_of_the_minimizer(solver):
    adjoint = metaopt.Implicit(solver=solver, rate=0.4, unconverged="raise")
    final = lambda theta: (
        metaopt.fit(SGD, quadratic(theta), jnp.zeros(2), (), steps=60, adjoint=adjoint).params
    )
    for derivative in (jax.jacrev, jax.jacfwd):
        np.testing.assert_allclose(jax.jit(derivative(final))(1.0), WANTED, rtol=1e-4)


def test_a_second_derivative_knows_that_the_minimum_moves():
    """The minimum of p^4 / 4 - theta p is theta^(1/3)."""
    cubic = lambda theta: metaopt.ScalarLoss(lambda p, _: p**4 / 4 - theta * p)
    final = lambda theta: (
        metaopt.fit(
            metaopt.GradientDescent(optax.sgd(0.1)), cubic(theta), jnp.array(1.0), (), steps=80,
            adjoint=metaopt.Implicit(),
        ).params
    )  # fmt: skip
    theta = 2.0
    first = jax.jit(jax.grad(final))(theta)
    np.testing.assert_allclose(first, theta ** (-2 / 3) / 3, rtol=1e-4)
    second = jax.jit(jax.grad(jax.grad(final)))(theta)
    np.testing.assert_allclose(second, -2 / 9 * theta ** (-5 / 3), rtol=1e-3)


class Skewed(metaopt.Objective):
    """A field that is no gradient: its Jacobian is not symmetric."""

    theta: jax.Array

    def loss(self, params, batch):
        return jnp.sum(params**2)

    def gradient(self, params, batch):
        return jnp.array([[1.0, 0.8], [-0.8, 1.0]]) @ params - self.theta


@pytest.mark.parametrize(
    "solver", ["bicgstab", pytest.param("gmres", marks=pytest.mark.full), "dense"]
)
def test_a_curvature_that_is_not_symmetric(solver):
    if solver == "dense":  # taken for symmetric in reverse mode
        pytest.skip("dense is for symmetric curvature")
    adjoint = metaopt.Implicit(solver=solver, unconverged="ignore")
    final = lambda theta: (
        metaopt.fit(SGD, Skewed(theta), jnp.zeros(2), (), steps=50, adjoint=adjoint).params
    )
    expected = np.linalg.inv([[1.0, 0.8], [-0.8, 1.0]])
    theta = jnp.array([1.0, 2.0])
    for derivative in (jax.jacrev, jax.jacfwd):
        np.testing.assert_allclose(jax.jit(derivative(final))(theta), expected, atol=1e-4)


SPREAD = jnp.logspace(0, 3, 8)


def spread(theta):
    return metaopt.ScalarLoss(lambda p, _: 0.5 * jnp.sum(SPREAD * p**2) - theta * jnp.sum(p))


class AtMinimum(metaopt.InnerOptimizer):
    def init(self, params):
        return ()

    def step(self, objective, params, state, batch):
        return 1 / SPREAD, state


def slope(adjoint, rule=None):
    final = lambda theta: metaopt.fit(
        rule or AtMinimum(), spread(theta), jnp.zeros(8), (), steps=1, adjoint=adjoint
    ).params.sum()
    value = jax.jit(jax.grad(final))(1.0)
    jax.effects_barrier()
    return value


def test_a_solve_that_has_not_converged_is_said():
    with pytest.warns(metaopt.ConvergenceWarning, match=r"\(cg\) has not converged.*3 iterations"):
        slope(metaopt.Implicit(max_iterations=3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(slope(metaopt.Implicit()), jnp.sum(1 / SPREAD), rtol=1e-4)
        slope(metaopt.Implicit(max_iterations=3, unconverged="ignore"))


def test_it_may_be_an_error():
    with pytest.raises(Exception, match="has not converged: relative residual"):
        slope(metaopt.Implicit(max_iterations=3, unconverged="raise"))


def test_a_fit_that_is_not_at_a_minimum_is_said():
    one_step = metaopt.GradientDescent(optax.sgd(1e-4))
    with pytest.warns(metaopt.ConvergenceWarning, match="inner fit is not at a minimum"):
        slope(metaopt.Implicit(), one_step)


def test_the_report_is_to_be_had_as_values_inside_of_jit():
    @jax.jit
    def report(iterations_left):
        few = metaopt.Implicit(max_iterations=3)
        return few.report(spread(1.0), 1 / SPREAD, (), jnp.ones(8) * iterations_left)

    few = report(1.0)
    assert few.iterations == 3 and not few.converged and few.residual > 1e-2
    enough = metaopt.Implicit().report(spread(1.0), 1 / SPREAD, (), jnp.ones(8))
    assert enough.converged and enough.residual < 1e-5 and 8 <= enough.iterations < 40


def test_conjugate_gradients_pass_negative_curvature_and_end_where_there_is_none():
    """At a saddle there is a solution; where the curvature along the way is zero there is none."""
    saddle = metaopt.ScalarLoss(lambda p, _: 0.5 * (p[0] ** 2 - p[1] ** 2))
    report = metaopt.Implicit().report(saddle, jnp.zeros(2), (), jnp.array([1.0, 2.0]))
    assert report.converged and report.iterations == 2
    report = metaopt.Implicit().report(saddle, jnp.zeros(2), (), jnp.array([1.0, 1.0]))
    assert not report.converged and report.iterations == 1 and jnp.isfinite(report.residual)


def test_fit_until_has_the_derivative_of_the_minimizer():
    done = lambda theta: lambda p: jnp.linalg.norm(MATRIX @ p - theta) < 1e-5
    final = lambda theta: (
        metaopt.fit_until(
            SGD, quadratic(theta), jnp.zeros(2), (), converged=done(theta), max_steps=200
        ).params
    )
    np.testing.assert_allclose(jax.jit(jax.jacrev(final))(1.0), WANTED, rtol=1e-3)
    np.testing.assert_allclose(jax.jit(jax.jacfwd(final))(1.0), WANTED, rtol=1e-3)
    solver = metaopt.Implicit(solver="dense")
    batch = lambda theta: (
        metaopt.fit_until(
            SGD, metaopt.ScalarLoss(lambda p, b: 0.5 * jnp.sum((p - b) ** 2)), jnp.zeros(2),
            jnp.array([theta, 1.0]), converged=lambda p: jnp.array(False), max_steps=60,
            adjoint=solver,
        ).params
    )  # fmt: skip
    np.testing.assert_allclose(jax.jit(jax.jacrev(batch))(3.0), [1.0, 0.0], atol=1e-5)
