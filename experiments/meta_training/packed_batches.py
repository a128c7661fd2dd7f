"""Batches of episodes from packed data sets, alone or joined with rendered ones."""

import functools
import os
from collections.abc import Callable, Sequence

import grain
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import metaopt
from experiments.meta_training.training import Batches, TrainingConfig
from tracking_tasks.data import sampling
from tracking_tasks.data.episodes import EpisodeConfig, cut_episodes
from tracking_tasks.data.packed import PackedDataset
from tracking_tasks.episode import Episode

_BATCHES_AHEAD = 2
_DEALT_OUT = PartitionSpec("episodes")


def packed_batches(
    datasets: Sequence[PackedDataset], weights: Sequence[float], config: TrainingConfig
) -> Batches:
    """The batch of episodes of each outer step: a pure function of the seed and the step.

    Threads read and decode the clips of the next steps meanwhile; each process does so for its
    share only, and each device cuts its share. A step out of order costs what was read ahead.

    Args:
        datasets: packed data sets.
        weights: of the data sets; positive.
        config: `episodes` must be a multiple of the number of devices.
    """
    mesh = metaopt.episode_mesh()
    clips = sampling.clips(datasets, weights, config.episode, config.seed)
    share = process_share(clips, config.episodes, jax.process_index(), jax.process_count())
    sharding = NamedSharding(mesh, _DEALT_OUT)
    place = functools.partial(jax.make_array_from_process_local_data, sharding)
    cut = _cutter(mesh, config.episode)

    def batch(index: int) -> Episode:
        if grain.experimental.get_next_index(share) != index:
            grain.experimental.set_next_index(share, index)
        seeds, clip = jax.tree.map(place, next(share))
        return cut(seeds, clip)

    return batch


def process_share(
    clips: grain.MapDataset, episodes: int, process: int, processes: int
) -> grain.DatasetIterator:
    """One process's part of every batch of clips, read ahead: each takes every `processes`-th."""
    own = episodes // processes
    ahead = grain.ReadOptions(
        num_threads=min(os.cpu_count() or 1, own), prefetch_buffer_size=_BATCHES_AHEAD * own
    )
    return iter(clips[process::processes].to_iter_dataset(ahead).batch(own))


def joined_batches(parts: Sequence[Batches]) -> Batches:
    """Batches that hold the episodes of several; each device keeps those that it has."""
    join = _joiner(metaopt.episode_mesh(), len(parts))
    return lambda index: join(*(part(index) for part in parts))


@functools.cache
def _cutter(mesh: Mesh, config: EpisodeConfig) -> Callable[..., Episode]:
    cut = functools.partial(cut_episodes, config=config)
    return jax.jit(
        jax.shard_map(cut, mesh=mesh, in_specs=_DEALT_OUT, out_specs=_DEALT_OUT, check_vma=False)
    )


@functools.cache
def _joiner(mesh: Mesh, parts: int) -> Callable[..., Episode]:
    join = lambda *episodes: jax.tree.map(lambda *rows: jnp.concatenate(rows), *episodes)
    return jax.jit(
        jax.shard_map(
            join, mesh=mesh, in_specs=(_DEALT_OUT,) * parts, out_specs=_DEALT_OUT, check_vma=False
        )
    )
