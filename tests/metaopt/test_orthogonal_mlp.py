"""The learned optimizer for any network: its formula, and what scaling must not change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from metaopt.optimizers._orthogonal import orthogonal
from metaopt.optimizers._tensors import Observed, corrected
from metaopt.optimizers.orthogonal_mlp import _deviation

TARGET = {"w": jnp.array([[1.0, -2.0, 0.5], [1.0, 1.0, -1.0]]), "b": jnp.array([0.5, -0.5, 2.0])}
START = {"w": jnp.array([[0.2, 0.1, -0.3], [0.4, -0.2, 0.1]]), "b": jnp.zeros(3)}


def distance(params, target):
    parts = jax.tree.map(lambda p, t: jnp.sum((p - t) ** 4), params, target)
    return sum(jax.tree.leaves(parts))


def moved(rule, params, objective=None, steps=1, batch=TARGET):
    return metaopt.fit(
        rule, objective or metaopt.ScalarLoss(distance), params, batch, steps=steps
    ).params


def busy(steps=8.0, seed=3):
    """A rule whose networks say something, as a trained one's do."""
    rule = metaopt.OrthogonalMLP(steps, rate=0.1)
    leaves, structure = jax.tree.flatten(rule)
    random = np.random.default_rng(seed)
    noisy = [p + jnp.asarray(random.normal(0, 0.1, p.shape), jnp.float32) for p in leaves]
    return jax.tree.unflatten(structure, noisy).replace(steps=rule.steps)


def test_the_first_step_of_the_untrained_rule_follows_the_signs():
    """All moments are then the gradient itself, so the direction is its sign."""
    rule = metaopt.OrthogonalMLP(10.0, rate=0.2)
    scale = float(jnp.sqrt(jnp.mean(START["w"] ** 2)))  # that of the zero bias too
    squares = lambda p, t: sum(jnp.sum((p[name] - t[name]) ** 2) for name in p)
    after = moved(rule, START, metaopt.ScalarLoss(squares))
    sign = jax.tree.map(lambda p, t: jnp.sign(p - t), START, TARGET)
    along_bias = float(jnp.exp(rule.base[0, 1])) * scale / 2**0.5  # the rms is 1
    np.testing.assert_allclose(after["b"], -along_bias * sign["b"], rtol=1e-4)
    direction = 0.2 * orthogonal(sign["w"]) + 0.02 / 2**0.5 * sign["w"]
    np.testing.assert_allclose(after["w"], START["w"] - scale * direction, rtol=1e-4)


def sizes(rule, signs):
    """The steps of a vector of scale 1 down a slope that points up or down, a sign a step."""
    slope = metaopt.ScalarLoss(lambda p, sign: sign * p["b"].sum())
    params, signs = {"b": jnp.array([1.0, -1.0])}, jnp.array(signs)
    fitted = metaopt.fit(
        rule, slope, params, batches=signs, steps=len(signs), observe=lambda p: p["b"][0]
    )
    return -jnp.diff(fitted.observed) / (jnp.exp(rule.base[0, 1]) / 2**0.5)


def test_steps_shrink_in_a_line_and_rest_at_the_end():
    rule = metaopt.OrthogonalMLP(4.0, rate=0.1).replace(pacing=jnp.float32(0))
    np.testing.assert_allclose(sizes(rule, [1.0] * 6), [1, 0.75, 0.5, 0.25, 0, 0], atol=1e-5)


@pytest.mark.parametrize(("steps", "expected"), [(50.0, 1.0), (100.0, 1.0), (1600.0, 0.5)])
def test_longer_trainings_have_shorter_steps(steps, expected):
    """By the fourth root of their number over 100."""
    rule = metaopt.OrthogonalMLP(steps, rate=0.1)
    np.testing.assert_allclose(sizes(rule, [1.0]), [expected], rtol=1e-5)


def test_slower_momenta_have_their_shares_in_the_direction():
    """Of a slope that is turned around after its first step, each in closed form."""
    shares, decays = jnp.array([0.5, -0.25]), jnp.array([0.9, 0.99, 0.999])
    rule = metaopt.OrthogonalMLP(1e9, rate=0.1).replace(shortening=jnp.float32(0))
    rule = rule.replace(base=rule.base.at[:, 2:].set(shares), pacing=jnp.float32(0))
    turned = -(1 - decays) / (1 + decays)  # (decay - 1) / (1 + decay) of +1, -1, free of bias
    second = 0.9 * turned[0] - 0.1 + shares @ turned[1:]
    directions = jnp.array([1 + shares.sum(), second])
    expected = directions / jnp.sqrt((1 + directions**2) / 2)
    np.testing.assert_allclose(sizes(rule, [1.0, -1.0]), expected, rtol=1e-4)


def test_the_pace_grows_to_three_while_gradients_agree_and_falls_to_a_third():
    """With momenta as short as they can be, so that each step follows the last gradient."""
    rule = metaopt.OrthogonalMLP(1e9, rate=0.1).replace(shortening=jnp.float32(0))
    rule = rule.replace(momentum_logits=jnp.full(3, -20.0), square_logit=jnp.float32(-20))
    growing = np.minimum(np.exp(0.1 * np.arange(14)), 3)
    np.testing.assert_allclose(sizes(rule, [1.0] * 14), growing, rtol=1e-3)
    signs = (-1.0) ** np.arange(14)
    falling = np.maximum(np.exp(-0.1 * np.arange(14)), 1 / 3)
    np.testing.assert_allclose(sizes(rule, signs), signs * falling, rtol=1e-3)


