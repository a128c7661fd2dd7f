"""The derivative of a function, finite where an operation of it has none.

The square root in Adam has an infinite slope at zero. The chain rule multiplies it by the zero
slope of the square before it, and the product, NaN, spoils a whole meta-gradient.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jaxtyping import Array, PyTree

# Elementwise operations whose partial derivatives may be infinite or NaN. That of a product is when
# the other factor is: in a branch that is computed and not chosen.
_SINGULAR = {"mul", "div", "sqrt", "rsqrt", "cbrt", "log", "log1p", "pow", "integer_pow"}


def with_finite_derivative(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """The same function; in its derivative, a partial derivative that is not finite counts as zero.

    This holds for each elementwise operation by itself, so that where all of them are finite the
    derivative is the function's own. An operation inside of a loop, or of a function that brings a
    derivative of its own (`jax.custom_jvp`), stays as it is.
    """

    def evaluated(*arguments: PyTree) -> PyTree:
        jaxpr, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        results = _evaluate(jaxpr.jaxpr, jaxpr.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return evaluated


def _evaluate(jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Evaluates a jaxpr with guarded operations in place of the singular ones."""
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))
    read = lambda atom: atom.val if isinstance(atom, Literal) else values[atom]
    for equation in jaxpr.eqns:
        operands = [read(atom) for atom in equation.invars]
        results = _apply(equation.primitive, equation.params, operands)
        values |= dict(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(primitive: Any, parameters: dict[str, Any], operands: list[Any]) -> Sequence[Any]:
    if primitive.name in ("jit", "cond"):
        parameters = {name: _guard_inside(value) for name, value in parameters.items()}
    options = primitive.get_bind_params(parameters)
    bind: Callable[..., Any] = functools.partial(primitive.bind, **options)
    floating = all(jnp.issubdtype(jnp.result_type(operand), jnp.floating) for operand in operands)
    if primitive.name in _SINGULAR and floating:
        bind = _guarded(bind)
    results = bind(*operands)
    return results if primitive.multiple_results else [results]


def _guard_inside(parameter: Any) -> Any:
    """Does to the jaxprs among the parameters of an operation as to the one around it."""
    if isinstance(parameter, tuple):
        return tuple(map(_guard_inside, parameter))
    if isinstance(parameter, ClosedJaxpr):
        run = lambda *arguments: _evaluate(parameter.jaxpr, parameter.consts, arguments)
        return jax.make_jaxpr(run)(*parameter.in_avals)
    return parameter


def _guarded(operation: Callable[..., Array]) -> Callable[..., Array]:
    """An elementwise operation whose partial derivatives are zero where they are not finite."""
    guarded = jax.custom_jvp(operation)

    def derivative(operands: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
        value = operation(*operands)
        total = jnp.zeros_like(value)
        for index, (operand, tangent) in enumerate(zip(operands, tangents, strict=True)):
            if isinstance(tangent, SymbolicZero):
                continue
            others = lambda x, at=index: operation(*operands[:at], x, *operands[at + 1 :])
            _, partial = jax.jvp(others, (operand,), (jnp.ones_like(operand),))
            total += jnp.where(jnp.isfinite(partial), partial, 0) * tangent
        return value, total

    guarded.defjvp(derivative, symbolic_zeros=True)
    return guarded
