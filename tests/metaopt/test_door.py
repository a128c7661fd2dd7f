"""What a newcomer writes first and wrongly ends in one sentence that names argument and remedy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt

pytestmark = pytest.mark.usefixtures("unchecked")  # annotations would come first
PARAMS, BATCH = {"w": jnp.zeros(3)}, jnp.ones((4, 3))
LOSS = lambda p, b: jnp.sum((b @ p["w"] - 1) ** 2)
SGD = metaopt.GradientDescent(optax.sgd(0.1))
OBJECTIVE = metaopt.ScalarLoss(LOSS)
INJECTED = metaopt.GradientDescent(optax.inject_hyperparams(optax.sgd)(learning_rate=0.1))
SQUARES = metaopt.ScalarLoss(lambda p, b: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(p)))


def fit(optimizer=SGD, objective=OBJECTIVE, params=PARAMS, batch=BATCH, steps=3, **rest):
    return metaopt.fit(optimizer, objective, params, batch, steps=steps, **rest)


class Config(metaopt.InnerOptimizer):
    rate: float
    kind: str

    def init(self, params):
        return ()

    def step(self, objective, params, state, batch):
        return params, state


class OnlyParams(metaopt.InnerOptimizer):
    def init(self, params):
        return ()

    def step(self, objective, params, state, batch):
        return params


class Grows(OnlyParams):
    def step(self, objective, params, state, batch):
        return params, jnp.ones(())


class Promotes(OnlyParams):
    def step(self, objective, params, state, batch):
        return jax.tree.map(lambda p: p.astype(jnp.float32), params), state


WRONG = {
    "bare optax": (lambda: fit(optax.sgd(0.1)), TypeError, r"write metaopt.GradientDescent\("),
    "plain function": (lambda: fit(objective=LOSS), TypeError, r"write metaopt.ScalarLoss\("),
    "swapped": (lambda: fit(OBJECTIVE, SGD), TypeError, r"takes \(optimizer, objective, params\)"),
    "rule as objective": (lambda: fit(SGD, SGD), TypeError, "objective is an optimizer"),
    "class of a rule": (lambda: fit(metaopt.SteepestDescent), TypeError, r"SteepestDescent\(...\)"),
    "name of a rule": (lambda: fit("adam"), TypeError, "metaopt.optimizers.make"),
    "anything as a rule": (lambda: fit(3.0), TypeError, "no method 'init'"),
    "class of an objective": (lambda: fit(objective=metaopt.ScalarLoss), TypeError, "give an inst"),
    "class of an adjoint": (lambda: fit(adjoint=metaopt.FirstOrder), TypeError, r"FirstOrder\("),
    "name of an adjoint": (lambda: fit(adjoint="implicit"), TypeError, "give metaopt.Unrolled"),
    "no batch": (lambda: fit(batch=None), ValueError, r"neither was given; batch=\(\) is for"),
    "two batches": (lambda: fit(batches=BATCH), ValueError, "both were given"),
    "fractional steps": (lambda: fit(steps=3.0), TypeError, "`steps` is 3.0"),
    "negative steps": (lambda: fit(steps=-1), ValueError, "0 steps or more"),
    "traced steps": (
        lambda: jax.jit(lambda n: fit(steps=n).losses)(3),
        TypeError,
        r"metaopt.ActiveSteps\(optimizer, n\)",
    ),
    "integer leaf": (lambda: fit(params={"w": 1}), TypeError, r"params\['w'\] is int.*nnx.split"),
    "complex leaf": (lambda: fit(params={"w": jnp.ones(3) * 1j}), TypeError, "is complex64"),
    "key": (lambda: fit(params={"k": jax.random.key(0)}), TypeError, r"\['k'\] is key<fry>"),
    "object leaf": (lambda: fit(params={"w": np.array([None])}), TypeError, "is object"),
    "function leaf": (lambda: fit(params={"f": jnp.tanh}), TypeError, r"\['f'\] is .*eqx.part"),
    "pair as loss": (
        lambda: fit(objective=metaopt.ScalarLoss(lambda p, b: (LOSS(p, b), {"a": 1.0}))),
        TypeError,
        "is a tuple.*metaopt.Stateful",
    ),
    "vector as loss": (
        lambda: fit(objective=metaopt.ScalarLoss(lambda p, b: b @ p["w"])),
        TypeError,
        r"has shape \(4,\).*LeastSquares",
    ),
    "integer as loss": (
        lambda: fit(objective=metaopt.ScalarLoss(lambda p, b: jnp.array(1))),
        TypeError,
        "int32, and has to be floating",
    ),
    "loss of one argument": (
        lambda: metaopt.ScalarLoss(lambda p: 0.0),
        TypeError,
        r"loss\(params, batch\) with two arguments.*takes \(p\)",
    ),
    "no function": (lambda: metaopt.LeastSquares(3), TypeError, "takes a function residuals"),
    "state of another rule": (
        lambda: fit(INJECTED, state=optax.adam(0.1).init(PARAMS)),
        ValueError,
        "of another rule than this GradientDescent",
    ),
    "state of other shapes": (
        lambda: fit(
            metaopt.GradientDescent(optax.adam(0.1)), state=optax.adam(1.0).init(jnp.ones(5))
        ),
        ValueError,
        "another rule",
    ),
    "state of larger params": (
        lambda: fit(
            metaopt.GradientDescent(optax.adam(0.1)),
            state=optax.adam(1.0).init({"w": jnp.ones(5)}),
        ),
        ValueError,
        r"other shapes.*\(3,\).*\(5,\)",
    ),
    "result as state": (lambda: fit(state=fit()), ValueError, "result.state"),
    "rates of another tree": (
        lambda: fit(metaopt.LearnedRates({"v": jnp.zeros(3)}, steps=1)),
        ValueError,
        "LearnedRates was made for other params",
    ),
    "rates of a row for a matrix": (
        lambda: fit(metaopt.LearnedRates(PARAMS, steps=1), SQUARES, {"w": jnp.ones((4, 3))}),
        ValueError,
        r"rates of shape \(3,\) for a leaf of shape \(4, 3\)",
    ),
    "network of a row for a matrix": (
        lambda: fit(metaopt.GradientNetwork(PARAMS), SQUARES, {"w": jnp.ones((4, 3))}),
        ValueError,
        r"rank 1 .* shape \(4, 3\)",
    ),
    "network of other channels": (
        lambda: fit(
            metaopt.GradientNetwork({"w": jnp.ones((4, 2))}), SQUARES, {"w": jnp.ones((4, 3))}
        ),
        ValueError,
        "make it for these params",
    ),
    "factors of other params": (
        lambda: fit(metaopt.RandomScaling(SGD, jnp.ones(2), jax.random.key(0), 1.0)),
        ValueError,
        "RandomScaling was made for other params",
    ),
    "unknown hyper-parameter": (
        lambda: fit(INJECTED.replace(hyperparams={"lr": jnp.array(0.5)})),
        ValueError,
        "no hyper-parameter 'lr'; known are learning_rate",
    ),
    "hyper-parameter without injection": (
        lambda: fit(SGD.replace(hyperparams={"lr": jnp.array(0.5)})),
        ValueError,
        "inject_hyperparams",
    ),
    "optax function not called": (
        lambda: metaopt.GradientDescent(optax.sgd),
        TypeError,
        r"GradientDescent\(optax.sgd\(0.1\)\)",
    ),
    "mask without params": (
        lambda: metaopt.GradientDescent(optax.adamw(0.1, mask={"w": True})),
        ValueError,
        r"GradientDescent\(transformation, params\)",
    ),
    "a string among a rule's leaves": (
        lambda: fit(Config(0.1, "plain")),
        TypeError,
        r"leaf \.kind of Config is str 'plain'.*metaopt.static\(\)",
    ),
    "step without a state": (lambda: fit(OnlyParams()), TypeError, r"OnlyParams.step must return"),
    "another state": (lambda: fit(Grows()), TypeError, "Grows.step must return state of"),
    "promoted params": (
        lambda: fit(Promotes(), SQUARES, {"w": jnp.ones(3, jnp.bfloat16)}),
        TypeError,
        r"leaf params\['w'\] was bfloat16\(3,\) and became float32",
    ),
    "model state for nothing": (lambda: fit(model_state=()), TypeError, "metaopt.Stateful"),
    "no model state": (
        lambda: fit(objective=metaopt.Stateful(lambda p, s, b: (LOSS(p, b), s, None))),
        TypeError,
        "needs its first `model_state`",
    ),
    "fit_until of another adjoint": (
        lambda: metaopt.fit_until(
            SGD, OBJECTIVE, PARAMS, BATCH, converged=lambda p: jnp.array(True), max_steps=1,
            adjoint=metaopt.FirstOrder(),
        ),
        TypeError,
        "derivative of metaopt.Implicit",
    ),
    "fit_until without an end": (
        lambda: metaopt.fit_until(
            SGD, OBJECTIVE, PARAMS, BATCH, converged=lambda p: jnp.array(True)
        ),
        TypeError,
        "takes max_steps",
    ),
    "unknown solver": (lambda: metaopt.Implicit(solver="lu"), ValueError, "known are cg, bicg"),
    "bare optax in as_optax": (lambda: metaopt.as_optax(optax.sgd(0.1)), TypeError, "bare optax"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_it_is_refused_in_one_sentence(wrong):
    call, kind, words = WRONG[wrong]
    with pytest.raises(kind, match=f"(?s){words}"):
        call()


class CallableTree(dict):
    """As an equinox module: a tree that can be called."""

    def __call__(self, x):
        return x @ self["w"]


jax.tree_util.register_pytree_node(
    CallableTree,
    lambda t: (list(t.values()), tuple(t)),
    lambda k, v: CallableTree(zip(k, v, strict=True)),
)


def test_a_mask_that_can_be_called_is_told_apart():
    params = CallableTree(w=jnp.ones(3))
    labels = jax.tree.map(lambda leaf: "fit", params)
    with pytest.raises(ValueError, match="mask=lambda params: tree"):
        metaopt.GradientDescent(optax.partition({"fit": optax.sgd(0.1)}, labels), params)


def test_python_s_floats_and_numpy_s_arrays_are_params_like_any():
    loss = metaopt.LeastSquares(lambda p, b: p["w"] - b)
    for leaf in (0.5, np.float64(0.5), np.array(0.5)):
        params = {"w": leaf}
        fitted = metaopt.fit(metaopt.LearnedRates(params, steps=1), loss, params, 1.0, steps=1)
        assert fitted.params["w"].dtype == jnp.float32
        np.testing.assert_allclose(fitted.params["w"], 0.5 + 0.01 * 0.5, rtol=1e-6)
        network = metaopt.GradientNetwork(params, gradient_scale=0.1)
        moved = metaopt.fit(network, loss, params, 1.0, steps=1).params["w"]
        np.testing.assert_allclose(moved, 0.5 + np.tanh(0.05), rtol=1e-6)


def test_a_static_field_of_one_s_own():
    class Halving(metaopt.InnerOptimizer):
        rate: jax.Array
        kind: str = metaopt.static(default="plain")

        def init(self, params):
            return ()

        def step(self, objective, params, state, batch):
            factor = {"plain": 1.0, "half": 0.5}[self.kind]
            return params - factor * self.rate * objective.gradient(params, batch), state

    loss = metaopt.ScalarLoss(lambda p, b: 0.5 * (p - b) ** 2)
    moved = jax.jit(lambda rule: metaopt.fit(rule, loss, jnp.array(0.0), 1.0, steps=1).params)
    assert moved(Halving(jnp.array(0.2))) == jnp.float32(0.2)
    slope = jax.grad(moved)(Halving(jnp.array(0.2), kind="half"))
    assert slope.kind == "half" and slope.rate == 0.5
