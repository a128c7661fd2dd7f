"""The adjoints: closed forms, hand-written loops, each other, and what they cost."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params

import metaopt
from tests.products import chosen

RATE, CURVATURE, START = 0.1, jnp.array([1.0, 3.0]), jnp.array([2.0, -1.0])
QUADRATIC = metaopt.ScalarLoss(lambda params, batch: 0.5 * jnp.sum(batch * params**2))
COMPILE_QUICKLY = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
EXACT = [
    metaopt.Unrolled(remat=remat, mixed_mode=mixed)
    for remat in (True, False)
    for mixed in (True, False)
]
ADJOINTS = [
    *EXACT,
    metaopt.Truncated(2),
    metaopt.Truncated(1, detach_state=False),
    metaopt.FirstOrder(),
    metaopt.Implicit(unconverged="ignore"),
]
EACH_KIND = chosen(zip(ADJOINTS), zip([EXACT[0], *ADJOINTS[-3::2]]))  # exact, cut off, implicit


def sgd(rate, **options):
    return metaopt.GradientDescent(optax.inject_hyperparams(optax.sgd)(rate, **options))


def assert_trees_close(actual, expected, rtol):
    """Relative to the largest entry of each leaf."""

    def check(a, e):
        scale = float(np.max(np.abs(e), initial=0))
        np.testing.assert_allclose(a, e, rtol=rtol, atol=rtol * scale)

    jax.tree.map(check, actual, expected)


# A classifier with integer labels; its objective holds a meta-parameter and closes over another.


def classifier_objective(kind, held, closed_over):
    def outputs(held, params, batch):
        hidden = jnp.tanh(batch["inputs"] @ params["w"] + params["b"])
        return hidden @ held

    def criterion(z, batch):
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels(z, batch["labels"])
        return jnp.mean(jnp.exp(closed_over) * cross_entropy)

    def residuals(held, params, batch):
        wanted = jax.nn.one_hot(batch["labels"], 3)
        return outputs(held, params, batch) - jnp.exp(closed_over) * wanted, 0.3 * params["w"]

    if kind == "least_squares":
        return metaopt.LeastSquares(jax.tree_util.Partial(residuals, held))
    if kind == "composite":
        return metaopt.CompositeLoss(jax.tree_util.Partial(outputs, held), criterion)
    return metaopt.ScalarLoss(
        jax.tree_util.Partial(
            lambda held, params, batch: criterion(outputs(held, params, batch), batch), held
        )
    )


def classifier(dtype):
    keys = jax.random.split(jax.random.key(0), 4)
    params = {
        "w": jax.random.normal(keys[0], (3, 2), dtype),
        "b": jax.random.normal(keys[1], (2,), dtype),
    }
    inputs = jax.random.normal(keys[2], (4, 3), dtype)
    held = jax.random.normal(keys[3], (2, 3), dtype)
    return params, inputs, held, jnp.asarray(0.2, dtype)


def outer_loss(arguments, adjoint, kind, steps):
    rule, params, inputs, held, closed_over = arguments
    batch = {"inputs": inputs, "labels": jnp.array([0, 2, 1, 2])}
    objective = classifier_objective(kind, held, closed_over)
    fitted = metaopt.fit(rule, objective, params, batch, steps=steps, adjoint=adjoint)
    return fitted.losses.sum() + jnp.sum(fitted.params["b"] ** 2)


NEED_CURVATURE = ("steepest_descent", "gauss_newton", "levenberg_marquardt")


CASES = [
    (rule, kind)
    for rule in metaopt.optimizers.names()
    for kind in ("scalar", "least_squares", "composite")
    if kind != "scalar" or rule not in NEED_CURVATURE
]


# One of each kind of rule, and of objective, in the default run.
TAKEN = [
    ("gradient_descent", "scalar"),
    ("steepest_descent", "composite"),
]


@pytest.mark.parametrize(("rule", "kind"), chosen(CASES, TAKEN))
def test_mixed_mode_equals_plain(rule, kind):
    """By the rule, the initial params, the batch, what the objective holds and closes over."""
    with jax.enable_x64(True):
        params, *others = classifier(jnp.float64)
        optimizer = metaopt.optimizers.make(rule, params, steps=2, rate=0.05)
        both = lambda arguments: [
            jax.grad(outer_loss)(arguments, metaopt.Unrolled(mixed_mode=mixed), kind, 2)
            for mixed in (True, False)
        ]
        mixed, plain = jax.jit(both, compiler_options=COMPILE_QUICKLY)((optimizer, params, *others))
        assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(plain[1:]))
        largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(plain))
        close = lambda m, p: np.testing.assert_allclose(m, p, rtol=1e-12, atol=1e-15 * largest)
        jax.tree.map(close, mixed, plain)


@pytest.mark.full
def test_mixed_mode_equals_plain_under_vmap_and_eagerly():
    with jax.enable_x64(True):
        params, inputs, held, closed_over = classifier(jnp.float64)
        rule, episodes = sgd(RATE), jnp.stack([inputs, 2 * inputs])

        def gradient(inputs, mixed_mode):
            adjoint = metaopt.Unrolled(mixed_mode=mixed_mode)
            outer = lambda *arguments: outer_loss((rule, *arguments), adjoint, "scalar", 2)
            return jax.grad(outer, (0, 1, 2, 3))(params, inputs, held, closed_over)

        mixed = jax.vmap(gradient, (0, None))(episodes, True)
        plain = [gradient(episode, False) for episode in episodes]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *plain)
        assert_trees_close(mixed, stacked, rtol=1e-12)


WHOLE_WINDOW = metaopt.Truncated(30)


@pytest.mark.parametrize(
    ("steps", "adjoint"),
    chosen(
        itertools.product((4, 23), (*EXACT, WHOLE_WINDOW)),
        [(4, EXACT[-1]), (4, WHOLE_WINDOW), (23, EXACT[0])],
    ),
    ids=str,
)
def test_exact_adjoints_have_the_closed_form_of_gradient_descent(adjoint, steps):
    """23 steps are scanned in segments, with a remainder."""
    weights = jnp.cos(jnp.arange(2.0 * steps + 2)).reshape(steps + 1, 2)

    def by_fit(rate, start, curvature):
        rule = sgd(RATE).replace(hyperparams={"learning_rate": rate})
        fitted = metaopt.fit(rule, QUADRATIC, start, curvature, steps=steps, adjoint=adjoint,
                             observe=lambda p: p)  # fmt: skip
        return jnp.sum(weights * fitted.observed) + fitted.losses.sum() + fitted.params[0]

    def by_formula(rate, start, curvature):
        iterates = start * (1 - rate * curvature) ** jnp.arange(steps + 1.0)[:, None]
        losses = 0.5 * jnp.sum(curvature * iterates**2)
        return jnp.sum(weights * iterates) + losses + iterates[-1, 0]

    arguments = RATE, START, CURVATURE
    actual, expected = (
        jax.jit(jax.value_and_grad(f, (0, 1, 2)))(*arguments) for f in (by_fit, by_formula)
    )
    assert_trees_close(actual, expected, rtol=1e-4)


@pytest.mark.parametrize(("adjoint",), EACH_KIND, ids=str)
def test_objectives_may_close_over_numbers_numpy_arrays_and_random_keys(adjoint):
    """Under jit, where a key of the batch is a tracer that has no derivative."""

    @jax.jit
    def gradient(start, seed):
        key = jax.random.key(seed)
        number, table = 0.5, np.array([1.0, 3.0], np.float32)

        def loss(params, batch):
            noise = jax.random.normal(key, (2,)) + jax.random.normal(batch["key"], (2,))
            return number * jnp.sum(table * (params - 0.0 * noise) ** 2)

        def outer(start):
            batch = {"key": jax.random.key(seed + 1)}
            fitted = metaopt.fit(sgd(RATE), metaopt.ScalarLoss(loss), start, batch, steps=3,
                                 adjoint=adjoint)  # fmt: skip
            return fitted.losses.sum()

        return jax.value_and_grad(outer)(start)

    value, by_start = gradient(START, 0)
    decays = (1 - RATE * CURVATURE) ** jnp.arange(4.0)[:, None]
    np.testing.assert_allclose(value, 0.5 * jnp.sum(CURVATURE * (START * decays) ** 2), rtol=1e-5)
    if adjoint in EXACT:
        expected = jnp.sum(CURVATURE * START * decays**2, 0)
        np.testing.assert_allclose(by_start, expected, rtol=1e-5)


def fit_by_hand(rule, params, batch, steps, window, detach_state):
    """The iterates of a truncated fit: a Python loop that detaches where the text says."""
    state, iterates = rule.init(params), []
    for step in range(steps):
        iterates.append(params)
        if (steps - step) % window == 0 and step > 0:
            params = jax.lax.stop_gradient(params)
            state = jax.lax.stop_gradient(state) if detach_state else state
        params, state = rule.step(QUADRATIC, params, state, batch)
    return jnp.stack([*iterates, params])


@pytest.mark.parametrize(
    ("window", "detach_state"),
    chosen(itertools.product((1, 2, 3, 7), (True, False)), [(2, True), (3, False)]),
)
def test_truncated_equals_a_hand_written_loop(window, detach_state):
    steps, weights = 7, jnp.cos(jnp.arange(16.0)).reshape(8, 2)
    rule = sgd(RATE, momentum=0.9)

    def outer(arguments, by_hand):
        rule, start, batch = arguments
        if by_hand:
            iterates = fit_by_hand(rule, start, batch, steps, window, detach_state)
        else:
            adjoint = metaopt.Truncated(window, detach_state=detach_state)
            iterates = metaopt.fit(rule, QUADRATIC, start, batch, steps=steps, adjoint=adjoint,
                                   observe=lambda p: p).observed  # fmt: skip
        return jnp.sum(weights * iterates)

    arguments = rule, START, CURVATURE
    value_and_grad = jax.jit(jax.value_and_grad(outer), static_argnums=1)
    actual, expected = (value_and_grad(arguments, flag) for flag in (False, True))
    assert_trees_close(actual, expected, rtol=1e-5)


def test_truncated_depends_on_the_last_steps_only():
    """The final params by the rate of each step, which `LearnedRates` keeps apart."""
    rule = metaopt.LearnedRates(START, steps=5, granularity="scalar", initial_rate=RATE)

    def final(rule, adjoint):
        return metaopt.fit(rule, QUADRATIC, START, CURVATURE, steps=5, adjoint=adjoint).params.sum()

    truncated = jax.grad(final)(rule, metaopt.Truncated(2)).rates
    exact = jax.grad(final)(rule, metaopt.Unrolled()).rates
    np.testing.assert_array_equal(truncated[:3], 0)
    np.testing.assert_allclose(truncated[3:], exact[3:], rtol=1e-6)
    assert jnp.all(exact[:3] != 0)


@pytest.mark.parametrize(("momentum", "steps"), [(None, 2), (0.9, 5)])
def test_what_is_differentiated_ends_at_the_cut_unless_the_state_goes_on(momentum, steps):
    rule = metaopt.GradientDescent(optax.sgd(RATE, momentum=momentum))
    adjoint = metaopt.Truncated(2, detach_state=False)

    def final(batch):
        return metaopt.fit(rule, QUADRATIC, START, batch, steps=5, adjoint=adjoint).params.sum()

    jaxpr = jax.make_jaxpr(jax.grad(final))(CURVATURE)
    assert _lengths_of_backward_loops(jaxpr.jaxpr) == [steps]


def _lengths_of_backward_loops(jaxpr):
    """Of all scans in reverse, inside of what is called, too."""
    lengths = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan" and equation.params["reverse"]:
            lengths.append(equation.params["length"])
        for inner in jaxprs_in_params(equation.params):
            lengths += _lengths_of_backward_loops(inner)
    return lengths


def test_truncated_rejects_an_empty_window():
    with pytest.raises(ValueError, match="window of 1 step or more, not 0"):
        metaopt.Truncated(0)


class OwnGradient(metaopt.InnerOptimizer):
    """A rule that differentiates the loss itself."""

    rate: jax.Array

    def init(self, params):
        return ()

    def step(self, objective, params, state, batch):
        _, gradient = jax.value_and_grad(objective.loss)(params, batch)
        return params - self.rate * gradient, state


@pytest.mark.parametrize("rule", [sgd(RATE), OwnGradient(jnp.array(RATE))], ids=["optax", "own"])
def test_first_order_has_the_closed_form_of_gradient_descent(rule):
    """p_T = p_0 - rate * sum_t g_t with constants g_t."""

    def final(arguments):
        rule, start, curvature = arguments
        return metaopt.fit(
            rule, QUADRATIC, start, curvature, steps=3, adjoint=metaopt.FirstOrder()
        ).params.sum()

    by_rule, by_start, by_batch = jax.grad(final)((rule, START, CURVATURE))
    iterates = START * (1 - RATE * CURVATURE) ** jnp.arange(3.0)[:, None]
    (by_rate,) = jax.tree.leaves(by_rule)
    np.testing.assert_allclose(by_rate, -jnp.sum(CURVATURE * iterates), rtol=1e-5)
    np.testing.assert_array_equal(by_start, 1)
    np.testing.assert_array_equal(by_batch, 0)


def test_first_order_takes_the_step_length_of_steepest_descent_for_a_number():
    objective = metaopt.LeastSquares(lambda params, batch: jnp.sqrt(batch) * params)

    def final(log_step, start):
        rule = metaopt.SteepestDescent(log_step)
        return metaopt.fit(
            rule, objective, start, CURVATURE, steps=3, adjoint=metaopt.FirstOrder()
        ).params.sum()

    value, (by_log_step, by_start) = jax.value_and_grad(final, (0, 1))(-0.5, START)
    # p_T = p_0 - exp(log_step) * sum_t alpha_t g_t, and that sum is what moved the params.
    np.testing.assert_allclose(by_log_step, value - START.sum(), rtol=1e-5)
    np.testing.assert_array_equal(by_start, 1)


def ridge(held, closed_over):
    def residuals(held, params, batch):
        return batch["x"] @ params - held * batch["y"], jnp.exp(0.5 * closed_over) * params

    return metaopt.LeastSquares(jax.tree_util.Partial(residuals, held))


def ridge_problem():
    keys = jax.random.split(jax.random.key(5), 4)
    batch = {"x": jax.random.normal(keys[0], (3, 6, 2)), "y": jax.random.normal(keys[1], (3, 6))}
    return batch, jnp.array(1.5), jnp.array(0.3)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["least_squares", "scalar"])
def test_implicit_equals_unrolled_and_the_closed_form_at_convergence(kind):
    """Under jit and vmap, by the batch, what the objective holds, and what it closes over."""
    with jax.enable_x64(True):
        batch, held, closed_over = ridge_problem()

        def outer(batch, held, closed_over, adjoint):
            objective = ridge(held, closed_over)
            if kind == "scalar":
                objective = metaopt.ScalarLoss(objective.loss)
            start = jnp.zeros(2)
            fitted = metaopt.fit(sgd(0.1), objective, start, batch, steps=600, adjoint=adjoint,
                                 observe=lambda p: p)  # fmt: skip
            return jnp.sum(jnp.sin(fitted.params)) + fitted.observed[-1, 0] + fitted.losses[-1]

        def by_formula(batch, held, closed_over):
            x, y = batch["x"], held * batch["y"]
            params = jnp.linalg.solve(x.T @ x + jnp.exp(closed_over) * jnp.eye(2), x.T @ y)
            loss = ridge(held, closed_over).loss(params, batch)
            return jnp.sum(jnp.sin(params)) + params[0] + loss

        exact, implicit = (
            functools.partial(outer, adjoint=adjoint)
            for adjoint in (metaopt.Unrolled(), metaopt.Implicit(tolerance=1e-12))
        )
        gradient = lambda f: jax.jit(jax.vmap(jax.grad(f, (0, 1, 2)), (0, None, None)))(
            batch, held, closed_over
        )
        assert_trees_close(gradient(implicit), gradient(by_formula), rtol=1e-9)
        assert_trees_close(gradient(implicit), gradient(exact), rtol=1e-9)


@pytest.mark.full
def test_implicit_does_not_depend_on_the_path():
    batch = jax.tree.map(lambda leaf: leaf[0], ridge_problem()[0])

    def outer(rule, start, weight):
        objective = ridge(weight, 0.3)
        fitted = metaopt.fit(
            rule,
            objective,
            start,
            batch,
            steps=3,
            observe=lambda p: p,
            adjoint=metaopt.Implicit(unconverged="ignore"),
        )
        return fitted.params.sum() + fitted.losses[:-1].sum() + fitted.observed[:-1].sum()

    by_rule, by_start, by_weight = jax.grad(outer, (0, 1, 2))(sgd(0.1), jnp.ones(2), 1.5)
    np.testing.assert_array_equal(by_rule.hyperparams["learning_rate"], 0)
    np.testing.assert_array_equal(by_start, 0)
    # Only the final params count: H^-1 X'y, wherever the fit has got to.
    x, y = batch["x"], batch["y"]
    expected = jnp.linalg.solve(x.T @ x + jnp.exp(0.3) * jnp.eye(2), x.T @ y).sum()
    np.testing.assert_allclose(by_weight, expected, rtol=1e-4)


def test_implicit_damping_is_added_to_the_diagonal():
    def final(target, damping):
        objective = metaopt.ScalarLoss(
            lambda p, batch: 0.5 * jnp.sum(CURVATURE * p**2) - jnp.sum(target * p)
        )
        adjoint = metaopt.Implicit(damping=damping, unconverged="ignore")
        return metaopt.fit(sgd(RATE), objective, START, (), steps=1, adjoint=adjoint).params.sum()

    gradient = jax.jit(jax.grad(final))
    np.testing.assert_allclose(gradient(START, 0.0), 1 / CURVATURE, rtol=1e-5)
    np.testing.assert_allclose(gradient(START, 0.5), 1 / (CURVATURE + 0.5), rtol=1e-5)


@pytest.mark.parametrize(("adjoint",), EACH_KIND, ids=str)
def test_every_adjoint_is_finite_and_compiles_once(adjoint):
    """For new values of any leaf, the adjoint's own among them."""
    params, inputs, held, closed_over = classifier(jnp.float32)
    traces = []

    @functools.partial(jax.jit, compiler_options=COMPILE_QUICKLY)
    def gradient(arguments, adjoint):
        traces.append(None)
        return jax.value_and_grad(outer_loss)(arguments, adjoint, "composite", 3)

    strong = lambda tree, scale: jax.tree.map(lambda x: jnp.asarray(scale * x, float), tree)
    arguments = OwnRates(jnp.array(0.1)), params, inputs, held, closed_over
    results = [gradient(strong(arguments, s), strong(adjoint, s)) for s in (1.0, 1.1)]
    assert len(traces) == 1
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(results))
    by_inputs, by_held, by_closed_over = results[0][1][2:]
    assert all(jnp.any(leaf != 0) for leaf in (by_inputs, by_held, by_closed_over))


