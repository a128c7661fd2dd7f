"""Clips from packed data sets, by grain: what recorded episodes are cut from.

A clip is a pure function of its number and the seed. So any batch can be had at once, a training
that is resumed sees what it would have seen, and several processes share the work.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import grain
import jax
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from basics.images import open_image
from tracking_tasks.data.episodes import Clip
from tracking_tasks.data.packed import PackedDataset, PackedSequence
from tracking_tasks.episode import EpisodeConfig

_DEVIATIONS = 2.0  # of a crop's random scale that a window leaves room for
_MULTIPLE = 16  # of a window's side in pixels


@dataclasses.dataclass(frozen=True)
class Window:
    """The square around a target that its jittered crops are cut from.

    It is made on the host, so that frames of all sizes go to the device in one small shape.

    Attributes:
        reach: its side, in square roots of the target's area.
        size: its side in pixels at most: crops then lose no resolution.
    """

    reach: float
    size: int

    @classmethod
    def of(cls, config: EpisodeConfig) -> "Window":
        """The window that holds the crops of these episodes, all but the rare largest."""
        scale = math.exp(_DEVIATIONS * max(config.support_scale, config.query_scale))
        shift = max(config.support_shift, config.query_shift)
        reach = scale * (config.search_factor + min(shift, config.search_factor - 1))
        pixels = reach * config.crop_size / config.search_factor
        return cls(reach, _MULTIPLE * math.ceil(pixels / _MULTIPLE))

    def cut(
        self, encoded: bytes, box: Float[np.ndarray, "4"]
    ) -> tuple[UInt8[np.ndarray, "size size 3"], Int[np.ndarray, "2"], Float[np.ndarray, "4"]]:
        """Cuts the window around a box.

        Args:
            encoded: the frame, an image file; a JPEG is decoded no finer than is needed.
            box: x, y, w, h in its pixels.

        Returns:
            The part of the window that lies in the picture, in the upper left; its width and
            height there; and the box there.
        """
        with open_image(encoded) as image:
            frame = np.asarray(image.size)
            side = self.reach * math.sqrt(max(box[2] * box[3], 1.0))
            center = box[:2] + box[2:] / 2
            low = np.clip(np.floor(center - side / 2), 0, frame - 1).astype(int)
            high = np.clip(np.ceil(center + side / 2), low + 1, frame).astype(int)
            shrink = min(self.size / (high - low).max(), 1.0)
            extent = np.maximum(np.rint((high - low) * shrink), 1).astype(np.int32)

            image.draft("RGB", tuple(np.ceil(frame * shrink).astype(int)))
            decoded = np.asarray(image.size) / frame
            part = image.convert("RGB").resize(
                tuple(extent), Image.Resampling.BILINEAR, box=(*(low * decoded), *(high * decoded))
            )
        pixels = np.zeros((self.size, self.size, 3), np.uint8)
        pixels[: extent[1], : extent[0]] = np.asarray(part)
        scale = extent / (high - low)
        moved = np.concatenate([(box[:2] - low) * scale, box[2:] * scale])
        return pixels, extent, moved.astype(np.float32)


def choose_frames(
    generator: np.random.Generator, seen: Bool[np.ndarray, " frames"], config: EpisodeConfig
) -> Int[np.ndarray, " support_plus_query"]:
    """Draws the support from the first half of a random segment and the query from the second.

    Bhat et al. 2019, section 3.6: a segment is `config.segment` frames long, or as long as the
    video if that is shorter, and only frames that show the target are drawn. Where no segment shows
    it in both halves, the support comes from the first half of all frames that show it and the
    query from the second; a still image is both. With `config.in_order`, of the frames that show it
    a random segment at equal distances.

    Args:
        generator: what draws.
        seen: which frames show the target; at least one.
        config: how many frames, from how long a segment.

    Returns:
        Numbers of frames, in order in either part; a frame repeats only where there are too few.
    """
    if config.in_order:
        shown, frames = np.flatnonzero(seen), config.support + config.query
        span = min(int(config.segment), len(shown))
        start = generator.integers(len(shown) - span + 1)
        return shown[start + span * np.arange(frames) // frames]
    half = min(int(config.segment), len(seen)) // 2
    total = np.concatenate([[0], np.cumsum(seen)])
    starts = np.arange(len(seen) - 2 * half + 1)
    early = total[starts + half] > total[starts]
    late = total[starts + 2 * half] > total[starts + half]
    shown = np.flatnonzero(seen)
    first, second = shown[: (len(shown) + 1) // 2], shown[len(shown) // 2 :]
    if (early & late).any():
        start = generator.choice(starts[early & late])
        first = shown[(shown >= start) & (shown < start + half)]
        second = shown[(shown >= start + half) & (shown < start + 2 * half)]
    draw = lambda frames, n: np.sort(generator.choice(frames, n, replace=len(frames) < n))
    return np.concatenate([draw(first, config.support), draw(second, config.query)])


def clips(
    datasets: Sequence[PackedDataset],
    weights: Sequence[float],
    config: EpisodeConfig,
    seed: int,
) -> grain.MapDataset:
    """An endless row of seeds and clips, for `cut_episodes`.

    Each data set is passed through again and again, its sequences in a new random order each time;
    the data sets take turns in proportion to their weights.

    Args:
        datasets: at least one.
        weights: of the data sets; positive.
        config: how episodes are cut from them.
        seed: of everything random.
    """
    window = Window.of(config)
    rows = []
    for index, dataset in enumerate(datasets):
        own_seed = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
        sequences = grain.MapDataset.source(dataset).seed(own_seed).shuffle().repeat()
        sample = functools.partial(_sample, dataset=dataset, window=window, config=config)
        rows.append(sequences.random_map(sample))
    return grain.MapDataset.mix(rows, weights)


def _sample(
    sequence: PackedSequence,
    generator: np.random.Generator,
    dataset: PackedDataset,
    window: Window,
    config: EpisodeConfig,
) -> tuple[np.uint32, Clip]:
    # Where the target is hardly ever seen, its best frames count for nothing but keep the shape.
    enough = min(config.min_visible, sequence.visible.max())
    seen = sequence.visible >= enough
    if config.backwards and generator.random() < config.backwards:
        chosen = len(seen) - 1 - choose_frames(generator, seen[::-1], config)
    else:
        chosen = choose_frames(generator, seen, config)
    cut = {
        number: window.cut(dataset.image(sequence.first + number), sequence.boxes[number])
        for number in set(chosen.tolist())
    }
    parts = [(*cut[number], sequence.visible[number]) for number in chosen.tolist()]
    seed = generator.integers(2**32, dtype=np.uint32)
    return seed, Clip(*jax.tree.map(lambda *rows: np.stack(rows), *parts))
