"""The contract that every registered rule passes."""

import functools
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from tests.products import chosen

RULES = metaopt.optimizers.names()
MOVING = [rule for rule in RULES if rule != "none"]
# What is as another rule is stands in the full run alone; a rule of one's own is in both.
ALIKE = {"adam", "gauss_newton", "gradient_network", "gru", "levenberg_marquardt", "mlp"}
KINDS = sorted({*RULES} - ALIKE - {"none", "orthogonal_mlp"})
STEPS = 3


def quadratic(params, batch):
    """Residuals of a line fit with a regularizer; a mask of zero hides a coordinate of w."""
    inputs, targets, mask = batch
    return {
        "data": inputs @ (mask * params["w"]) + params["b"] - targets,
        "regularizer": 0.1 * mask * params["w"],
    }


def rosenbrock(params, batch):
    x, y = params["point"]
    return jnp.stack([10 * (y - x**2), batch - x])


def line_fit(key=0, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(key), 4)
    params = {
        "w": jax.random.normal(keys[0], (3,), dtype),
        "b": jax.random.normal(keys[1], (), dtype),
    }
    inputs = jax.random.normal(keys[2], (6, 3), dtype)
    return params, (inputs, jax.random.normal(keys[3], (6,), dtype), jnp.ones(3, dtype))


def valley(key=0, dtype=jnp.float32):
    noise = 0.1 * jax.random.normal(jax.random.key(key), (2,))
    return {"point": (jnp.array([-1.2, 1.0]) + noise).astype(dtype)}, jnp.ones((), dtype)


# Residuals, a sampler of start and batch, and a step length that suits.
PROBLEMS = {
    "quadratic": (metaopt.LeastSquares(quadratic), line_fit, 0.05),
    "rosenbrock": (metaopt.LeastSquares(rosenbrock), valley, 5e-4),
}


def make(rule, problem="quadratic", dtype=jnp.float32):
    objective, sample, rate = PROBLEMS[problem]
    params, batch = sample(dtype=dtype)
    optimizer = metaopt.optimizers.make(rule, params, steps=STEPS, rate=rate)
    return optimizer, objective, params, batch


@pytest.mark.parametrize(
    ("rule", "problem"),
    chosen(
        [(rule, problem) for rule in MOVING for problem in PROBLEMS],
        [("gradient_descent", "rosenbrock"), *((rule, "quadratic") for rule in KINDS)],
    ),
)
def test_untrained_it_descends_and_along_the_meta_gradient_it_gets_faster(rule, problem):
    optimizer, objective, *_ = make(rule, problem)
    starts, batches = jax.vmap(PROBLEMS[problem][1])(jnp.arange(4))
    flat, unravel = jax.flatten_util.ravel_pytree(optimizer)

    def losses(flat):
        fit = lambda params, batch: (
            metaopt.fit(unravel(flat), objective, params, batch, steps=STEPS).losses
        )
        return jax.vmap(fit)(starts, batches).mean(0)

    def last(flat):
        found = losses(flat)
        return found[-1], found

    (_, untrained), gradient = jax.jit(jax.value_and_grad(last, has_aux=True))(flat)
    assert (untrained[1:] < untrained[:-1]).all()
    direction = -gradient / jnp.linalg.norm(gradient)
    lengths = 0.1 ** np.arange(1, 7)
    moved = jax.jit(jax.vmap(losses))(flat + lengths[:, None] * direction)[:, -1]
    assert moved.min() < (1 - 1e-4) * untrained[-1]


@pytest.mark.parametrize(
    ("rule", "dtype"),
    chosen(
        [(rule, dtype) for rule in RULES for dtype in (jnp.float32, jnp.bfloat16)],
        [("learned_rates", jnp.bfloat16), *((rule, jnp.float32) for rule in RULES)],
    ),
)
def test_structure_shapes_and_dtypes_stay_and_the_loss_falls(rule, dtype):
    optimizer, objective, params, batch = make(rule, dtype=dtype)
    fit = functools.partial(metaopt.fit, steps=STEPS)
    result = jax.jit(fit)(optimizer, objective, params, batch)
    before = params, optimizer.init(params)
    after = result.params, result.state
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
    assert jnp.isfinite(result.losses).all()
    assert rule == "none" or result.losses[-1] < result.losses[0]


