"""A learned rate for every parameter and every step: the rule of Meta-SGD and MetaRTT."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from metaopt._objectives import Objective
from metaopt._pytree import static
from metaopt.optimizers._base import InnerOptimizer, register, require_same_structure


class LearnedRates(InnerOptimizer):
    """Gradient descent whose rates are meta-parameters, one set a step.

        params <- params - rates[k] * gradient        at step k

    (Li et al., "Meta-SGD", 2017, eq. 1; per step as in Jung et al., "Real-Time Object Tracking via
    Meta-Learning", AAAI 2020, eqs. 2 and 3.) Rates may become negative. From step K on the last set
    repeats, so a fit may take more steps than were trained for; a fit that goes on from the state
    of another counts on.

    What MetaRTT meta-learns together are the initial params, which are simply an argument of `fit`,
    and two sets of rates, one for the first frame and one for online adaptation: two rules, each
    with a count of its own.

        first = metaopt.fit(meta["rates"], objective, meta["params"], support, steps=5)
        later = metaopt.fit(meta["online_rates"], objective, first.params, online, steps=5)

    Args:
        params: inner parameters of the shapes to be fitted.
        steps: the number K of rate sets, 1 or more.
        granularity: a rate for each "parameter", each "tensor" (leaf), or one "scalar". At a rate
            per parameter the rule weighs K times as much as the params.
        initial_rate: the value at which all rates start.

    Attributes:
        rates: a pytree like `params` whose leaves have shape (K, *leaf.shape), or (K, 1, ...) for
            "tensor"; a single (K,) array for "scalar".

    Raises:
        ValueError: if the granularity is unknown or `steps` is below 1.
    """

    rates: PyTree
    steps: int = static()
    granularity: str = static()

    def __init__(
        self,
        params: PyTree,
        *,
        steps: int,
        granularity: str = "parameter",
        initial_rate: float = 1e-2,
    ) -> None:
        params = jax.eval_shape(lambda params: params, params)
        if steps < 1:
            raise ValueError(f"LearnedRates needs rates for 1 step or more, not {steps}.")
        shapes = {
            "parameter": lambda leaf: (steps, *leaf.shape),
            "tensor": lambda leaf: (steps,) + (1,) * leaf.ndim,
        }
        if granularity == "scalar":
            rates: PyTree = jnp.full((steps,), initial_rate, float)
        elif granularity in shapes:
            shape = shapes[granularity]
            # bfloat16 would swallow the outer loop's small steps.
            dtype = lambda p: jnp.promote_types(p.dtype, jnp.float32)
            rates = jax.tree.map(lambda p: jnp.full(shape(p), initial_rate, dtype(p)), params)
        else:
            raise ValueError(
                f"unknown granularity {granularity!r}; known are parameter, tensor, scalar."
            )
        self._set(rates=rates, steps=steps, granularity=granularity)

    @property
    def fits_any_shapes(self) -> bool:
        """Unless it has a rate per parameter; the tensors of "tensor" must be the same."""
        return self.granularity != "parameter"

    def with_granularity(self, granularity: str) -> "LearnedRates":
        """The rule with coarser rates, each the mean of those whose place it takes.

        Raises:
            ValueError: if the granularity is unknown or not coarser than one per parameter.
        """
        if granularity == self.granularity:
            return self
        means: dict[str, Callable[[PyTree], PyTree]] = {
            "tensor": lambda rates: jax.tree.map(_mean_of_each_step, rates),
            "scalar": lambda rates: _mean_of_each_step(
                jnp.concatenate([r.reshape(self.steps, -1) for r in jax.tree.leaves(rates)], 1)
            )[:, 0],
        }
        if self.granularity != "parameter" or granularity not in means:
            raise ValueError(
                f"a rate per {self.granularity} cannot become one per {granularity}: known are "
                "parameter, tensor, scalar, and they become coarser only."
            )
        return self.replace(rates=means[granularity](self.rates), granularity=granularity)

    def learned_rates(self) -> Float[Array, " rates"]:
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(self.rates)])

    def init(self, params: PyTree) -> Int[Array, ""]:
        """The number of steps taken."""
        if self.granularity != "scalar":
            require_same_structure(self, self.rates, params)
            for rate, leaf in zip(*map(jax.tree.leaves, (self.rates, params)), strict=True):
                expected = leaf.shape if self.granularity == "parameter" else (1,) * leaf.ndim
                if rate.shape[1:] != expected:
                    raise ValueError(
                        f"LearnedRates has rates of shape {rate.shape[1:]} for a leaf of shape "
                        f"{leaf.shape}: make it for these params, or with granularity='scalar'."
                    )
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


def _mean_of_each_step(rates: Float[Array, "steps *shape"]) -> Array:
    return rates.mean(tuple(range(1, rates.ndim)), keepdims=True)


@register("learned_rates")
def _untrained(params: PyTree, *, steps: int, rate: float) -> LearnedRates:
    return LearnedRates(params, steps=steps, initial_rate=rate)
