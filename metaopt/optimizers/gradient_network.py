"""A network that turns the gradient into the step: the rule of GradNet."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from metaopt._objectives import Objective
from metaopt._pytree import Pytree, static
from metaopt.optimizers._base import InnerOptimizer, register, require_same_structure

_KERNEL_SIZE = 3


class Layer(Pytree):
    """One layer of the shape of a leaf.

    Attributes:
        kernel: (3 * 3 * c, c) for "conv", (c, c) for "dense", with c the leaf's last axis; a scalar
            for "coordinate".
        bias: (c,), or a scalar for "coordinate".
        kind: how it is applied.
        rank: of the leaf.
    """

    kernel: Array
    bias: Array
    kind: str = static()
    rank: int = static()

    @classmethod
    def negative(cls, kind: str, leaf: PyTree) -> "Layer":
        """The layer that returns minus its input."""
        if kind == "coordinate":
            return cls(-jnp.ones(()), jnp.zeros(()), kind, leaf.ndim)
        channels = leaf.shape[-1]
        kernel = -jnp.eye(channels)
        if kind == "conv":
            taps = _KERNEL_SIZE**2
            kernel = jnp.zeros((taps, channels, channels)).at[taps // 2].set(kernel)
        return cls(kernel.reshape(-1, channels), jnp.zeros(channels), kind, leaf.ndim)

    def __call__(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        if self.kind == "coordinate":
            return self.kernel * x + self.bias
        return (_patches(x) if self.kind == "conv" else x) @ self.kernel + self.bias


class GradientNetwork(InnerOptimizer):
    """Adds to the params what a network makes of their gradient.

        params <- params + bound * tanh(U(gradient_scale * gradient) / bound)

    (Li et al., "GradNet: Gradient-Guided Network for Visual Object Tracking", ICCV 2019, eq. 6; the
    scale, 1e4 there, and the tanh, with a bound of 1, are their published code's. Its batch
    normalization is left out: at test time it is part of the layer.) U has one layer for each leaf,
    the same at every step:

    - "conv", where the last three axes are height, width and channels: 3x3, zero-padded, all
      channels to all channels. The default for leaves of rank 3 or more.
    - "dense", along the last axis. The default for rank 2.
    - "coordinate", one weight and one bias that all coordinates of the leaf share. The default for
      vectors and scalars.

    U starts as minus the identity, so that untrained this is gradient descent by the rate
    `gradient_scale`, each coordinate's step bounded.

    Args:
        params: inner parameters of the shapes to be fitted.
        gradient_scale: what brings the gradients near 1, positive.
        bound: largest step of a coordinate, positive.
        kinds: a pytree like the params (or a prefix of it) of "conv", "dense", "coordinate"; the
            defaults above if not given.

    Attributes:
        log_gradient_scale: logarithm of `gradient_scale`.
        log_bound: logarithm of `bound`.
        layers: a pytree like the params, of `Layer`.

    Raises:
        ValueError: if a kind is unknown or a leaf lacks the axes for it.
    """

    log_gradient_scale: Float[Array, ""]
    log_bound: Float[Array, ""]
    layers: PyTree

    def __init__(
        self,
        params: PyTree,
        *,
        gradient_scale: float = 1e4,
        bound: float = 1.0,
        kinds: PyTree = None,
    ) -> None:
        params = jax.eval_shape(lambda params: params, params)
        if kinds is None:
            kinds = jax.tree.map(_default_kind, params)
        kinds = jax.tree.broadcast(kinds, params)
        jax.tree.map(_check, kinds, params)
        self._set(
            log_gradient_scale=jnp.log(jnp.asarray(gradient_scale, float)),
            log_bound=jnp.log(jnp.asarray(bound, float)),
            layers=jax.tree.map(Layer.negative, kinds, params),
        )

    @property
    def fits_any_shapes(self) -> bool:
        """No: its layers are of the shapes of the leaves."""
        return False

    def init(self, params: PyTree) -> tuple[()]:
        """Nothing: the rule has no memory."""
        is_layer = lambda node: isinstance(node, Layer)
        require_same_structure(self, self.layers, params, is_leaf=is_layer)
        layers = jax.tree.leaves(self.layers, is_leaf=is_layer)
        for layer, leaf in zip(layers, jax.tree.leaves(params), strict=True):
            channels = layer.bias.shape or leaf.shape[-1:]
            if (layer.rank, channels) != (leaf.ndim, leaf.shape[-1:]):
                raise ValueError(
                    f"GradientNetwork has a layer for a leaf of rank {layer.rank} with channels "
                    f"{channels}, and the leaf has shape {leaf.shape}: make it for these params."
                )
        return ()

    def step(
        self, objective: Objective, params: PyTree, state: tuple[()], batch: PyTree
    ) -> tuple[PyTree, tuple[()]]:
        scale, bound = jnp.exp(self.log_gradient_scale), jnp.exp(self.log_bound)

        def move(p: Array, gradient: Array, layer: Layer) -> Array:
            change = layer(scale * gradient.astype(scale.dtype))
            return p + (bound * jnp.tanh(change / bound)).astype(p.dtype)

        # Of the layers, which are pytrees too, `tree.map` takes those at the places of the leaves.
        return jax.tree.map(move, params, objective.gradient(params, batch), self.layers), state


def _default_kind(leaf: Array | jax.ShapeDtypeStruct) -> str:
    return "conv" if leaf.ndim >= 3 else "dense" if leaf.ndim == 2 else "coordinate"


def _check(kind: str, leaf: Array | jax.ShapeDtypeStruct) -> None:
    axes = {"conv": 3, "dense": 1, "coordinate": 0}
    if kind not in axes:
        raise ValueError(f"unknown kind of layer {kind!r}; known are {', '.join(axes)}.")
    if leaf.ndim < axes[kind]:
        raise ValueError(
            f"a {kind!r} layer needs {axes[kind]} axes or more, and a leaf has shape {leaf.shape}; "
            'choose "coordinate" for it.'
        )


def _patches(x: Float[Array, "*n h w c"]) -> Float[Array, "*n h w taps_c"]:
    """The zero-padded 3x3 neighbourhood of every cell.

    A convolution is then one matrix product, whose second derivatives are fast on the CPU too.
    """
    h, w = x.shape[-3:-1]
    border = _KERNEL_SIZE // 2
    margins = [(0, 0)] * (x.ndim - 3) + [(border, border), (border, border), (0, 0)]
    padded = jnp.pad(x, margins)
    taps = [
        padded[..., row : row + h, column : column + w, :]
        for row in range(_KERNEL_SIZE)
        for column in range(_KERNEL_SIZE)
    ]
    return jnp.concatenate(taps, axis=-1)


@register("gradient_network")
def _untrained(params: PyTree, *, steps: int, rate: float) -> GradientNetwork:
    return GradientNetwork(params, gradient_scale=rate)
