"""Data parallelism: episodes are the sharded axis, on one device, many, or many processes."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from metaopt._adjoints import Carry, Loop

AXIS = "episodes"

State = TypeVar("State", bound=PyTree)
Episodes = TypeVar("Episodes", bound=PyTree)


def episode_mesh() -> Mesh:
    """A mesh over all devices, those of every process that `jax.distributed` joined."""
    return jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(AxisType.Auto,))


def distribute(
    mesh: Mesh | AbstractMesh, state: State, episodes: Episodes
) -> tuple[State, Episodes]:
    """Copies the state to every device and deals out the episodes among them.

    A jitted `outer_step` on the results computes the same as on one device: each device takes the
    mean over its episodes, and the compiler adds the sum over devices.

    Args:
        mesh: from `episode_mesh`.
        state: any pytree; with several processes all must hold the same.
        episodes: every leaf has a leading axis of episodes, a multiple of the number of devices.

    Raises:
        ValueError: if the episodes cannot be dealt out evenly.
    """
    counts = {leaf.shape[0] for leaf in jax.tree.leaves(episodes)}
    if any(count % mesh.size for count in counts):
        raise ValueError(
            f"{sorted(counts)} episodes do not divide among {mesh.size} devices: use a multiple."
        )
    everywhere = NamedSharding(mesh, PartitionSpec())
    dealt_out = NamedSharding(mesh, PartitionSpec(AXIS))
    return _put(state, everywhere), _put(episodes, dealt_out)


def _put(tree: PyTree, sharding: NamedSharding) -> Any:
    """`jax.device_put`, for keys too, which it does not place on devices of other processes."""
    # Leaf by leaf: a user's class may refuse numbers where its keys belong.
    leaves, structure = jax.tree.flatten(tree)
    is_key = [jnp.issubdtype(jnp.asarray(leaf).dtype, jax.dtypes.prng_key) for leaf in leaves]
    data = lambda leaf, key: jax.random.key_data(leaf) if key else leaf
    placed = jax.device_put(list(map(data, leaves, is_key)), sharding)
    whole = lambda leaf, key, number: (
        jax.random.wrap_key_data(number, impl=jax.random.key_impl(leaf)) if key else number
    )
    return jax.tree.unflatten(structure, map(whole, leaves, is_key, placed))


def of_every_device(loop: Loop, carry: Carry) -> Carry:
    """Inside of `jax.shard_map`: what a fit starts from, to be moved by each device on its own.

    Params that are the same on all devices, fitted to samples that are not, would have an inner
    gradient summed over the devices, since the derivative by something replicated is. Marked as
    varying they have the gradient of the device's own samples; the outer gradient by them is summed
    as ever.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return carry
    loss = jax.eval_shape(lambda carry: loop.record(carry, loop.last_samples)[0], carry)
    axes = _varying(loss).union(*(_varying(jax.typeof(leaf)) for leaf in jax.tree.leaves(carry)))

    def mark(leaf: Array) -> Array:
        missing = tuple(axes - _varying(jax.typeof(leaf)))
        return jax.lax.pcast(leaf, missing, to="varying") if missing else leaf

    return jax.tree.map(mark, carry)


def mean_over_devices(local: PyTree, params: PyTree) -> PyTree:
    """Inside of `jax.shard_map`: means of the devices' values over what `params` are shared by."""
    shared = frozenset[str]().union(*(_varying(jax.typeof(p)) for p in jax.tree.leaves(params)))

    def mean(leaf: Array) -> Array:
        axes = tuple(_varying(jax.typeof(leaf)) - shared)
        return jax.lax.pmean(leaf, axes) if axes else leaf

    return jax.tree.map(mean, local)


def _varying(aval: Any) -> frozenset[str]:
    """The mesh axes along which a value of shard_map differs from device to device."""
    kind = getattr(aval, "manual_axis_type", None)
    return frozenset(getattr(aval, "vma", ())) if kind is None else frozenset(kind.varying)
