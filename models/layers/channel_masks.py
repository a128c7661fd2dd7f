"""A network that tells from a few samples which channels of each layer a target needs.

Jung et al., "Real-Time Object Tracking via Meta-Learning: Efficient Model Adaptation and One-Shot
Channel Pruning", AAAI 2020, section 4.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

Masks = tuple[Float[Array, "_"], ...]


class ChannelMasks(nnx.Module):
    """A perceptron of two layers for each layer that is masked; untrained, it lets all pass.

    Args:
        widths: channels of the layers.
        hidden: units of the perceptrons.
        dropout: share of the units that are left out at a time in training.
        adaptive: whether masks depend on the samples; otherwise they are the same for all.
        rngs: for the initial parameters.
    """

    def __init__(
        self,
        widths: Sequence[int],
        hidden: int,
        dropout: float,
        rngs: nnx.Rngs,
        adaptive: bool = True,
    ) -> None:
        self.first = nnx.List([nnx.Linear(width, hidden, rngs=rngs) for width in widths])
        small = nnx.initializers.normal(0.1 / hidden**0.5)
        last = lambda width: nnx.Linear(
            hidden, width, kernel_init=small, bias_init=nnx.initializers.ones, rngs=rngs
        )
        self.last = nnx.List([last(width) for width in widths])
        self.dropout = dropout
        self.adaptive = adaptive

    def __call__(
        self, seen: Sequence[Float[Array, "n _"]], key: Key[Array, ""] | None = None
    ) -> Masks:
        """A factor for each channel of each layer.

        Args:
            seen: the layers' features of the samples, averaged over space.
            key: for dropout, in training.
        """
        masks = []
        for index, (x, first, last) in enumerate(zip(seen, self.first, self.last, strict=True)):
            units = jax.nn.leaky_relu(first(x if self.adaptive else jnp.zeros_like(x)))
            if key is not None:
                keep = jax.random.bernoulli(
                    jax.random.fold_in(key, index), 1 - self.dropout, units.shape
                )
                units = units * keep / (1 - self.dropout)
            masks.append(last(units).mean(0))
        return tuple(masks)
