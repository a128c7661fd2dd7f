"""Evolution strategies: the outer gradient estimated from values of the outer loss alone.

They stand beside `fit`: the loss may hold one, and needs no derivative.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from metaopt._leaves import floating
from metaopt._pytree import Pytree


def evolution_gradient(
    loss: Callable[[PyTree], Scalar],
    params: PyTree,
    key: Array,
    *,
    sigma: float | Scalar,
    pairs: int,
) -> tuple[Scalar, PyTree]:
    """The gradient of the loss smoothed by a Gaussian, from antithetic pairs.

        g = 1 / (2 sigma^2 N) sum_i e_i (loss(params + e_i) - loss(params - e_i))

    with e_i ~ N(0, sigma^2). Unbiased for the gradient of E loss(params + e), which is that of the
    loss itself where the loss is a polynomial of degree two (Salimans et al., "Evolution Strategies
    as a Scalable Alternative to Reinforcement Learning", 2017, section 2). The pairs run
    under `vmap`. A pair of which a value is not finite (a fit that diverged) is left out of both
    means; where all are, both are NaN.

    Args:
        loss: `loss(params) -> scalar`; whatever is random in it must be the same at each call.
        params: the meta-parameters, a pytree of floating arrays.
        key: a key of `jax.random.key`.
        sigma: the standard deviation of the perturbations, above 0.
        pairs: the number N of antithetic pairs, 1 or more.

    Returns:
        The mean loss over all perturbations, and the gradient, like `params`.
    """
    params = floating(params, "params of evolution_gradient: ")
    perturbations = _normal(key, params, sigma, pairs)
    values = jax.vmap(lambda e: jnp.stack([loss(p) for p in _both(params, e)]))(perturbations)
    return _estimate(perturbations, values, sigma)


class PersistentState(Pytree):
    """Where persistent evolution strategies stand within an inner problem.

    Attributes:
        carries: the state of the inner problem under each perturbation; leaves have shape
            (pairs, 2, ...), the positive perturbation first.
        accumulated: the sum of a pair's perturbations so far; leaves have shape (pairs, ...).
    """

    carries: PyTree
    accumulated: PyTree

    @classmethod
    def create(cls, params: PyTree, carry: PyTree, *, pairs: int) -> "PersistentState":
        """The state at the beginning of an inner problem.

        Args:
            params: the meta-parameters; only shapes and dtypes matter.
            carry: the state of the inner problem before its first step.
            pairs: the number of antithetic pairs, 1 or more.
        """
        repeat = lambda leaf: jnp.broadcast_to(leaf, (pairs, 2, *jnp.shape(leaf)))
        nothing = lambda leaf: jnp.zeros((pairs, *jnp.shape(leaf)), jnp.result_type(leaf))
        return cls(jax.tree.map(repeat, carry), jax.tree.map(nothing, params))


def persistent_evolution_gradient(
    unroll: Callable[[PyTree, PyTree], tuple[Scalar, PyTree]],
    params: PyTree,
    state: PersistentState,
    key: Array,
    *,
    sigma: float | Scalar,
) -> tuple[Scalar, PyTree, PersistentState]:
    """The gradient by one truncated unroll of a longer inner problem, without truncation bias.

    Each pair goes on from its own two carries under a fresh perturbation e_i and is weighted by the
    sum of all its perturbations since the problem began,

        g = 1 / (2 sigma^2 N) sum_i E_i (L_i+ - L_i-),  E_i <- E_i + e_i,  e_i ~ N(0, sigma^2)

    so the sum of g over the unrolls of a problem is unbiased for the gradient of the smoothed sum
    of their losses (Vicol et al., "Unbiased Gradient Estimation in Unrolled Computation Graphs with
    Persistent Evolution Strategies", ICML 2021, Algorithm 2). At the end of the problem the state
    is created anew. A pair that has diverged is left out, as in `evolution_gradient`, until then.

    With an inner loop of `fit`, the carry is (params, state):

        def unroll(rule, carry):
            fitted = metaopt.fit(rule, objective, carry[0], batch, steps=5, state=carry[1])
            return outer_loss(fitted.params), (fitted.params, fitted.state)

    Args:
        unroll: `unroll(params, carry) -> (loss, carry)`, some steps of the inner problem; whatever
            is random in it must come from the carry.
        params: the meta-parameters, a pytree of floating arrays.
        state: from `PersistentState.create` or the unroll before.
        key: a key of `jax.random.key`, a fresh one at each unroll.
        sigma: the standard deviation of the perturbations, above 0.

    Returns:
        The mean loss of this unroll, the gradient, like `params`, and the new state.
    """
    pairs = len(jax.tree.leaves(state.accumulated)[0])
    perturbations = _normal(key, params, sigma, pairs)

    def run(perturbation: PyTree, carries: PyTree) -> tuple[Float[Array, "2"], PyTree]:
        stacked = jax.tree.map(lambda *both: jnp.stack(both), *_both(params, perturbation))
        return jax.vmap(unroll)(stacked, carries)

    values, carries = jax.vmap(run)(perturbations, state.carries)
    accumulated = jax.tree.map(jnp.add, state.accumulated, perturbations)
    return *_estimate(accumulated, values, sigma), PersistentState(carries, accumulated)


def _normal(key: Array, params: PyTree, sigma: float | Scalar, pairs: int) -> PyTree:
    """Perturbations of standard deviation sigma, with a leading axis of pairs."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    draw = lambda key, leaf: jax.random.normal(key, (pairs, *leaf.shape), leaf.dtype)
    scaled = [
        (sigma * draw(*pair)).astype(pair[1].dtype) for pair in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, scaled)


def _both(params: PyTree, perturbation: PyTree) -> tuple[PyTree, PyTree]:
    """The antithetic pair."""
    plus = jax.tree.map(jnp.add, params, perturbation)
    return plus, jax.tree.map(jnp.subtract, params, perturbation)


def _estimate(
    weights: PyTree, values: Float[Array, "pairs 2"], sigma: float | Scalar
) -> tuple[Scalar, PyTree]:
    """The mean value, and 1 / (2 sigma^2 N) sum_i weights_i (values_i+ - values_i-).

    Both over the N pairs whose values are finite, which are what a diverged one leaves of a sum.
    """
    finite = jnp.isfinite(values).all(1)
    count = jnp.where(finite.any(), finite.sum(), jnp.nan)  # of none there is no mean
    values = jnp.where(finite[:, None], values, 0)
    differences = (values[:, 0] - values[:, 1]) / (2 * sigma**2 * count)
    gradient = jax.tree.map(lambda w: jnp.tensordot(differences, w, 1).astype(w.dtype), weights)
    return values.sum() / (2 * count), gradient
