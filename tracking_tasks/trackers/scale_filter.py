"""How much larger or smaller a target got: a correlation filter over scales, fitted online.

Danelljan, Häger, Khan, Felsberg, "Accurate Scale Estimation for Robust Visual Tracking", BMVC 2014.
Of the features of the target at several scales the filter makes a Gaussian around the true scale;
the fit is a ridge regression over all cyclic shifts of them, in closed form.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Complex, Float

from tracking_tasks import boxes, crops
from tracking_tasks.episode import Frame
from tracking_tasks.peaks import line_peak


@dataclasses.dataclass(frozen=True)
class ScaleFilterConfig:
    """Constants of the filter; "paper" is Danelljan et al. 2014.

    Attributes:
        enabled: whether a tracker has such a filter beside its own way to a size (here; the
            trackers' papers have none).
        scales: number of scales, odd (here; paper 33).
        step: factor from one to the next (here; paper 1.02).
        sigma: standard deviation of the Gaussian in steps (here; paper 1.43).
        regularization: of the ridge regression, lambda (paper).
        learning_rate: share of a frame in the filter, eta (paper).
        followed: share of a change, in its logarithm, that the size follows (here; paper 1).
        patch: side of the picture of the target at a scale, in pixels (here; paper: 512 in all).
        cell: side of a cell of the histograms in pixels (code).
        bins: directions of a gradient without its sign (code).
    """

    enabled: bool = False
    scales: int = 17
    step: float = 1.03
    sigma: float = 1.0
    regularization: float = 0.01
    learning_rate: float = 0.025
    followed: float = 0.6
    patch: int = 16
    cell: int = 4
    bins: int = 9

    @property
    def exponents(self) -> Float[np.ndarray, " scales"]:
        """The scales as powers of `step`."""
        return np.arange(self.scales) - (self.scales - 1) / 2

    @property
    def factors(self) -> Float[np.ndarray, " scales"]:
        """The scales."""
        return self.step**self.exponents


class ScaleFilter(struct.PyTreeNode):
    """The filter of one target (paper, eq. 5), in the Fourier domain of scales.

    Attributes:
        config: constants.
        numerator: of the filter for each feature, A in the paper.
        denominator: of all of them, B.
    """

    config: ScaleFilterConfig = struct.field(pytree_node=False)
    numerator: Complex[Array, "scales d"]
    denominator: Float[Array, " scales"]

    def find(
        self, frame: Frame, center: Float[Array, "2"], size: Float[Array, "2"]
    ) -> Float[Array, ""]:
        """By which power of `step` the target has grown, to a fraction of a step (eq. 6).

        Args:
            frame: the picture.
            center: where the target is, in its pixels.
            size: width and height in the frame before.
        """
        seen = jnp.fft.fft(look(self.config, frame, center, size), axis=0)
        total = jnp.sum(jnp.conj(self.numerator) * seen, 1)
        response = jnp.fft.ifft(total / (self.denominator + self.config.regularization)).real
        return line_peak(response) - (self.config.scales - 1) / 2


def create(config: ScaleFilterConfig, frame: Frame, box: Float[Array, "4"]) -> ScaleFilter | None:
    """Fitted to the first frame's box, x, y, w, h in its pixels; None unless it is enabled."""
    if not config.enabled:
        return None
    return ScaleFilter(config, *_parts(config, look(config, frame, boxes.center(box), box[2:])))


def growth(
    before: ScaleFilter | None,
    frame: Frame,
    center: Float[Array, "2"],
    size: Float[Array, "2"],
    enabled: Bool[Array, ""] | bool = True,
) -> Float[Array, ""]:
    """The factor on a target's width and height since the frame before; 1 without a filter.

    Args:
        before: what was fitted to the frames before.
        frame: the picture.
        center: where the target is, in its pixels.
        size: width and height in the frame before.
        enabled: whether it was found at all, else the factor is 1.
    """
    if before is None:
        return jnp.ones(())
    change = before.find(frame, center, size)
    return before.config.step ** jnp.where(enabled, before.config.followed * change, 0.0)


def learned(
    before: ScaleFilter | None,
    frame: Frame,
    center: Float[Array, "2"],
    size: Float[Array, "2"],
    enabled: Bool[Array, ""] | bool = True,
) -> ScaleFilter | None:
    """The filter that has seen the target so large in a frame (eq. 5), or if not, as it was."""
    if before is None:
        return None
    rate = jnp.where(enabled, before.config.learning_rate, 0.0)
    numerator, denominator = _parts(before.config, look(before.config, frame, center, size))
    return before.replace(
        numerator=(1 - rate) * before.numerator + rate * numerator,
        denominator=(1 - rate) * before.denominator + rate * denominator,
    )


def look(
    config: ScaleFilterConfig,
    frame: Frame,
    center: Float[Array, "2"],
    size: Float[Array, "2"],
) -> Float[Array, "scales d"]:
    """Features of a box at all scales, the outer ones faded out: histograms of its gradients.

    Args:
        config: constants.
        frame: the picture.
        center: of the box, in its pixels.
        size: its width and height.
    """
    seen = jax.vmap(lambda patch: histograms(patch, config.cell, config.bins))(
        patches(config, frame, center, size)
    )
    window = np.hanning(config.scales + 2)[1:-1].astype(np.float32)
    return seen.reshape(config.scales, -1) * window[:, None]


def patches(
    config: ScaleFilterConfig,
    frame: Frame,
    center: Float[Array, "2"],
    size: Float[Array, "2"],
) -> Float[Array, "scales patch patch 3"]:
    """Pictures of a box at all scales, stretched to squares; `look` says what is given.

    The largest is cut from the frame, and the others from it.
    """
    side = 2 * config.patch
    whole = crops.crop(frame.pixels, frame.extent, center, size * config.factors[-1], side)
    weights = _resampling(config, side)
    return jnp.einsum("sih,hwc,sjw->sijc", weights, whole, weights, optimize=True)


def histograms(patch: Float[Array, "s s c"], cell: int, bins: int) -> Float[Array, "m m b"]:
    """Histograms of gradient directions, with and without sign, of square cells.

    Each is divided by the root of the mean energy of the cells around it (Dalal, Triggs,
    "Histograms of Oriented Gradients for Human Detection", CVPR 2005).

    Args:
        patch: an image in 0..255.
        cell: side of a cell in pixels.
        bins: directions without sign; there are twice as many with it.
    """
    dy, dx = jnp.gradient(patch, axis=(0, 1))
    strongest = jnp.argmax(dx**2 + dy**2, -1)[..., None]
    dx, dy = (jnp.take_along_axis(d, strongest, -1)[..., 0] for d in (dx, dy))
    length = jnp.sqrt(dx**2 + dy**2)
    angle = jnp.arctan2(dy, dx) / (2 * jnp.pi) * (2 * bins)
    angle = jnp.where(angle < 0, angle + 2 * bins, angle)
    distance = jnp.abs(angle[..., None] - jnp.arange(2 * bins))
    distance = jnp.minimum(distance, 2 * bins - distance)  # around the circle
    signed = length[..., None] * jnp.maximum(1 - distance, 0.0)
    cells = signed.shape[0] // cell
    # A matrix product: sums over two axes that are apart are several times slower on the CPU.
    along = np.repeat(np.eye(cells, dtype=np.float32), cell, axis=1)
    signed = jnp.matmul(np.kron(along, along), signed.reshape(-1, 2 * bins))
    signed = signed.reshape(cells, cells, -1)
    unsigned = signed[..., :bins] + signed[..., bins:]
    energy = jnp.pad(jnp.sum(unsigned**2, -1), 1, mode="edge")
    around = sum(energy[i : i + cells, j : j + cells] for i in range(3) for j in range(3)) / 9
    both = jnp.concatenate([signed, unsigned], -1)
    return jnp.minimum(both / jnp.sqrt(around + 0.1)[..., None], 1.0)


def _parts(
    config: ScaleFilterConfig, features: Float[Array, "scales d"]
) -> tuple[Complex[Array, "scales d"], Float[Array, " scales"]]:
    """Numerator and denominator of the filter of one frame (eq. 4)."""
    wanted = np.fft.fft(np.exp(-0.5 * (config.exponents / config.sigma) ** 2))
    seen = jnp.fft.fft(features, axis=0)
    return jnp.conj(jnp.asarray(wanted, seen.dtype))[:, None] * seen, jnp.sum(jnp.abs(seen) ** 2, 1)


def _resampling(config: ScaleFilterConfig, side: int) -> Float[np.ndarray, "scales patch side"]:
    """Of each scale the weights that make a patch's pixels of those of the largest, linearly.

    A pixel is the mean over the part of the line that it covers, of four points at least.
    """
    points = 4
    fractions = (np.arange(points * config.patch) + 0.5) / (points * config.patch) - 0.5
    weights = []
    for factor in config.factors / config.factors[-1]:
        position = np.clip((0.5 + factor * fractions) * side - 0.5, 0, side - 1)
        distance = np.abs(position[:, None] - np.arange(side))
        linear = np.maximum(1 - distance, 0)
        weights.append(linear.reshape(config.patch, points, side).mean(1))
    return np.stack(weights).astype(np.float32)
