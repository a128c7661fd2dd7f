"""Rendered videos as annotated sequences, for evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer import RendererConfig, render
from tracking_tasks.data.sequences import Sequence

_LEAST_VISIBLE = 0.8  # a video starts with the target in view, as benchmarks do


def rendered_sequences(
    key: Key[Array, ""], bank: PhotoBank, config: RendererConfig, count: int, frames: int
) -> list[Sequence]:
    """Renders `count` videos of consecutive frames in which the target is seen in the first.

    Frames without a visible target carry a zero box, which counts as not annotated.
    """
    sequences: list[Sequence] = []
    times = jnp.arange(float(frames))
    index = 0
    while len(sequences) < count:
        video = render(jax.random.fold_in(key, index), bank, config, times)
        index += 1
        if video.visible[0] < _LEAST_VISIBLE:
            continue
        shown = np.asarray(video.visible)[:, None] > 0
        sequences.append(
            Sequence(
                name=f"rendered-{len(sequences) + 1:03d}",
                frames=tuple(np.asarray(video.frames)),
                boxes=np.where(shown, np.asarray(video.boxes), 0.0).astype(np.float32),
            )
        )
    return sequences
