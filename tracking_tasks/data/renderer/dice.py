"""Random draws of many kinds out of few calls of the random number generator."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

_BATCH = 1024


class Dice:
    """Deals out uniform numbers in the order of the program that asks for them.

    A scene needs some eighty random draws; as calls of `jax.random` with a key each they took three
    quarters of the renderer's compilation and a third of its time per video.
    """

    def __init__(self, key: Key[Array, ""]):
        self._key = key
        self._batches = 0
        self._numbers: Float[Array, " rest"] = jnp.zeros(0)

    def uniform(
        self, shape: tuple[int, ...] = (), low: float = 0.0, high: float = 1.0
    ) -> Float[Array, "..."]:
        """Numbers between `low` and `high`."""
        count = int(np.prod(shape))
        while len(self._numbers) < count:
            key = jax.random.fold_in(self._key, self._batches)
            fresh = jax.random.uniform(key, (_BATCH,))
            self._numbers = jnp.concatenate([self._numbers, fresh])
            self._batches += 1
        dealt, self._numbers = self._numbers[:count], self._numbers[count:]
        return low + (high - low) * dealt.reshape(shape)

    def mild(self, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Shares of a strength: anywhere in [0, 1], mostly small."""
        return self.uniform(shape) ** 2

    def normal(self, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Numbers of the standard normal distribution."""
        return jax.scipy.special.ndtri(self.uniform(shape, 1e-6, 1 - 1e-6))

    def happens(
        self, probability: float | Float[Array, "..."], shape: tuple[int, ...] = ()
    ) -> Bool[Array, "..."]:
        """Whether events of the given probability take place."""
        return self.uniform(shape) < probability

    def direction(self, shape: tuple[int, ...] = ()) -> Float[Array, "... 2"]:
        """Unit vectors of the plane."""
        angle = self.uniform(shape, 0.0, 2 * np.pi)
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)

    def index(self, size: int, shape: tuple[int, ...] = ()) -> Int[Array, "..."]:
        """Integers in [0, size)."""
        return jnp.minimum((self.uniform(shape) * size).astype(jnp.int32), size - 1)

    def choose(self, weights: Float[Array, " n"], shape: tuple[int, ...] = ()) -> Int[Array, "..."]:
        """Indices, each with a probability in proportion to its weight; zero weight, never."""
        edges = jnp.cumsum(weights)
        # In (0, total], so that a leading run of zero weights is passed over.
        place = (1 - self.uniform(shape)) * edges[-1]
        return jnp.searchsorted(edges, place, side="left").astype(jnp.int32)