class OwnRates(metaopt.InnerOptimizer):
    """A rule that reads the loss, the gradient and the curvature."""

    rate: jax.Array

    def init(self, params):
        return jnp.zeros(())

    def step(self, objective, params, state, batch):
        gradient, curvature = objective.quadratic(params, batch)
        rate = self.rate * jnp.tanh(objective.loss(params, batch) + state) + curvature(gradient)
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient), state + rate


@pytest.mark.parametrize("adjoint", ADJOINTS, ids=str)
def test_every_adjoint_names_the_objective_that_would_do(adjoint):
    with pytest.raises(TypeError, match=r"ScalarLoss has none.*LeastSquares"):
        metaopt.fit(metaopt.SteepestDescent(), QUADRATIC, START, CURVATURE, steps=3,
                    adjoint=adjoint)  # fmt: skip


def temporary_memory(adjoint, steps, samples, width):
    """Bytes beside arguments and results, of the compiled meta-gradient of an MLP's fit."""
    residuals = lambda p, batch: jnp.tanh(batch @ p["in"]) @ p["out"] - 1.0
    objective = metaopt.LeastSquares(residuals)
    params = {"in": jnp.ones((8, width)), "out": jnp.ones((width, 1))}
    batch = jnp.ones((samples, 8))

    def outer(rule, params, batch):
        fitted = metaopt.fit(rule, objective, params, batch, steps=steps, adjoint=adjoint)
        return objective.loss(fitted.params, batch)

    gradient = jax.jit(jax.grad(outer, (0, 1, 2))).lower(sgd(RATE), params, batch)
    return gradient.compile().memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize(
    ("samples", "width", "mixed_mode"),
    chosen(
        [(*size, mixed) for size in ((512, 32), (4, 4096)) for mixed in (True, False)],
        [(512, 32, True)],
    ),
)
def test_with_rematerialization_memory_hardly_grows_with_steps(samples, width, mixed_mode):
    """Whether the inside of a step is large (many samples) or the iterates are (many params)."""
    adjoint = metaopt.Unrolled(mixed_mode=mixed_mode)
    at_4, at_64 = (temporary_memory(adjoint, steps, samples, width) for steps in (4, 64))
    assert at_64 <= 3 * at_4
    assert temporary_memory(metaopt.Unrolled(remat=False), 64, samples, width) > 3 * at_64


@pytest.mark.parametrize(
    "adjoint",
    [
        metaopt.Truncated(4),
        pytest.param(metaopt.Implicit(unconverged="ignore"), marks=pytest.mark.full),
    ],
    ids=str,
)
def test_truncated_and_implicit_need_no_memory_for_earlier_steps(adjoint):
    at_4, at_64 = (temporary_memory(adjoint, steps, 4, 4096) for steps in (4, 64))
    assert at_64 <= 1.2 * at_4


@pytest.mark.full
def test_mixed_mode_saves_the_inside_of_a_step_without_rematerialization():
    mixed, plain = (
        temporary_memory(metaopt.Unrolled(remat=False, mixed_mode=m), 16, 512, 32)
        for m in (True, False)
    )
    assert mixed < plain / 4
