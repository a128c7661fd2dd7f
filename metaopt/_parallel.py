"""Data parallelism: episodes are the sharded axis, on one device, many, or many processes."""

from typing import TypeVar

import jax
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

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
    return jax.device_put(state, everywhere), jax.device_put(episodes, dealt_out)
