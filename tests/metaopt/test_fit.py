"""The inner loop: values on a quadratic, derivatives against finite differences, contracts."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from tests.products import chosen

RATE, CURVATURE, START = 0.1, jnp.array([1.0, 3.0]), jnp.array([2.0, -1.0])
QUADRATIC = metaopt.ScalarLoss(lambda params, batch: 0.5 * jnp.sum(batch * params**2))


def sgd(rate):
    return metaopt.GradientDescent(optax.inject_hyperparams(optax.sgd)(learning_rate=rate))


def test_gradient_descent_on_a_quadratic_has_its_closed_form():
    result = metaopt.fit(sgd(RATE), QUADRATIC, START, CURVATURE, steps=4)
    decay = 1 - RATE * CURVATURE
    np.testing.assert_allclose(result.params, START * decay**4, rtol=1e-6)
    iterates = [START * decay**k for k in range(5)]
    losses = [0.5 * jnp.sum(CURVATURE * iterate**2) for iterate in iterates]
    np.testing.assert_allclose(result.losses, losses, rtol=1e-6)


def test_meta_gradient_of_gradient_descent_has_its_closed_form():
    def final(rate, start):
        return metaopt.fit(sgd(RATE).replace(hyperparams={"learning_rate": rate}), QUADRATIC, start,
                           CURVATURE, steps=4).params.sum()  # fmt: skip

    by_rate, by_start = jax.grad(final, (0, 1))(RATE, START)
    decay = 1 - RATE * CURVATURE
    np.testing.assert_allclose(by_rate, jnp.sum(-4 * CURVATURE * START * decay**3), rtol=1e-5)
    np.testing.assert_allclose(by_start, decay**4, rtol=1e-5)


def test_observe_sees_the_initial_params_and_every_iterate():
    result = metaopt.fit(sgd(RATE), QUADRATIC, START, CURVATURE, steps=3, observe=lambda p: p[1])
    np.testing.assert_allclose(result.observed, START[1] * 0.7 ** np.arange(4), rtol=1e-6)


def test_batches_feed_one_slice_a_step_and_the_last_loss_is_on_the_last():
    batches = jnp.stack([CURVATURE, 2 * CURVATURE])
    result = metaopt.fit(sgd(RATE), QUADRATIC, START, batches=batches, steps=2)
    middle = START * (1 - RATE * CURVATURE)
    final = middle * (1 - 2 * RATE * CURVATURE)
    np.testing.assert_allclose(result.params, final, rtol=1e-6)
    expected = [0.5 * jnp.sum(CURVATURE * START**2), jnp.sum(CURVATURE * middle**2),
                jnp.sum(CURVATURE * final**2)]  # fmt: skip
    np.testing.assert_allclose(result.losses, expected, rtol=1e-6)


def test_a_fit_goes_on_from_a_state():
    adam = metaopt.GradientDescent(optax.adam(0.1))
    whole = metaopt.fit(adam, QUADRATIC, START, CURVATURE, steps=5)
    first = metaopt.fit(adam, QUADRATIC, START, CURVATURE, steps=2)
    rest = metaopt.fit(adam, QUADRATIC, first.params, CURVATURE, steps=3, state=first.state)
    np.testing.assert_array_equal(whole.params, rest.params)


def test_zero_steps_return_the_initial_params():
    result = metaopt.fit(sgd(RATE), QUADRATIC, START, CURVATURE, steps=0, observe=lambda p: p)
    np.testing.assert_array_equal(result.params, START)
    assert result.losses.shape == (1,) and result.observed.shape == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 2}, "exactly one"),
        ({"batch": CURVATURE, "batches": CURVATURE[None], "steps": 1}, "exactly one"),
        ({"batches": jnp.ones((3, 2)), "steps": 2}, "leading axis of length steps = 2"),
        ({"batch": CURVATURE, "steps": -1}, "not -1"),
    ],
)
def test_wrong_arguments_raise_a_sentence(arguments, message):
    with pytest.raises(ValueError, match=message):
        metaopt.fit(sgd(RATE), QUADRATIC, START, **arguments)


def test_steepest_descent_on_a_scalar_loss_names_what_would_do():
    with pytest.raises(TypeError, match=r"ScalarLoss has none.*LeastSquares"):
        metaopt.fit(metaopt.SteepestDescent(), QUADRATIC, START, CURVATURE, steps=1)


def residuals(params, batch):
    inputs, targets = batch
    return {
        "data": jnp.tanh(inputs @ params["w"] + params["b"]) - targets,
        "reg": 0.3 * params["w"],
    }


def problem(dtype):
    keys = jax.random.split(jax.random.key(0), 4)
    params = {
        "w": jax.random.normal(keys[0], (3,), dtype),
        "b": jax.random.normal(keys[1], (), dtype),
    }
    batch = jax.random.normal(keys[2], (5, 3), dtype), jax.random.normal(keys[3], (5,), dtype)
    return params, batch


OBJECTIVES = {
    "scalar": metaopt.ScalarLoss(
        lambda p, b: 0.5 * sum(jnp.sum(r**2) for r in jax.tree.leaves(residuals(p, b)))
    ),
    "least_squares": metaopt.LeastSquares(residuals),
    "composite": metaopt.CompositeLoss(
        residuals, lambda r, b: 0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(r))
    ),
}
NEED_CURVATURE = ("steepest_descent", "gauss_newton", "levenberg_marquardt")
CASES = [
    (rule, objective, remat)
    for rule in metaopt.optimizers.names()
    for objective in OBJECTIVES
    for remat in (True, False)
    if objective != "scalar" or rule not in NEED_CURVATURE
]


# A case of each kind of rule, of each objective, with rematerialization and without.
TAKEN = [
    ("gradient_descent", "scalar", True),
    ("lstm", "scalar", False),
    ("steepest_descent", "least_squares", True),
    ("learned_rates", "composite", False),
]


@pytest.mark.parametrize(("rule", "objective", "remat"), chosen(CASES, TAKEN))
def test_gradients_through_fit_match_finite_differences(rule, objective, remat):
    """In float64, with respect to the rule's leaves, the initial params and the batch."""
    with jax.enable_x64(True):
        params, batch = problem(jnp.float64)
        optimizer = metaopt.optimizers.make(rule, params, steps=3, rate=0.05)

        def outer(arguments):
            optimizer, params, batch = arguments
            fitted = metaopt.fit(
                optimizer, OBJECTIVES[objective], params, batch, steps=3,
                adjoint=metaopt.Unrolled(remat=remat), observe=lambda p: p["w"],
            )  # fmt: skip
            return jnp.sum(fitted.observed**2) + fitted.losses.sum()

        arguments = (optimizer, params, batch)
        flat, unravel = jax.flatten_util.ravel_pytree(arguments)
        both = jax.jit(jax.value_and_grad(lambda vector: outer(unravel(vector))))
        function = lambda vector: both(vector)[0]
        _, gradient = both(flat)
        direction = jax.random.normal(jax.random.key(1), flat.shape, flat.dtype)
        along = lambda h: function(flat + h * direction) - function(flat - h * direction)
        h = 1e-5
        numeric = (8 * along(h) - along(2 * h)) / (12 * h)  # fourth order
        np.testing.assert_allclose(gradient @ direction, numeric, rtol=1e-6)