def test_orthogonal_keeps_singular_vectors_and_brings_singular_values_together():
    """Two polynomials of the singular values, in float64; those over the largest are 0.1 to 1."""
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.normal(size=(n, 3)))[0] for n in (5, 4))
    singular = np.array([1.0, 0.6, 0.1])
    matrix = 7.0 * (left * singular) @ right.T
    values = singular / (singular**4).sum() ** 0.25
    for a, b, c in ((7.0441, -19.4937, 14.1690), (2.7004, -2.0091, 0.4562)):
        values = a * values + b * values**3 + c * values**5
    assert abs(values - 1).max() < 0.29
    expected = (left * values) @ right.T
    expected /= np.sqrt((expected**2).mean())
    result = orthogonal(jnp.asarray(matrix, jnp.float32))
    np.testing.assert_allclose(result, expected, atol=1e-5)
    np.testing.assert_allclose(orthogonal(jnp.asarray(matrix.T, jnp.float32)), result.T, atol=1e-5)


@pytest.mark.parametrize("factor", [pytest.param(1e-3, marks=pytest.mark.full), 1e3])
def test_parameters_of_any_scale_are_trained_alike(factor):
    rule, plain = busy(), moved(busy(), START, steps=8)
    stretched = metaopt.ScalarLoss(
        lambda p, t: distance(jax.tree.map(lambda leaf: leaf / factor, p), t)
    )
    after = moved(rule, jax.tree.map(lambda leaf: leaf * factor, START), stretched, steps=8)
    for name in START:
        np.testing.assert_allclose(after[name] / factor, plain[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("factor", [pytest.param(1e-4, marks=pytest.mark.full), 1e4])
def test_losses_of_any_scale_are_minimized_alike(factor):
    scaled = metaopt.ScalarLoss(lambda p, t: factor * distance(p, t))
    rule, plain = busy(), moved(busy(), START, steps=8)
    for name, leaf in moved(rule, START, scaled, steps=8).items():
        np.testing.assert_allclose(leaf, plain[name], rtol=1e-3, atol=1e-5)


def test_what_starts_at_zero_moves():
    zeros = jax.tree.map(jnp.zeros_like, START)
    after = moved(metaopt.OrthogonalMLP(20.0, rate=0.3), zeros, steps=20)
    assert distance(after, TARGET) < 0.5 * distance(zeros, TARGET)


@pytest.mark.full
def test_leading_axes_count_as_one():
    rule = busy()
    folded = lambda p: {"w": p["w"].reshape(2, 2, 3), "b": p["b"]}
    larger = {"w": jnp.concatenate([START["w"]] * 2), "b": START["b"]}
    target = {"w": jnp.concatenate([TARGET["w"], -TARGET["w"]]), "b": TARGET["b"]}
    flat = moved(rule, larger, steps=5, batch=target)
    deep = moved(rule, folded(larger), steps=5, batch=folded(target))
    np.testing.assert_allclose(deep["w"].reshape(4, 3), flat["w"], rtol=1e-4)


def test_every_meta_parameter_changes_the_training():
    rule = busy(steps=200.0)
    plain = jax.flatten_util.ravel_pytree(moved(rule, START, steps=8))[0]
    leaves, structure = jax.tree.flatten(rule)
    for index, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(rule)):
        other = [*leaves[:index], 1.1 * leaf + 0.05, *leaves[index + 1 :]]
        after = moved(jax.tree.unflatten(structure, other), START, steps=8)
        difference = jax.flatten_util.ravel_pytree(after)[0] - plain
        assert np.abs(difference).max() > 1e-5, path


@pytest.mark.full
def test_every_meta_parameter_has_a_finite_gradient():
    rule = busy(steps=200.0)
    flat, unravel = jax.flatten_util.ravel_pytree(rule)
    after = jax.jit(lambda flat: distance(moved(unravel(flat), START, steps=4), TARGET))
    gradient = unravel(jax.jit(jax.grad(after))(flat))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert jnp.isfinite(leaf).all() and (leaf != 0).any(), path


@pytest.mark.parametrize(
    "alive", [[[1, 1, 1], [1, 1, 1]], [[1, 0, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
)
def test_what_never_had_a_gradient_leaves_the_derivatives_small(alive):
    """Products of a row's and a column's share, both near 0, have derivatives beyond float32."""
    alive = jnp.array(alive)
    slope = jnp.array([[1.0, -2.0, 0.5], [0.3, 1.0, -1.0]])
    rule = busy()

    def corrections(slope):
        slope = jnp.where(alive, slope, jnp.zeros_like(slope))
        deviation = _deviation(slope**2)
        momenta, direction = jnp.stack([slope] * 3), slope / deviation
        return corrected(
            rule.network, [Observed(START["w"], slope, momenta, deviation, direction)]
        )[0].sum()

    gradient = jax.grad(corrections)(slope)
    assert jnp.abs(gradient).max() < 10 and (gradient[alive == 0] == 0).all()


@pytest.mark.full
def test_a_gradient_that_is_zero_at_first_leaves_no_nan():
    """As that of what comes before a filter of zeros."""
    keys = jax.random.split(jax.random.key(0), 3)
    first, x, y = (jax.random.normal(key, (6, 4)) for key in keys)
    start = {"first": first.T, "filter": jnp.zeros((6, 4))}
    product = metaopt.ScalarLoss(lambda p, _: jnp.mean((x @ p["first"] @ p["filter"] - y) ** 2))
    assert (product.gradient(start, ())["first"] == 0).all()
    after = jax.jit(
        jax.value_and_grad(lambda both: product.loss(moved(*both, product, 4, ()), ()), 0)
    )
    value, gradient = after((busy(), start))
    assert value < product.loss(start, ())
    for leaf in jax.tree.leaves(gradient):
        assert jnp.isfinite(leaf).all() and jnp.abs(leaf).max() < 1e4
