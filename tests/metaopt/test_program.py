"""Outside of jit a fit compiles once, takes what its program takes, and sees what has changed."""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from metaopt import _program

X = jax.random.normal(jax.random.key(0), (20, 4))
Y = X.sum(1)
OBJECTIVE = metaopt.LeastSquares(lambda w, batch: batch[0] @ w - batch[1])
ADAM = metaopt.GradientDescent(optax.adam(0.1))
START = jnp.zeros(4)
factor = 1.0


@pytest.fixture(autouse=True)
def traces(monkeypatch):
    """Counts the programs that are traced."""
    monkeypatch.setattr(_program, "_programs", type(_program._programs)())
    made, real = [], metaopt._fit._fit

    @functools.wraps(real)
    def counted(*arguments, **fixed):
        made.append(None)
        return real(*arguments, **fixed)

    monkeypatch.setattr(metaopt._fit, "_fit", counted)
    return made


@pytest.mark.parametrize("rule", [ADAM, metaopt.SteepestDescent()], ids=["adam", "steepest"])
def test_a_second_call_takes_less_than_2_ms_and_nothing_is_added(rule, traces, unchecked):
    run = lambda y: metaopt.fit(rule, OBJECTIVE, START, (X, y), steps=5)
    compiled = jax.jit(run)
    expected = compiled(Y + 1).params
    run(Y)
    alive = len(jax.live_arrays())
    times: dict[Any, list[float]] = {run: [], compiled: []}
    for call in 200 * list(times):
        begun = time.process_time()  # which others on the machine move less than the clock
        result = jax.block_until_ready(call(Y + 1))
        times[call].append(time.process_time() - begun)
    del result
    assert len(traces) == 2  # one is the jit of this test
    ours, plain = (np.percentile(times[call], 20) for call in (run, compiled))
    assert ours < 2e-3
    assert ours < 10 * plain  # what it takes to find the program again, on a machine of any speed
    assert len(jax.live_arrays()) <= alive
    np.testing.assert_allclose(run(Y + 1).params, expected, rtol=1e-6)


def test_a_function_made_anew_counts_as_the_same(traces):
    for _ in range(3):
        objective = metaopt.ScalarLoss(lambda w, batch: jnp.sum((batch[0] @ w - batch[1]) ** 2))
        metaopt.fit(ADAM, objective, START, (X, Y), steps=2, observe=lambda w: w[0])
    assert len(traces) == 1


def scaled(w, batch):
    return factor * (batch[0] @ w - batch[1])


def through_a_helper(w, batch):
    return scaled(w, batch)


@pytest.mark.parametrize("function", [scaled, through_a_helper])
def test_a_changed_global_is_seen(function, monkeypatch):
    objective = metaopt.LeastSquares(function)
    loss = lambda: float(metaopt.fit(ADAM, objective, START, (X, Y), steps=1).losses[0])
    before = loss()
    monkeypatch.setitem(globals(), "factor", 3.0)
    np.testing.assert_allclose(loss(), 9 * before, rtol=1e-6)


def test_a_changed_closure_is_seen():
    """A number, an array, an array changed in place, and an object that hides what it holds."""

    class Holder:
        pass

    holder = Holder()
    held = np.ones(4, np.float32)
    number, array, holder.value = 1.0, jnp.ones(4), 1.0
    objective = metaopt.ScalarLoss(
        lambda w, b: number * jnp.sum((w - array) ** 2) + jnp.sum(held) * holder.value
    )
    loss = lambda: float(metaopt.fit(ADAM, objective, START, (), steps=1).losses[0])
    assert loss() == 8.0
    number = 2.0
    assert loss() == 12.0
    array = 2 * array
    assert loss() == 36.0
    held[:] = 2.0
    assert loss() == 40.0
    holder.value = 2.0
    assert loss() == 48.0


def test_what_is_traced_is_left_to_the_trace():
    def final(rate):
        rule = metaopt.GradientDescent(optax.sgd(rate))  # the rate is hidden in optax's closure
        return metaopt.fit(rule, OBJECTIVE, START, (X, Y), steps=1).losses[-1]

    slope = (final(1e-3 + 1e-4) - final(1e-3 - 1e-4)) / 2e-4
    np.testing.assert_allclose(jax.grad(final)(1e-3), slope, rtol=1e-3)
    rates = jnp.array([1e-3, 2e-3])
    np.testing.assert_allclose(jax.vmap(final)(rates), [final(1e-3), final(2e-3)], rtol=1e-5)


def test_programs_beyond_the_most_are_let_go():
    for index in range(_program._MOST + 3):
        _program.run(lambda x, n: x + n, (jnp.ones(()),), {"n": index})
    assert len(_program._programs) == _program._MOST


@pytest.mark.slow
def test_memory_does_not_grow_over_a_thousand_calls():
    import resource

    run = lambda y: metaopt.fit(ADAM, OBJECTIVE, START, (X, y), steps=5).params
    for index in range(100):
        run(Y + index)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(1000):
        run(Y + index)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2000  # kilobytes