def test_the_three_objectives_agree_on_loss_and_gradient():
    params, batch = problem(jnp.float32)
    results = [(o.loss(params, batch), o.gradient(params, batch)) for o in OBJECTIVES.values()]
    for other in results[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), results[0], other)


@pytest.mark.parametrize("objective", ["least_squares", "composite"])
def test_curvature_is_the_gauss_newton_matrix(objective):
    params, batch = problem(jnp.float32)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    stacked = lambda p: jax.flatten_util.ravel_pytree(residuals(unravel(p), batch))[0]
    jacobian = jax.jacobian(stacked)(flat)
    direction = jnp.arange(1.0, len(flat) + 1)
    _, curvature = OBJECTIVES[objective].quadratic(params, batch)
    expected = jnp.sum((jacobian @ direction) ** 2)
    np.testing.assert_allclose(curvature(unravel(direction)), expected, rtol=1e-5)


def test_composite_curvature_weights_by_the_hessian_of_the_criterion():
    """Logistic regression: Q = X' diag(p (1 - p)) X."""
    x, y = jax.random.normal(jax.random.key(0), (6, 3)), jnp.array([0, 1, 1, 0, 1, 0.0])
    objective = metaopt.CompositeLoss(
        lambda w, batch: x @ w, lambda z, batch: jnp.sum(jnp.logaddexp(0, z) - y * z)
    )
    w, v = jnp.array([0.3, -0.2, 0.5]), jnp.array([1.0, 2.0, -1.0])
    gradient, curvature = objective.quadratic(w, ())
    p = jax.nn.sigmoid(x @ w)
    np.testing.assert_allclose(gradient, x.T @ (p - y), rtol=1e-5)
    np.testing.assert_allclose(curvature(v), jnp.sum(p * (1 - p) * (x @ v) ** 2), rtol=1e-5)


def test_objectives_that_hold_or_close_over_meta_parameters_give_their_gradient():
    def loss(scale, held):
        function = lambda params, batch: scale * params - 1.0
        if held:
            objective = metaopt.LeastSquares(
                jax.tree_util.Partial(lambda s, p, b: s * p - 1.0, scale)
            )
        else:
            objective = metaopt.LeastSquares(function)
        return metaopt.fit(sgd(RATE), objective, jnp.array(2.0), (), steps=3).params

    held, closed = (jax.grad(loss)(0.7, flag) for flag in (True, False))
    numeric = (loss(0.701, True) - loss(0.699, True)) / 0.002
    np.testing.assert_allclose([held, closed], numeric, rtol=1e-3)


def test_vmap_over_episodes_equals_a_loop():
    keys = jax.random.split(jax.random.key(3), 4)
    starts = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)
    objective = metaopt.LeastSquares(lambda p, batch: batch @ p - 1.0)
    matrices = jax.random.normal(jax.random.key(4), (4, 3, 2))
    fit = lambda start, matrix: (
        metaopt.fit(metaopt.SteepestDescent(), objective, start, matrix, steps=3).params
    )
    together = jax.vmap(fit)(starts, matrices)
    alone = jnp.stack([fit(*pair) for pair in zip(starts, matrices, strict=True)])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_a_changed_hyper_parameter_does_not_recompile():
    traces = []

    @jax.jit
    def run(optimizer):
        traces.append(None)
        return metaopt.fit(optimizer, QUADRATIC, START, CURVATURE, steps=2).params

    rule = sgd(RATE)
    first = run(rule)
    second = run(jax.tree.map(lambda leaf: 2 * leaf, rule))
    assert len(traces) == 1
    assert not np.allclose(first, second)
