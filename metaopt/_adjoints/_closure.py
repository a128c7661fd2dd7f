"""Functions rid of what they close over, so that a derivative of one's own may be given to them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


def hoist(
    function: Callable[..., PyTree], *arguments: PyTree
) -> tuple[Callable[..., PyTree], list[Array]]:
    """Returns h, c with `h(c, *arguments) == function(*arguments)`; h closes over nothing.

    Unlike `jax.closure_convert` it hoists arrays of every dtype: a backward function that runs
    after the trace in which it was defined must close over none, be it only integer labels.

    Args:
        function: any function of pytrees of arrays.
        arguments: examples; only structure, shapes and dtypes matter.
    """
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
    structure = jax.tree.structure(shapes)

    def hoisted(closed_over: list[Array], *arguments: PyTree) -> Any:
        outputs = jax.core.eval_jaxpr(closed.jaxpr, closed_over, *jax.tree.leaves(arguments))
        return jax.tree.unflatten(structure, outputs)

    # A Python number that is closed over becomes a constant that is not an array yet.
    return hoisted, [jnp.asarray(const, const.dtype) for const in closed.consts]


def constant(function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
    """`function(*arguments)` with all derivatives zero, those by what it closes over too.

    The derivatives are never formed, whereas a `stop_gradient` on the result forms them and throws
    them away.
    """
    hoisted, closed_over = hoist(function, *arguments)
    return hoisted(*jax.lax.stop_gradient((closed_over, *arguments)))


def constant_but_first(
    function: Callable[..., PyTree], first: PyTree, *arguments: PyTree
) -> PyTree:
    """As `constant`, but for the derivative by the first argument."""
    hoisted, closed_over = hoist(function, first, *arguments)
    closed_over, arguments = jax.lax.stop_gradient((closed_over, arguments))
    return hoisted(closed_over, first, *arguments)
