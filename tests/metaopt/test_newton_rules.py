"""Damped Gauss-Newton and Levenberg-Marquardt: closed forms, textbook problems, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from tests.products import chosen

A = np.random.default_rng(0).normal(size=(6, 3))
B = np.random.default_rng(1).normal(size=6)
START = np.array([0.3, -0.2, 0.5])


def line(p, scale):
    return scale * (jnp.asarray(A, p.dtype) @ p - jnp.asarray(B, p.dtype))


LINEAR = metaopt.LeastSquares(line)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def step_by_hand(damping):
    """Solves (Q + damping g'Qg / g'g I) d = -g by a dense factorization."""
    matrix, gradient = A.T @ A, A.T @ (A @ START - B)
    relative = damping * (gradient @ matrix @ gradient) / (gradient @ gradient)
    return START - np.linalg.solve(matrix + relative * np.eye(3), gradient)


@pytest.mark.parametrize("damping", [1e-6, 0.1, 10.0])
@pytest.mark.parametrize("composite", [False, True])
def test_a_gauss_newton_step_is_that_of_the_dense_system(damping, composite, float64):
    objective = metaopt.CompositeLoss(line, lambda z, b: 0.5 * jnp.sum(z**2))
    objective = objective if composite else LINEAR
    rule = metaopt.GaussNewton(damping)
    moved = metaopt.fit(rule, objective, jnp.asarray(START), 1.0, steps=1).params
    np.testing.assert_allclose(moved, step_by_hand(damping), rtol=1e-9)


def test_the_damping_is_a_meta_parameter(float64):
    moved = lambda log_damping: (
        metaopt.fit(
            metaopt.GaussNewton().replace(log_damping=log_damping), LINEAR, jnp.asarray(START),
            1.0, steps=1,
        ).params
    )  # fmt: skip
    e = 1e-6
    slope = (step_by_hand(np.exp(-1 + e)) - step_by_hand(np.exp(-1 - e))) / (2 * e)
    for derivative in (jax.jacrev, jax.jacfwd):
        np.testing.assert_allclose(jax.jit(derivative(moved))(-1.0), slope, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1.0, 1e3, 1e12])
@pytest.mark.parametrize("rule", [metaopt.GaussNewton(), metaopt.LevenbergMarquardt()], ids=str)
def test_the_scale_of_the_residuals_does_not_matter(rule, scale):
    fit = lambda scale: metaopt.fit(rule, LINEAR, jnp.asarray(START), scale, steps=2).params
    np.testing.assert_allclose(fit(scale), fit(1.0), rtol=1e-4)


def rosenbrock(p, _):
    return jnp.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])


def helical_valley(p, _):
    angle = jnp.arctan2(p[1], p[0]) / (2 * jnp.pi)
    radius = jnp.sqrt(p[0] ** 2 + p[1] ** 2)
    return jnp.stack([10 * (p[2] - 10 * angle), 10 * (radius - 1), p[2]])


def powell_singular(p, _):
    return jnp.stack([
        p[0] + 10 * p[1], jnp.sqrt(5.0) * (p[2] - p[3]), (p[1] - 2 * p[2]) ** 2,
        jnp.sqrt(10.0) * (p[0] - p[3]) ** 2,
    ])  # fmt: skip


def kowalik_osborne(p, _):
    u = jnp.array([4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    v = jnp.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627,
                   0.0456, 0.0342, 0.0323, 0.0235, 0.0246])  # fmt: skip
    return v - p[0] * (u**2 + u * p[1]) / (u**2 + u * p[2] + p[3])


# Residuals, start and the least sum of squares: More, Garbow and Hillstrom 1981, problems 1, 7, 13
# and 15 (the last to more digits as NIST's MGH09); jaxopt and optimistix take theirs from there.
TEXTBOOK = {
    "rosenbrock": (rosenbrock, [-1.2, 1.0], 0.0),
    "helical valley": (helical_valley, [-1.0, 0.0, 0.0], 0.0),
    "powell singular": (powell_singular, [3.0, -1.0, 0.0, 1.0], 0.0),
    "kowalik and osborne": (kowalik_osborne, [0.25, 0.39, 0.415, 0.39], 3.0750560385e-4),
}


@pytest.mark.parametrize(
    ("problem",), chosen(zip(TEXTBOOK), [("helical valley",), ("kowalik and osborne",)])
)
def test_levenberg_marquardt_reaches_the_textbook_minimum_and_never_climbs(problem, float64):
    residuals, start, least = TEXTBOOK[problem]
    objective = metaopt.LeastSquares(residuals)
    rule = metaopt.LevenbergMarquardt()
    fitted = metaopt.fit(rule, objective, jnp.array(start), (), steps=60)
    np.testing.assert_allclose(2 * fitted.losses[-1], least, rtol=1e-5, atol=1e-9)
    assert (jnp.diff(fitted.losses) <= 0).all()


def test_rejected_steps_are_counted_and_leave_the_params(float64):
    """From far the undamped step of Rosenbrock's valley climbs."""
    rule = metaopt.LevenbergMarquardt(1e-8)
    fitted = metaopt.fit(
        rule, metaopt.LeastSquares(rosenbrock), jnp.array([-1.2, 1.0]), (), steps=1
    )
    np.testing.assert_array_equal(fitted.params, [-1.2, 1.0])
    assert fitted.state.rejected == 1 and fitted.state.growth == 4
    hand = np.array([[24.0, 10.0], [-1.0, 0.0]])
    gradient = hand.T @ np.array([-4.4, 2.2])
    curvature = np.sum((hand @ gradient) ** 2) / (gradient @ gradient)
    np.testing.assert_allclose(fitted.state.damping, 2e-8 * curvature, rtol=1e-6)


