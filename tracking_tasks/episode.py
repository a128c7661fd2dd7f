"""What trackers and data share: frames, predictions, and episodes, the tasks of meta-training."""

import dataclasses
from typing import NamedTuple

import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, UInt8


class Frame(NamedTuple):
    """A frame padded to a fixed shape, so that one compiled program serves many frame sizes.

    Attributes:
        pixels: RGB.
        extent: width and height of the picture, which lies in the upper left corner.
    """

    pixels: UInt8[Array, "h w 3"]
    extent: Int[Array, "2"]


class Prediction(NamedTuple):
    """Where the target is.

    Attributes:
        box: x, y, w, h in frame pixels.
        score: about 1 for a clearly seen target.
        present: False where the target is lost, hidden or away.
        undone: True where the tracker would have learned what is not finite, and did not.
    """

    box: Float[Array | np.ndarray, "4"]
    score: Float[Array, ""] | float
    present: Bool[Array, ""] | bool = True
    undone: Bool[Array, ""] | bool = False

    def on_host(self) -> "Prediction":
        """The same as plain numbers, and as an array that may be written to."""
        return Prediction(
            np.array(self.box), float(self.score), bool(self.present), bool(self.undone)
        )


@dataclasses.dataclass(frozen=True)
class DegradationConfig:
    """How bad videos get in training; all values "here". Lengths are in pixels of a crop.

    Attributes:
        share: of the videos that are degraded at all.
        other: of those, the share whose query is degraded in another way than its support.
        each: probability of each kind of degradation in a degraded video.
        dark: largest natural logarithm of the factor by which light is dimmed.
        gamma: largest natural logarithm of the exponent on the light, and of its inverse.
        haze: largest share of the contrast that is lost.
        tint: largest natural logarithm of a channel's gain, and of its inverse.
        grey: probability that a degraded video has no colour; others may have lost a part of it.
        blur: largest standard deviation of a Gaussian blur.
        motion: longest path of motion blur.
        shrink: largest factor by which the picture is made smaller.
        noise: largest standard deviation of noise in grey levels.
        step: largest quantization step of block compression in grey levels.
    """

    share: float = 0.0
    other: float = 0.25
    each: float = 0.35
    dark: float = 2.0
    gamma: float = 0.7
    haze: float = 0.8
    tint: float = 0.3
    grey: float = 0.3
    blur: float = 2.5
    motion: float = 14.0
    shrink: float = 4.0
    noise: float = 20.0
    step: float = 48.0


@dataclasses.dataclass(frozen=True)
class EpisodeConfig:
    """How a tracker wants its episodes cut from videos.

    The defaults are those of Bhat et al. 2019 ("paper"), section 3.6, and its published code.

    Attributes:
        crop_size: side of the crops in pixels.
        search_factor: side of a crop in square roots of the target's area.
        support: support frames, from the first half of a segment (paper: 3).
        query: query frames, from its second half (paper: 3).
        segment: length of a segment in frames (paper: 60).
        in_order: instead, support and then query follow each other at equal distances: a clip.
        views: each support frame is seen in these ways: factors on the target's width and height.
        support_shift, query_shift: largest displacement of a crop from the target along an axis,
            in halves of the square root of the target's area (code: 3 and 4.5; here less, since
            photographs end close to their objects).
        support_scale, query_scale: standard deviation of the natural logarithm of a random factor
            on the side of a crop (code: 0.25 and 0.5; here less, as is met in tracking).
        query_stretch: largest natural logarithm of a random factor on the target's width, and of
            its inverse on the height.
        brightness: largest relative change of a frame's brightness (code: 0.2).
        grayscale: probability that a whole episode is grey (code: 0.05).
        min_visible: a frame that shows less than this share of the target counts for nothing.
        backwards: probability that a recorded video is played backwards (here).
        mirrored: probability that left and right of an episode are swapped (here).
        degradation: how often and how strongly its frames are degraded (here).
    """

    crop_size: int = 192
    search_factor: float = 5.0
    support: int = 3
    query: int = 3
    segment: float = 60.0
    in_order: bool = False
    views: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    support_shift: float = 2.0
    query_shift: float = 3.0
    support_scale: float = 0.15
    query_scale: float = 0.25
    query_stretch: float = 0.0
    brightness: float = 0.2
    grayscale: float = 0.05
    min_visible: float = 0.3
    backwards: float = 0.0
    mirrored: float = 0.0
    degradation: DegradationConfig = DegradationConfig()


class Episode(struct.PyTreeNode):
    """One simulated task: support samples to fit on and query samples to be judged on.

    A batch of episodes is an Episode whose leaves have a leading axis.

    Attributes:
        support_images: (n, s, s, 3), RGB in 0..255, square crops around the target; or the
            features that the tracker's backbone sees there.
        support_boxes: (n, 4), x, y, w, h in pixels of the crop.
        support_weights: (n,), how much each counts: their sum is 1, or 0 if none shows the target.
        query_images: (m, s, s, 3), of later frames; or likewise.
        query_boxes: (m, 4).
        query_weights: (m,), as the support's.
        key: for what an outer loss draws at random, such as proposals of boxes.
    """

    support_images: PyTree[Float[Array, "..."]]
    support_boxes: Float[Array, "*batch n 4"]
    support_weights: Float[Array, "*batch n"]
    query_images: PyTree[Float[Array, "..."]]
    query_boxes: Float[Array, "*batch m 4"]
    query_weights: Float[Array, "*batch m"]
    key: Key[Array, "*batch"]
