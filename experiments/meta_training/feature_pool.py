"""A pool of episodes whose frames are rendered, and seen by the frozen backbone, once.

What a frozen backbone sees in a frame never changes. A training that meets each episode several
times therefore keeps the features in place of the frames: its outer steps cost a small part of one
that renders.
"""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from tqdm import tqdm

import metaopt
from basics import tensors
from basics.errors import InputError
from experiments.meta_training.training import Batches, TrainingConfig
from models import Backbone, Features
from tracking_tasks.episode import Episode

_Leaves = dict[str, np.ndarray]
_IMAGES = ("support_images", "query_images")
_OTHERS = ("support_boxes", "support_weights", "query_boxes", "query_weights")


def pooled_batches(
    batches: Batches, backbone: Backbone, config: TrainingConfig, count: int, folder: pathlib.Path
) -> Batches:
    """The batch of each outer step, drawn from the first `count` of `batches`.

    Every pass through the pool meets its episodes in another order, with other random keys; what a
    step draws is a pure function of the seed and the step.

    Args:
        batches: episodes with images.
        backbone: what sees them.
        config: says how many episodes a batch has, and the seed.
        count: batches in the pool.
        folder: where they are kept, half precision, about 4 MB each; what lies there is not done
            again.

    Raises:
        InputError: a file in the folder is damaged or of another run.
    """
    if jax.process_count() > 1:
        raise InputError("--pool is for a single process: leave it out")
    pool: _Leaves = {}
    for index in tqdm(range(count), "pool of episodes"):
        path = folder / f"{index:05d}.safetensors"
        if not path.is_file():
            seen = _flatten(batches(index), backbone)
            tensors.write(path, seen, {"format": "metaopt pool 1"})
        try:
            leaves = tensors.read(path)
            pool = pool or {
                name: np.empty((count, *x.shape), x.dtype) for name, x in leaves.items()
            }
            for name, together in pool.items():
                together[index] = leaves[name]
        except (safetensors.SafetensorError, ValueError, KeyError, OSError) as error:
            raise InputError(f"{path} is damaged or of another run: delete {folder}") from error
    episodes = {name: leaf.reshape(-1, *leaf.shape[2:]) for name, leaf in pool.items()}
    mesh, key = metaopt.episode_mesh(), jax.random.key(config.seed)

    def batch(step: int) -> Episode:
        again, place = divmod(step, count)
        order = np.random.default_rng((config.seed, again)).permutation(count * config.episodes)
        chosen = order[place * config.episodes :][: config.episodes]
        keys = jax.random.split(jax.random.fold_in(key, step), config.episodes)
        episode = _unflatten({name: leaf[chosen] for name, leaf in episodes.items()}, keys)
        return metaopt.distribute(mesh, None, episode)[1]

    return batch


def _flatten(episode: Episode, backbone: Backbone) -> _Leaves:
    leaves = {name: np.asarray(getattr(episode, name)) for name in _OTHERS}
    for name in _IMAGES:
        features = _see(backbone, getattr(episode, name))
        leaves |= {f"{name}.{level}": np.asarray(x) for level, x in features._asdict().items()}
    return leaves


def _unflatten(leaves: _Leaves, keys: jax.Array) -> Episode:
    level = lambda name, at: jnp.asarray(leaves[f"{name}.{at}"], jnp.float32)
    fields: dict[str, Any] = {name: jnp.asarray(leaves[name]) for name in _OTHERS}
    for name in _IMAGES:
        fields[name] = Features(*(level(name, at) for at in Features._fields))
    return Episode(**fields, key=keys)


@jax.jit
def _see(backbone: Backbone, images: jax.Array) -> Features:
    """The features of (episodes, frames) images, in half precision."""
    seen = backbone(images.reshape(-1, *images.shape[2:]))
    return Features(*(x.reshape(*images.shape[:2], *x.shape[1:]).astype(jnp.float16) for x in seen))
