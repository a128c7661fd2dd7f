"""Every rule of optax inside a fit: its steps beside a hand-written loop, and its derivative."""

import functools
import pathlib
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt

c = optax.contrib
TABLE = pathlib.Path(__file__).parents[2] / "docs/optax.md"
STEPS = 4

# A transformation for each alias of optax, and each rule of optax.contrib.
RULES = {
    "adabelief": optax.adabelief(0.1), "adadelta": optax.adadelta(0.5),
    "adafactor": optax.adafactor(0.1), "adagrad": optax.adagrad(0.1), "adam": optax.adam(0.1),
    "adamax": optax.adamax(0.1), "adamaxw": optax.adamaxw(0.1), "adamw": optax.adamw(0.1),
    "adan": optax.adan(0.1), "amsgrad": optax.amsgrad(0.1), "fromage": optax.fromage(0.1),
    "lamb": optax.lamb(0.1), "lars": optax.lars(0.1), "lbfgs": optax.lbfgs(),
    "lion": optax.lion(0.1), "lookahead": optax.lookahead(optax.sgd(0.1), 3, 0.5),
    "noisy_sgd": optax.noisy_sgd(0.1, key=0), "novograd": optax.novograd(0.1),
    "optimistic_adam_v2": optax.optimistic_adam_v2(0.1),
    "optimistic_gradient_descent": optax.optimistic_gradient_descent(0.1),
    "polyak_sgd": optax.polyak_sgd(0.1), "radam": optax.radam(0.1), "rmsprop": optax.rmsprop(0.1),
    "rprop": optax.rprop(0.1), "sgd": optax.sgd(0.01, momentum=0.9, nesterov=True),
    "sign_sgd": optax.sign_sgd(0.1), "sm3": optax.sm3(0.1),
    "yogi": optax.yogi(0.1),
    "contrib.acprop": c.acprop(0.1), "contrib.ademamix": c.ademamix(0.1),
    "contrib.adopt": c.adopt(0.1), "contrib.cocob": c.cocob(),
    "contrib.dadapt_adamw": c.dadapt_adamw(), "contrib.dog": c.dog(1.0),
    "contrib.dowg": c.dowg(1.0),
    "contrib.mechanize": c.mechanize(optax.sgd(0.1)),
    "contrib.momo": c.momo(0.1), "contrib.momo_adam": c.momo_adam(0.1),
    "contrib.muon": c.muon(0.1), "contrib.prodigy": c.prodigy(),
    "contrib.reduce_on_plateau": optax.chain(optax.sgd(0.1), c.reduce_on_plateau()),
    "contrib.sam": c.sam(optax.sgd(0.1), optax.sgd(0.05)),
    "contrib.sam, opaque": c.sam(optax.sgd(0.1), optax.sgd(0.05), opaque_mode=True),
    "contrib.schedule_free": c.schedule_free(optax.sgd(0.1), 0.1),
    "contrib.schedule_free_adamw": c.schedule_free_adamw(0.1),
    "contrib.schedule_free_sgd": c.schedule_free_sgd(0.1),
    "contrib.simplified_ademamix": c.simplified_ademamix(0.1),
    "contrib.sophia": c.sophia(0.1),
    "contrib.split_real_and_imaginary": c.split_real_and_imaginary(optax.sgd(0.1)),
}  # fmt: skip

# Those that the lowest optax that is allowed does not have.
NEWER = {
    "signum": lambda: optax.signum(0.1),
    "contrib.galore": lambda: c.galore(0.1),
    "contrib.madgrad": lambda: c.madgrad(0.1),
}
RULES |= {
    name: make()
    for name, make in NEWER.items()
    if hasattr(c if "." in name else optax, name.removeprefix("contrib."))
}

# Where optax's own derivative is no limit of differences: a search with stops, a cast to float32.
OWN_DERIVATIVE = ("lbfgs", "contrib.galore")

TARGET = jnp.linspace(-1.0, 1.0, 6).reshape(3, 2)


def loss(params, batch):
    params = params.fast if isinstance(params, optax.LookaheadParams) else params
    moved = jnp.sum((params["w"] - batch) ** 4) + jnp.sum((params["w"] * params["b"] - batch) ** 2)
    return moved + jnp.sum(jnp.cosh(params["b"]))


def start(name):
    params = {
        "w": 1.0 + jnp.arange(6.0).reshape(3, 2) / 7,
        "b": jnp.array([0.5, -0.8]),
    }
    return optax.LookaheadParams.init_synced(params) if name == "lookahead" else params


def by_hand(name, params):
    transformation, value_fn = RULES[name], lambda p, *_: loss(p, TARGET)
    state = transformation.init(params)
    for _ in range(STEPS):
        value, gradient = jax.value_and_grad(value_fn)(params)
        if name == "lookahead":
            gradient = gradient.fast
        known = {"value": value, "grad": gradient, "value_fn": value_fn}
        if "sophia" in name:
            known = {"obj_fn": value_fn}
        if "sam" in name:
            known = {"grad_fn": jax.grad(value_fn)}
        update = optax.with_extra_args_support(transformation).update
        updates, state = update(gradient, state, params, **known)
        params = optax.apply_updates(params, updates)
    return params


def by_fit(name, params):
    rule = metaopt.GradientDescent(RULES[name], params)
    return metaopt.fit(rule, metaopt.ScalarLoss(loss), params, TARGET, steps=STEPS).params


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_steps_and_derivative_are_those_of_a_loop_by_hand(name):
    with jax.enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), start(name))
        along = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size) + 1.0).reshape(leaf.shape),
                             params)  # fmt: skip
        hand = jax.jit(functools.partial(by_hand, name))
        fitted, slope = jax.jit(lambda p, v: jax.jvp(functools.partial(by_fit, name), (p,), (v,)))(
            params, along
        )
        close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-8)
        jax.tree.map(close, fitted, hand(params))
        if name in OWN_DERIVATIVE:
            expected = jax.jvp(hand, (params,), (along,))[1]
        else:
            step = 1e-6
            move = lambda sign: hand(jax.tree.map(lambda p, v: p + sign * step * v, params, along))
            expected = jax.tree.map(lambda a, b: (a - b) / (2 * step), move(1), move(-1))
        close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
        jax.tree.map(close, slope, expected)


def test_the_page_lists_what_is_tested():
    listed = re.findall(r"^\| `([\w., ]+)`", TABLE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({*RULES, *NEWER})


def test_per_example_gradients_are_refused_by_name():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optax calls itself by an argument that it deprecates
        private = metaopt.GradientDescent(c.dpsgd(0.1, 1.0, 1.0, 0))
    with pytest.raises(ValueError, match=r"per-example|batch"):
        metaopt.fit(private, metaopt.ScalarLoss(loss), start("dpsgd"), TARGET, steps=1)
