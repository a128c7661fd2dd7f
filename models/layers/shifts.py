"""Windows of an array along an axis, and sums of shifted arrays: each is the other's transpose.

A convolution by matrix products needs one or both. XLA's own transpose of k shifted slices adds up
k padded arrays, with k reads and k tests of the border for every number: on the CPU that takes
several times as long as the product. Here a transpose is what one would write by hand, in whichever
mode and however often it is differentiated.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class _Shifts:
    """By which shifts an axis is read.

    Attributes:
        axis: of the array without its taps, counted from the end.
        taps: k, the number of shifts.
        before, after: zeros at its ends.
        backwards: whether tap 0 is the last shift, and not the first.
    """

    axis: int
    taps: int
    before: int
    after: int
    backwards: bool = False

    @property
    def transposed(self) -> "_Shifts":
        """Those of the other operation that is the transpose."""
        most = self.taps - 1
        return dataclasses.replace(
            self,
            before=most - self.before,
            after=most - self.after,
            backwards=not self.backwards,
        )

    def slices(self, x: Array, axis: int) -> list[Array]:
        """The shifted arrays, tap by tap."""
        ends = self.before, self.after, 0  # where they are negative, entries are left out
        none = jnp.zeros((), x.dtype)
        padded = lax.pad(x, none, [ends if i == axis else (0, 0, 0) for i in range(x.ndim)])
        length = padded.shape[axis] - self.taps + 1
        starts = range(self.taps)
        return [
            lax.slice_in_dim(padded, start, start + length, axis=axis)
            for start in (reversed(starts) if self.backwards else starts)
        ]


def windows(
    x: Float[Array, "*shape c"], axis: int, taps: int, padding: int
) -> Float[Array, "*other taps c"]:
    """What `taps` neighbours along an axis see: entry i, tap j is entry i + j of the padded axis.

    Args:
        x: an array of two axes or more.
        axis: along which, not the last one; counted from the end, negative.
        taps: the number of neighbours.
        padding: zeros at either end.

    Returns:
        The windows, tap after tap on an axis before the last; its other axes are those of x, of
        which one has 2 `padding` - `taps` + 1 entries more.
    """
    return _windows_p.bind(x, shifts=_Shifts(axis, taps, padding, padding))


def shifted_sum(
    y: Float[Array, "*shape taps c"], axis: int, padding: int
) -> Float[Array, "*other c"]:
    """The sum over taps of entry i + j of the padded axis for tap j.

    Args:
        y: an array of three axes or more.
        axis: along which, as it is counted in the result.
        padding: zeros at either end.
    """
    return _shifted_sum_p.bind(y, shifts=_Shifts(axis, y.shape[-2], padding, padding))


def _windows(x: Array, *, shifts: _Shifts) -> Array:
    return jnp.stack(shifts.slices(x, x.ndim + shifts.axis), -2)


def _shifted_sum(y: Array, *, shifts: _Shifts) -> Array:
    slices = shifts.slices(y, y.ndim - 1 + shifts.axis)
    return functools.reduce(lax.add, [part[..., tap, :] for tap, part in enumerate(slices)])


def _linear(name: str, function: Callable[..., Array]) -> Primitive:
    """One of the two operations; vmap puts its axis before all others."""
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames="shifts"))

    @primitive.def_abstract_eval
    def _(operand: jax.core.ShapedArray, **static: Any) -> jax.core.ShapedArray:
        result = jax.eval_shape(functools.partial(function, **static), operand)
        return jax.core.ShapedArray(result.shape, result.dtype)

    def batch(operands: tuple[Array], axes: tuple[int], **static: Any) -> tuple[Array, int]:
        return primitive.bind(jnp.moveaxis(operands[0], axes[0], 0), **static), 0

    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))
    return primitive


_windows_p = _linear("windows", _windows)
_shifted_sum_p = _linear("shifted_sum", _shifted_sum)
ad.deflinear2(_windows_p, lambda g, _, shifts: [_shifted_sum_p.bind(g, shifts=shifts.transposed)])
ad.deflinear2(_shifted_sum_p, lambda g, _, shifts: [_windows_p.bind(g, shifts=shifts.transposed)])
