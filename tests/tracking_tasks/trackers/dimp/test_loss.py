"""DiMP's learned loss: the reference recursion, its parts, and its derivatives."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from tracking_tasks import labels
from tracking_tasks.trackers.dimp.loss import (
    DiscriminativeLoss,
    DiscriminativeLossConfig,
    FilterSamples,
    hinge_error,
)

distances = jax.jit(labels.distances, static_argnums=(1, 2))
evaluated = jax.jit(lambda loss, params, samples: loss(params, samples))


def reference_problem(case):
    """The closed-form inputs that the golden values belong to, channels last."""
    n, channels, side, k = case["n"], case["C"], case["H"], case["k"]
    i = np.arange(n * channels * side * side)
    features = np.sin(0.37 * i + 0.011 * (i % 97)).reshape(n, channels, side, side)
    features = features.transpose(0, 2, 3, 1) / np.sqrt(channels * k * k)
    start = 0.05 * np.cos(0.21 * np.arange(channels * k * k)).reshape(channels, k, k)
    t, s = np.arange(n), 16 * side
    x, y = 0.4 * s + 7 * np.sin(t), 0.4 * s + 5 * np.cos(2 * t)
    width, height = 0.2 * s, 0.2 * s + 3 * np.sin(3 * t)
    centers = np.stack([x + width / 2, y + height / 2], 1) / 16 - (0.5 if k % 2 else 0.0)
    weights = case["sample_weight"] or np.full(n, 1 / n)
    samples = FilterSamples(
        *(jnp.asarray(array, jnp.float32) for array in (features, centers, weights))
    )
    config = DiscriminativeLossConfig(
        label_sigma=case["sigma"], regularization=case["filter_reg"], bins=case["bins"]
    )
    objective = metaopt.LeastSquares(DiscriminativeLoss(config))
    return objective, jnp.asarray(start.transpose(1, 2, 0), jnp.float32), samples


def fitted(case, dtype):
    """The recursion on a case of the golden values, all numbers of that type."""
    number = lambda leaf: jnp.asarray(leaf, dtype)
    objective, params, samples = jax.tree.map(number, reference_problem(case))
    rule = metaopt.SteepestDescent(np.log(case["step"]))
    # Compiled as users have it: the recursion multiplies the rounding of the order of sums.
    fit = jax.jit(
        lambda params: metaopt.fit(rule, objective, params, samples, steps=case["iters"]),
        compiler_options={"xla_backend_optimization_level": 3},
    )
    return fit(params)


@pytest.mark.parametrize(
    "name", ["small_k4", "small_k5_weighted", pytest.param("dimp18", marks=pytest.mark.full)]
)
def test_steepest_descent_matches_the_reference_recursion(data_root, name):
    case = json.loads((data_root / "oracles/dimp_steepest_descent.json").read_text())[name]
    result = fitted(case, jnp.float32)
    # Their loss lacks the factor 1/2 that makes the gradient J'r.
    np.testing.assert_allclose(2 * result.losses, case["losses"], rtol=1e-5)
    # The ten steps of dimp18 multiply a rounding to 1.6e-5 of the filter's norm in float32.
    with jax.enable_x64(name == "dimp18"):
        if name == "dimp18":
            result = fitted(case, jnp.float64)
        np.testing.assert_allclose(jnp.sum(result.params**2), case["filter_sqnorm"], rtol=1e-5)
        values = result.params.transpose(2, 0, 1).ravel()
        scale = np.abs(values).max()
        np.testing.assert_allclose(values[:5], case["filter_first5"], rtol=0, atol=1e-5 * scale)
        np.testing.assert_allclose(values[-3:], case["filter_last3"], rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("small_k4", 5),
        ("small_k5_weighted", 3),
        pytest.param("dimp18", 4, marks=pytest.mark.full),
    ],
)
def test_step_lengths_match_the_reference(data_root, name, steps):
    """As far as float32 carries: each step multiplies a rounding error by about three.

    In float64 the last of the ten lengths of dimp18 still differs by 3e-4, from the rounding of
    the golden values' own constants.
    """
    case = json.loads((data_root / "oracles/dimp_steepest_descent.json").read_text())[name]
    objective, params, samples = reference_problem(case)
    rule = metaopt.SteepestDescent(np.log(case["step"]))
    step = jax.jit(lambda params, state: rule.step(objective, params, state, samples))
    state, lengths = rule.init(params), []
    for _ in range(steps):
        params, state = step(params, state)
        lengths.append(state.step_length)
    np.testing.assert_allclose(lengths, case["alphas"][:steps], rtol=1e-5)


def test_initial_functions_have_their_closed_forms():
    loss = DiscriminativeLoss(DiscriminativeLossConfig())
    distance = jnp.array([0.0, 0.9, 5.0, 40.0])
    label, mask, weight = loss.maps(distance)
    gaussian = np.exp(-0.5 * (np.minimum(distance, 9.9) / 0.9) ** 2)
    np.testing.assert_allclose(label, gaussian, atol=1e-6)
    expected = 1 / (1 + np.exp(-3 * np.tanh(2 - np.minimum(distance, 9.9))))
    np.testing.assert_allclose(mask, expected, atol=1e-6)
    np.testing.assert_allclose(weight, 1.0)


def test_a_mask_of_one_is_least_squares_and_of_zero_a_hinge():
    config = DiscriminativeLossConfig(bins=2, regularization=0.0)
    loss = DiscriminativeLoss(config)
    loss.label[...] = jnp.zeros(2)
    features = jnp.array([[[[1.0], [-2.0]]]])
    samples = FilterSamples(features, jnp.zeros((1, 2)), jnp.ones(1))
    for logit, expected in [(40.0, [1.0, -2.0]), (-40.0, [1.0, 0.0])]:
        loss.mask[...] = jnp.full(2, logit)
        residuals, _ = evaluated(loss, jnp.ones((1, 1, 1)), samples)
        np.testing.assert_allclose(residuals[0, 0], expected, atol=1e-6)


def test_the_regularizer_keeps_its_lower_bound():
    loss = DiscriminativeLoss(DiscriminativeLossConfig(regularization=0.0))
    samples = FilterSamples(jnp.zeros((1, 3, 3, 1)), jnp.zeros((1, 2)), jnp.ones(1))
    np.testing.assert_allclose(evaluated(loss, jnp.full((1, 1, 1), 2.0), samples)[1], 2e-3)


def test_hinge_error_regresses_the_target_and_only_bounds_the_background():
    scores, label = jnp.array([0.5, -0.5, 0.7, -0.7]), jnp.array([1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(hinge_error(scores, label, 0.05), [-0.5, -1.5, 0.7, 0.0])


def test_radial_functions_interpolate_between_knots_and_are_constant_after_the_last():
    coefficients = jnp.array([1.0, 3.0, 2.0])
    distance = jnp.array([0.0, 0.05, 0.1, 0.15, 0.2, 7.0])
    values = jax.jit(labels.radial, static_argnums=2)(coefficients, distance, 0.1)
    np.testing.assert_allclose(values, [1.0, 2.0, 3.0, 2.5, 2.0, 2.0], rtol=1e-5)


def test_distances_are_euclidean_with_a_finite_derivative_at_the_centre():
    center = jnp.array([1.0, 0.0])
    distance = distances(center, 2, 3)
    np.testing.assert_allclose(distance, [[1, 0, 1], [2**0.5, 1, 2**0.5]], atol=1e-5)
    slope = jax.jacobian(distances)(center, 2, 3)
    assert jnp.isfinite(slope).all()
