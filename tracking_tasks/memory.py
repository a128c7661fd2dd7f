"""The sample memory of a tracker: a fixed number of slots with weights."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, Key, PyTree


class SampleMemory(struct.PyTreeNode):
    """Samples of a fixed number of slots and how much each counts.

    Attributes:
        samples: any pytree whose leaves have a leading axis of slots.
        weights: (slots,), summing to 1; an empty slot weighs 0.
        newest: the weight of the sample stored last.
        initial: number of slots, from the first on, that hold the first frame and are kept.
    """

    samples: PyTree
    weights: Float[Array, " slots"]
    newest: Float[Array, ""]
    initial: int = struct.field(pytree_node=False)

    @classmethod
    def create(cls, samples: PyTree, initial: int, slots: int) -> "SampleMemory":
        """A memory of `slots` slots whose first `initial` hold `samples`, equally weighted."""
        padded = [
            jnp.pad(leaf, [(0, slots - initial)] + [(0, 0)] * (leaf.ndim - 1))
            for leaf in jax.tree.leaves(samples)
        ]
        samples = jax.tree.unflatten(jax.tree.structure(samples), padded)
        # Explicit types: a weak one would become strong at the first store, and recompile.
        share = jnp.asarray(1.0 / initial, jnp.float32)
        weights = jnp.where(jnp.arange(slots) < initial, share, 0.0)
        return cls(samples, weights, share, initial)

    def store(
        self,
        sample: PyTree,
        rate: Float[Array, ""],
        initial_share: float,
        enabled: Bool[Array, ""],
    ) -> "SampleMemory":
        """Stores a sample in an empty slot, or in that of the least weight, if `enabled`.

        The weight of the new sample is 1 / (1 - rate) times that of the one before it, so that
        older samples fade at `rate`; the initial samples together never weigh less than
        `initial_share` (Bhat et al. 2019, section 3.7, and their published code, which replaces
        the least-weighted sample where the paper discards the oldest).

        Args:
            sample: leaves like those of `samples` without the leading axis.
            rate: learning rate in [0, 1).
            initial_share: least total weight of the initial samples, in [0, 1].
            enabled: store or leave everything as it is.
        """
        slot = self._next_slot()
        newest = self.newest / (1.0 - rate)
        weights = self.weights.at[slot].set(newest)
        weights = weights / weights.sum()
        weights = self._keep_initial(weights, initial_share)
        # Writing the old content back keeps the update in place, which a choice of whole arrays
        # would not be.
        samples = jax.tree.map(
            lambda stack, new: stack.at[slot].set(jnp.where(enabled, new, stack[slot])),
            self.samples,
            sample,
        )
        return self.replace(
            samples=samples,
            weights=jnp.where(enabled, weights, self.weights),
            newest=jnp.where(enabled, weights[slot], self.newest),
        )

    def _next_slot(self) -> Int[Array, ""]:
        replaceable = jnp.arange(len(self.weights)) >= self.initial
        return jnp.argmin(jnp.where(replaceable, self.weights, jnp.inf))

    def _keep_initial(
        self, weights: Float[Array, " slots"], share: float
    ) -> Float[Array, " slots"]:
        is_initial = jnp.arange(len(weights)) < self.initial
        total = jnp.sum(jnp.where(is_initial, weights, 0.0))
        raised = jnp.where(
            is_initial,
            share / self.initial,
            weights * (1 - share) / (1 - jnp.minimum(total, share)),
        )
        return jnp.where(total < share, raised, weights)


class RecentSamples(struct.PyTreeNode):
    """The newest samples, equally weighted.

    Attributes:
        samples: any pytree whose leaves have a leading axis of slots, used as a ring.
        stored: the number of samples ever stored.
    """

    samples: PyTree
    stored: Int[Array, ""]

    @classmethod
    def create(cls, sample: PyTree, slots: int) -> "RecentSamples":
        """An empty memory for samples like the given one."""
        empty = jax.tree.map(lambda leaf: jnp.zeros((slots, *leaf.shape), leaf.dtype), sample)
        return cls(empty, jnp.zeros((), jnp.int32))

    def store(self, sample: PyTree, enabled: Bool[Array, ""]) -> "RecentSamples":
        """Stores a sample in the place of the oldest, if `enabled`."""
        slot = self.stored % self._slots
        # Writing the old content back keeps the update in place.
        samples = jax.tree.map(
            lambda ring, new: ring.at[slot].set(jnp.where(enabled, new, ring[slot])),
            self.samples,
            sample,
        )
        return RecentSamples(samples, self.stored + enabled)

    def newest(self, count: int) -> PyTree:
        """`count` samples from the oldest kept on, around again if they are fewer; at least one."""
        kept = jnp.clip(self.stored, 1, self._slots)
        chosen = (self.stored - kept + jnp.arange(count) % kept) % self._slots
        return jax.tree.map(lambda ring: ring[chosen], self.samples)

    def draw(self, key: Key[Array, ""], count: int, newest: Int[Array, ""] | int) -> PyTree:
        """`count` random rows of the `newest` samples, whose leaves start with an axis of rows."""
        age_key, row_key = jax.random.split(key)
        kept = jnp.clip(jnp.minimum(self.stored, newest), 1, self._slots)
        slots = (self.stored - 1 - jax.random.randint(age_key, (count,), 0, kept)) % self._slots
        rows = jax.tree.leaves(self.samples)[0].shape[1]
        chosen = jax.random.randint(row_key, (count,), 0, rows)
        return jax.tree.map(lambda ring: ring[slots, chosen], self.samples)

    @property
    def _slots(self) -> int:
        return len(jax.tree.leaves(self.samples)[0])
