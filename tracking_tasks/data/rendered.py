"""Rendered videos as annotated sequences, for evaluation."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer import RendererConfig, Video, render
from tracking_tasks.data.sequences import Sequence

_LEAST_VISIBLE = 0.8  # a video starts with the target in view, as benchmarks do


def rendered_videos(
    key: Key[Array, ""], bank: PhotoBank, config: RendererConfig, count: int, frames: int
) -> Iterator[Video]:
    """Renders `count` videos of consecutive frames in which the target is seen in the first."""
    times = jnp.arange(float(frames))
    index = found = 0
    while found < count:
        video = render(jax.random.fold_in(key, index), bank, config, times)
        index += 1
        if video.visible[0] >= _LEAST_VISIBLE:
            found += 1
            yield video


def to_sequence(video: Video, name: str) -> Sequence:
    """Turns a rendered video into a sequence.

    Frames without a visible target carry a zero box, which counts as not annotated. The sequence
    has the attributes that any of its frames has.
    """
    visible = np.asarray(video.visible)
    flags = {name: np.asarray(values) for name, values in video.attributes.items()}
    return Sequence(
        name=name,
        frames=tuple(np.asarray(video.frames)),
        boxes=np.where(visible[:, None] > 0, np.asarray(video.boxes), 0.0).astype(np.float32),
        visible=visible,
        absent=visible == 0,
        frame_attributes=flags,
        attributes=tuple(name for name, values in flags.items() if values.any()),
    )


def rendered_sequences(
    key: Key[Array, ""], bank: PhotoBank, config: RendererConfig, count: int, frames: int
) -> list[Sequence]:
    """The videos of `rendered_videos` as sequences `rendered-001`, `rendered-002`, ..."""
    videos = rendered_videos(key, bank, config, count, frames)
    return [to_sequence(video, f"rendered-{index:03d}") for index, video in enumerate(videos, 1)]
