"""A learned rate for every parameter and every step: the rule of Meta-SGD and MetaRTT."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from metaopt._objectives import Objective
from metaopt._pytree import static
from metaopt.optimizers._base import InnerOptimizer, register

Granularity = Literal["parameter", "tensor", "scalar"]


class LearnedRates(InnerOptimizer):
    """Gradient descent whose rates are meta-parameters, one set a step.

        params <- params - rates[k] * gradient        at step k

    (Li et al., "Meta-SGD", 2017, eq. 1; per step as in Jung et al., "Real-Time Object Tracking via
    Meta-Learning", AAAI 2020, eq. 1.) Rates may become negative. From step K on the last set
    repeats, so a fit may take more steps than were trained for.

    Args:
        params: inner parameters of the shapes to be fitted.
        steps: the number K of rate sets, 1 or more.
        granularity: a rate for each "parameter", each "tensor" (leaf), or one "scalar".
        initial_rate: the value at which all rates start.

    Attributes:
        rates: a pytree like `params` whose leaves have shape (K, *leaf.shape), or (K, 1, ...) for
            "tensor"; a single (K,) array for "scalar".

    Raises:
        ValueError: if the granularity is unknown or `steps` is below 1.
    """

    rates: PyTree
    steps: int = static()
    granularity: Granularity = static()

    def __init__(
        self,
        params: PyTree,
        *,
        steps: int,
        granularity: Granularity = "parameter",
        initial_rate: float = 1e-2,
    ) -> None:
        if steps < 1:
            raise ValueError(f"LearnedRates needs rates for 1 step or more, not {steps}.")
        shapes = {
            "parameter": lambda leaf: (steps, *leaf.shape),
            "tensor": lambda leaf: (steps,) + (1,) * leaf.ndim,
        }
        if granularity == "scalar":
            rates: PyTree = jnp.full((steps,), initial_rate)
        elif granularity in shapes:
            shape = shapes[granularity]
            rates = jax.tree.map(lambda p: jnp.full(shape(p), initial_rate, p.dtype), params)
        else:
            raise ValueError(
                f"unknown granularity {granularity!r}; known are parameter, tensor, scalar."
            )
        self._set(rates=rates, steps=steps, granularity=granularity)

    def init(self, params: PyTree) -> Int[Array, ""]:
        """The number of steps taken."""
        return jnp.zeros((), jnp.int32)

    def step(
        self, objective: Objective, params: PyTree, state: Int[Array, ""], batch: PyTree
    ) -> tuple[PyTree, Int[Array, ""]]:
        k = jnp.minimum(state, self.steps - 1)
        rates = jax.tree.map(lambda rate: rate[k], self.rates)
        if self.granularity == "scalar":
            rates = jax.tree.map(lambda _: rates, params)
        params = jax.tree.map(
            lambda p, rate, g: p - (rate * g).astype(p.dtype),
            params,
            rates,
            objective.gradient(params, batch),
        )
        return params, state + 1


@register("learned_rates")
def _untrained(params: PyTree, *, steps: int, rate: float) -> LearnedRates:
    return LearnedRates(params, steps=steps, initial_rate=rate)