@pytest.mark.full
def test_levenberg_marquardt_is_differentiable_through_its_gains(float64):
    @jax.jit
    def final(log_damping, start):
        rule = metaopt.LevenbergMarquardt().replace(log_damping=log_damping)
        fitted = metaopt.fit(rule, metaopt.LeastSquares(rosenbrock), start, (), steps=4)
        return fitted.params.sum()

    x, start, e = np.log(0.01), jnp.array([-1.2, 1.0]), 1e-6
    slope = (final(x + e, start) - final(x - e, start)) / (2 * e)
    by_damping, by_start = jax.jit(jax.grad(final, (0, 1)))(x, start)
    np.testing.assert_allclose(by_damping, slope, rtol=1e-5)
    v = jnp.array([0.3, -0.4])
    along = (final(x, start + e * v) - final(x, start - e * v)) / (2 * e)
    np.testing.assert_allclose(by_start @ v, along, rtol=1e-5)


@pytest.mark.parametrize(
    "rule",
    [pytest.param(metaopt.GaussNewton(), marks=pytest.mark.full), metaopt.LevenbergMarquardt()],
    ids=str,
)
def test_a_batch_of_fits_is_the_fits_one_by_one(rule, float64):
    objective = metaopt.LeastSquares(rosenbrock)
    fit = lambda start: metaopt.fit(rule, objective, start, (), steps=5).params
    starts = jnp.array([[-1.2, 1.0], [0.5, 0.5], [2.0, -1.0]])
    together = jax.vmap(fit)(starts)
    np.testing.assert_allclose(together, jnp.stack([fit(s) for s in starts]), rtol=1e-9, atol=1e-9)


@pytest.mark.full
def test_the_first_order_derivative_leaves_the_curvature_out(float64):
    """Under FirstOrder the step is a constant but for the damping; values stay."""
    moved = lambda log_damping, adjoint: (
        metaopt.fit(
            metaopt.GaussNewton().replace(log_damping=log_damping), LINEAR, jnp.asarray(START),
            1.0, steps=1, adjoint=adjoint,
        ).params
    )  # fmt: skip
    first = moved(-1.0, metaopt.FirstOrder())
    np.testing.assert_allclose(first, step_by_hand(np.exp(-1)), rtol=1e-9)
    slope = jax.jit(jax.jacrev(moved), static_argnums=1)
    exact = slope(-1.0, metaopt.Unrolled())
    np.testing.assert_allclose(slope(-1.0, metaopt.FirstOrder()), exact, rtol=1e-6)


def test_example_weights_of_zero_have_exact_derivatives():
    """-rate times the products of each example's gradient with that of the clean loss."""
    x = jax.random.normal(jax.random.key(0), (6, 3))
    clean = lambda p: jnp.sum((p - 1.0) ** 2)
    start = jnp.array([0.1, 0.2, 0.3])
    y = x.sum(1) + 0.3
    each = lambda p: 0.5 * (x @ p - y) ** 2
    rule = metaopt.LearnedRates(start, steps=1, initial_rate=0.1)

    def after(weights):
        objective = metaopt.LeastSquares(lambda p, _: x @ p - y, weights=weights)
        return clean(metaopt.fit(rule, objective, start, (), steps=1).params)

    wanted = -0.1 * jax.jacobian(each)(start) @ jax.grad(clean)(start)
    np.testing.assert_allclose(jax.jit(jax.grad(after))(jnp.zeros(6)), wanted, rtol=1e-4)


def test_weights_weigh_loss_gradient_and_curvature():
    weights = np.array([1.0, 0.0, 2.0, 0.5, 3.0, 0.0])
    objective = metaopt.LeastSquares(line, weights=weights)
    residual = A @ START - B
    np.testing.assert_allclose(
        objective.loss(jnp.asarray(START), 1.0), 0.5 * np.sum(weights * residual**2), rtol=1e-5
    )
    gradient, curvature = objective.quadratic(jnp.asarray(START), 1.0)
    np.testing.assert_allclose(gradient, A.T @ (weights * residual), rtol=1e-4, atol=1e-5)
    v = jnp.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(curvature(v), np.sum(weights * (A @ v) ** 2), rtol=1e-5)