@pytest.mark.parametrize(("rule",), chosen(zip(RULES), zip(KINDS)))
def test_jit_vmap_and_grad_agree_with_a_loop_of_plain_steps(rule):
    optimizer, objective, *_ = make(rule)
    starts, batches = jax.vmap(line_fit)(jnp.arange(2))

    def by_fit(optimizer, params, batch):
        return metaopt.fit(optimizer, objective, params, batch, steps=STEPS).params["b"]

    def by_hand(optimizer, params, batch):
        state = optimizer.init(params)
        for _ in range(STEPS):
            params, state = optimizer.step(objective, params, state, batch)
        return params["b"]

    gradients = jax.vmap(jax.value_and_grad(by_fit), (None, 0, 0))
    values, slopes = jax.jit(gradients)(optimizer, starts, batches)
    plain = jax.jit(jax.value_and_grad(by_hand))
    for index in range(2):
        one = jax.tree.map(lambda leaf, i=index: leaf[i], (starts, batches))
        expected = plain(optimizer, *one)
        actual = jax.tree.map(lambda leaf, i=index: leaf[i], (values, slopes))
        close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
        jax.tree.map(close, actual, expected)


@pytest.mark.parametrize(("rule",), chosen(zip(RULES), zip(KINDS)))
def test_a_leaf_that_changes_its_value_does_not_recompile(rule):
    optimizer, objective, params, batch = make(rule)
    traces = []

    @jax.jit
    def run(optimizer, params):
        traces.append(None)
        return metaopt.fit(optimizer, objective, params, batch, steps=STEPS).params

    first = run(optimizer, params)
    second = run(jax.tree.map(lambda leaf: leaf + 0.01, optimizer), params)
    assert len(traces) == 1
    if jax.tree.leaves(optimizer):
        assert not np.array_equal(first["w"], second["w"])


@pytest.mark.parametrize(
    ("rule",), chosen(zip(RULES), [("gradient_descent",), ("steepest_descent",)])
)
def test_an_exactly_zero_gradient_coordinate_leaves_no_nan(rule):
    optimizer, objective, start, (inputs, observed, _) = make(rule)

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1, 2), has_aux=True)
    def outer(optimizer, params, batch):
        result = metaopt.fit(optimizer, objective, params, batch, steps=STEPS)
        return result.losses.sum() + jnp.sum(result.params["w"]), result.params

    # With all of `w` masked and the bias at its optimum the whole gradient is zero.
    at_rest = start | {"b": jnp.array(0.0)}
    for masked, params, targets in (
        ([1.0, 0.0, 1.0], start, observed),
        ([0.0, 0.0, 0.0], at_rest, jnp.zeros_like(observed)),
    ):
        hidden = np.equal(masked, 0)
        batch = inputs, targets, jnp.array(masked)
        gradient = objective.gradient(params, batch)
        assert (gradient["w"][hidden] == 0).all() and (gradient["b"] == 0) == hidden.all()
        results, gradients = outer(optimizer, params, batch)
        assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves((results, gradients)))
        # A rule is free to move a coordinate without a gradient, but those here do not.
        np.testing.assert_allclose(results[1]["w"][hidden], params["w"][hidden], atol=1e-6)


@pytest.mark.parametrize(("rule",), chosen(zip(RULES), [("adam",), ("lstm",)]))
def test_numpy_arrays_by_tree_path_restore_the_rule_and_its_state(rule):
    optimizer, objective, params, batch = make(rule)
    moved = jax.tree.map(lambda leaf: 1.1 * leaf, optimizer)
    first = jax.jit(lambda rule: metaopt.fit(rule, objective, params, batch, steps=2))(moved)

    def save(tree):
        file = io.BytesIO()
        paths, _ = jax.tree_util.tree_flatten_with_path(tree)
        arrays = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in paths}
        assert len(arrays) == len(paths)
        np.savez(file, **arrays)
        return file

    def restore(file, like):
        file.seek(0)
        arrays = np.load(file)
        take = lambda path, _: jnp.asarray(arrays[jax.tree_util.keystr(path)])
        return jax.tree_util.tree_map_with_path(take, like)

    fresh, *_ = make(rule)
    restored = restore(save(moved), fresh)
    state = restore(save(first.state), restored.init(params))
    go_on = jax.jit(
        lambda optimizer, state: (
            metaopt.fit(optimizer, objective, first.params, batch, steps=2, state=state).params
        )
    )
    equal = np.testing.assert_array_equal
    jax.tree.map(equal, go_on(restored, state), go_on(moved, first.state))
