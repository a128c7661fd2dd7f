"""A 3x3 convolution whose derivatives of every order are fast: for learning to learn.

A convolution x * k is bilinear, and with it its derivatives. Let K be its transpose by the kernel,
<K(x, g), k> = <g, x * k>. Then the two operations are closed under differentiation:

    cotangent of    x * k, given g      K(x, g), given k
    by x            g * turned(k)       g * turned(k)
    by k or g       K(x, g)             x * k

turned(k) is the kernel turned by 180 degrees with input and output channels exchanged. XLA's own
convolution is not closed: its derivatives are convolutions of ever other forms (dilated, or with
the samples as channels), several of which XLA's CPU backend runs 10 to 25 times slower than the
arithmetic takes. Here there are two operations only, however often and in whichever mode they are
differentiated, each with one implementation a platform. On the CPU x * k is XLA's convolution, run
one kernel after the other under vmap, and so is K: the channels of x are its samples, the samples
its channels, and g its kernel. Elsewhere both are XLA's.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

_SIZE = 3
_PADDING = [(1, 1), (1, 1)]
_TERMS = 1000  # of a sum that a core's caches hold, with 64 channels on either side


def convolve(
    x: Float[Array, "n h w c"], kernel: Float[Array, "3 3 c d"]
) -> Float[Array, "n h w d"]:
    """Correlates with a 3x3 kernel, stride 1, padded with one zero on each side.

    Inside `jax.shard_map` it needs `check_vma=False`.
    """
    return _convolve_p.bind(x[None], kernel[None])[0]


def equal_parts(count: int, most: int) -> int:
    """The size of the largest equal parts of so many things that have `most` at most, or one."""
    return max(size for size in range(1, count + 1) if count % size == 0 and size <= max(most, 1))


def _convolve(x: Array, kernel: Array) -> Array:
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), _PADDING, dimension_numbers=layout)


def _kernel_gradient(x: Array, g: Array) -> Array:
    kernel = jax.ShapeDtypeStruct((_SIZE, _SIZE, x.shape[-1], g.shape[-1]), x.dtype)
    return jax.linear_transpose(partial(_convolve, x), kernel)(g)[0]


def _convolve_on_cpu(x: Array, kernel: Array) -> Array:
    return lax.map(lambda pair: _convolve(*pair), (x, kernel))


def _kernel_gradient_on_cpu(x: Array, g: Array) -> Array:
    _, n, h, w, _ = x.shape
    count = equal_parts(n, _TERMS // (h * w))
    split = lambda array: array.reshape(-1, count, *array.shape[1:])
    more = lambda total, some: (total + _kernel_gradient_of_some(*some), None)
    none = jnp.zeros((x.shape[-1], _SIZE, _SIZE, g.shape[-1]), x.dtype)
    of_one = lambda task: lax.scan(more, none, jax.tree.map(split, task))[0]
    return lax.map(of_one, (x, g)).transpose(0, 2, 3, 1, 4)


def _kernel_gradient_of_some(x: Array, g: Array) -> Array:
    """The gradient by the kernel of one convolution of few samples, input channels first."""
    x, g = x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3)
    return _convolve(*lax.optimization_barrier((x, g)))  # which XLA would undo, slowly


def _turned(kernel: Array) -> Array:
    return jnp.flip(kernel, (1, 2)).swapaxes(3, 4)


def _primitive(
    name: str, function: Callable[[Array, Array], Array], on_cpu: Callable[[Array, Array], Array]
) -> Primitive:
    """One of the two operations.

    Its operands have a leading axis of tasks, on which vmap adds its own.

    Args:
        name: what a jaxpr calls it.
        function: of operands without the axis of tasks.
        on_cpu: the same of operands with it.
    """
    primitive = Primitive(name)
    primitive.def_impl(jax.jit(primitive.bind))

    @primitive.def_abstract_eval
    def _(*operands: jax.core.ShapedArray) -> jax.core.ShapedArray:
        result = jax.eval_shape(jax.vmap(function), *operands)
        return jax.core.ShapedArray(result.shape, result.dtype)

    def batch(operands: Sequence[Array], axes: Sequence[int | None]) -> tuple[Array, int]:
        mapped = jax.vmap(lambda *operands: operands, axes)(*operands)  # the axes first, on all
        size = mapped[0].shape[0]
        merged = (array.reshape(-1, *array.shape[2:]) for array in mapped)
        result = primitive.bind(*merged)
        return result.reshape(size, -1, *result.shape[1:]), 0

    batching.primitive_batchers[primitive] = batch
    lower = lambda implementation: mlir.lower_fun(implementation, multiple_results=False)
    mlir.register_lowering(primitive, lower(jax.vmap(function)))
    mlir.register_lowering(primitive, lower(on_cpu), platform="cpu")
    return primitive


_convolve_p = _primitive("convolve", _convolve, _convolve_on_cpu)
_kernel_gradient_p = _primitive(
    "convolve_kernel_gradient", _kernel_gradient, _kernel_gradient_on_cpu
)

ad.defbilinear(
    _convolve_p,
    lambda g, x, kernel: _convolve_p.bind(g, _turned(kernel)),
    lambda g, x, kernel: _kernel_gradient_p.bind(x, g),
)
ad.defbilinear(
    _kernel_gradient_p,
    lambda kernel, x, g: _convolve_p.bind(g, _turned(kernel)),
    lambda kernel, x, g: _convolve_p.bind(x, kernel),
)
