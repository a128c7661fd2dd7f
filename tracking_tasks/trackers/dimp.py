"""DiMP: a target filter fitted by steepest descent on a learned discriminative loss.

Bhat, Danelljan, Van Gool, Timofte, "Learning Discriminative Model Prediction for Tracking", ICCV
2019. The box size comes from a search over scales.
"""

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PyTree

import metaopt
from models import EfficientNetLite0, FilterHead, correlate, to_cells
from models.filter_head import STRIDE
from tracking_tasks import augmentation, boxes, crops, labels
from tracking_tasks.localization import LocalizationConfig, Trust, locate
from tracking_tasks.losses import (
    DiscriminativeLoss,
    DiscriminativeLossConfig,
    FilterSamples,
    hinge_error,
)
from tracking_tasks.memory import SampleMemory
from tracking_tasks.trackers._base import Adaptation, Episode, Frame, Prediction, Tracker


@dataclasses.dataclass(frozen=True)
class DiMPConfig:
    """Every constant of the tracker.

    "paper" is Bhat et al. 2019, "code" the published one (parameter/dimp/dimp50.py), "here" a value
    that this project chose for its backbone.

    Attributes:
        crop_size: side of the search region in pixels, a multiple of 16 (here; code 288).
        search_factor: side of the search region in square roots of the target's area (code).
        filter_size: side of the filter in cells (here, about one target; paper 4 of stride 16).
        channels: of the backbone's two levels together.
        loss: the learned loss.
        label_sigma: of the outer label, in target sizes (paper, section 3.6).
        hinge_threshold: T of eq. 8 (paper).
        initializer: start the fit from the initializer's filter, else from zero.
        train_steps: steps of the fit in meta-training, N_iter (paper).
        initial_rate: step length from which rules with learned rates start (here).
        first_frame: augmentation of the first frame.
        init_steps: steps on the first frame (paper).
        update: how the filter follows the target: "fit" to the sample memory (paper, section 3.7),
            "average" with the filter predicted from each frame alone, at `learning_rate`, or "none"
            (both paper, Table 3).
        update_steps: steps of a regular update (paper).
        update_interval: frames between regular updates (paper).
        hard_negative_steps: steps when a look-alike shows up (paper).
        memory_size: slots of the sample memory (paper).
        learning_rate: by which the weight of a sample exceeds the one before (code).
        hard_negative_rate: the same for a frame with a look-alike (code).
        initial_share: least weight of all first-frame samples together (code).
        localization: thresholds of the peaks.
        scales: factors of the search region that are tried (here).
        scale_penalty: factor on the score of a changed scale (here).
        scale_rate: share of a scale change that is followed (here).
        least_inside: share of the box that is kept inside the frame (code).
    """

    crop_size: int = 192
    search_factor: float = 5.0
    filter_size: int = 5
    channels: int = 152
    loss: DiscriminativeLossConfig = DiscriminativeLossConfig(label_sigma=1.2, mask_radius=2.7)
    label_sigma: float = 0.25
    hinge_threshold: float = 0.05
    initializer: bool = True
    train_steps: int = 5
    initial_rate: float = 0.03
    first_frame: augmentation.AugmentationConfig = augmentation.AugmentationConfig()
    init_steps: int = 10
    update: Literal["fit", "average", "none"] = "fit"
    update_steps: int = 2
    update_interval: int = 20
    hard_negative_steps: int = 1
    memory_size: int = 50
    learning_rate: float = 0.01
    hard_negative_rate: float = 0.02
    initial_share: float = 0.25
    localization: LocalizationConfig = LocalizationConfig()
    scales: tuple[float, ...] = (1 / 1.04, 1.0, 1.04)
    scale_penalty: float = 0.985
    scale_rate: float = 0.6
    least_inside: float = 0.2

    @property
    def target_cells(self) -> float:
        """Square root of the target's area on the grid, in cells."""
        return self.crop_size / self.search_factor / STRIDE


class DiMPState(struct.PyTreeNode):
    """The online state.

    Attributes:
        center: x, y of the target in frame pixels.
        size: its width and height in frame pixels.
        smallest: lower bound of the size, in frame pixels.
        target_filter: the inner parameters.
        rule_state: the state of the inner optimizer.
        memory: samples with `features` and `centers` (in cells).
        frames: number of frames since the first.
    """

    center: Float[Array, "2"]
    size: Float[Array, "2"]
    smallest: Float[Array, "2"]
    target_filter: Float[Array, "k k c"]
    rule_state: PyTree
    memory: SampleMemory
    frames: Int[Array, ""]


class DiMP(Tracker):
    """See the module; `head` and `loss` are meta-trained together with the inner optimizer."""

    name: ClassVar[str] = "dimp"
    config_type: ClassVar[type] = DiMPConfig
    default_rule: ClassVar[str] = "steepest_descent"

    head: FilterHead
    loss: DiscriminativeLoss

    @classmethod
    def create(
        cls,
        rule: str = default_rule,
        config: DiMPConfig | None = None,
        backbone: EfficientNetLite0 | None = None,
    ) -> "DiMP":
        config = config or DiMPConfig()
        size = config.filter_size
        target_filter = jax.ShapeDtypeStruct((size, size, config.channels), jnp.float32)
        return cls(
            config=config,
            backbone=backbone or EfficientNetLite0.pretrained(),
            optimizer=metaopt.optimizers.make(
                rule, target_filter, steps=config.train_steps, rate=config.initial_rate
            ),
            head=FilterHead(config.channels, size),
            loss=DiscriminativeLoss(config.loss),
        )

    def features(self, images: Float[Array, "n s s 3"]) -> Float[Array, "n h w c"]:
        """Classification features of square crops."""
        return self.head(self.backbone(images))

    def initial_filter(
        self,
        features: Float[Array, "n h w c"],
        target_boxes: Float[Array, "n 4"],
        weights: Float[Array, " n"],
    ) -> Float[Array, "k k c"]:
        """What the fit starts from; the boxes are in cells."""
        if self.config.initializer:
            return self.head.initial_filter(features, target_boxes, weights)
        return jnp.zeros((self.config.filter_size,) * 2 + features.shape[-1:])

    def fit(
        self, params: PyTree, samples: FilterSamples, steps: int, **options
    ) -> metaopt.FitResult:
        """The inner loop: `metaopt.fit` of the filter to the samples."""
        objective = metaopt.LeastSquares(self.loss)
        return metaopt.fit(self.optimizer, objective, params, samples, steps=steps, **options)

    def adapt(self, episode: Episode, steps: int) -> Adaptation:
        """The query losses are the hinge errors of eq. 8, averaged over cells and frames."""
        config = self.config
        n = len(episode.support_images)
        features = self.features(jnp.concatenate([episode.support_images, episode.query_images]))
        support, query = features[:n], features[n:]
        target_boxes = _boxes_to_cells(episode.support_boxes)
        weights = episode.support_weights
        result = self.fit(
            self.initial_filter(support, target_boxes, weights),
            FilterSamples(support, boxes.center(target_boxes), weights),
            steps,
            observe=lambda target_filter: correlate(query, target_filter),
        )
        centers = boxes.center(_boxes_to_cells(episode.query_boxes))
        distance = jax.vmap(labels.distances, (0, None, None))(centers, *query.shape[1:3])
        label = labels.gaussian(distance, config.label_sigma * config.target_cells)
        error = hinge_error(result.observed, label, config.hinge_threshold)
        query_losses = jnp.mean(error**2, axis=(2, 3)) @ episode.query_weights
        return Adaptation(result.losses, query_losses)

    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The query loss averaged over all iterates, the initial one included (paper, eq. 9)."""
        adaptation = self.adapt(episode, self.config.train_steps)
        metrics = {
            "query_loss_initial": adaptation.query_losses[0],
            "query_loss_final": adaptation.query_losses[-1],
            "inner_loss_final": adaptation.inner_losses[-1],
        }
        return adaptation.query_losses.mean(), metrics

    def learned_functions(self) -> dict[str, tuple[Array, Array]]:
        """Label, target mask and spatial weight by the distance in cells (paper, Figure 3)."""
        config = self.config.loss
        distance = jnp.arange(config.bins) * config.spacing
        names = ("label", "target mask", "spatial weight")
        return {
            name: (distance, y) for name, y in zip(names, self.loss.maps(distance), strict=True)
        }

    def init(self, frame: Frame, box: Float[Array, "4"]) -> DiMPState:
        config = self.config
        center, size = boxes.center(box), box[2:]
        side = self._search_side(size)
        images, offsets = augmentation.first_frame_samples(
            frame.pixels, frame.extent, center, side, config.crop_size, config.first_frame
        )
        features = augmentation.drop_channels(self.features(images), config.first_frame)
        copies = len(features) - len(images)
        offsets = jnp.concatenate([offsets, jnp.broadcast_to(offsets[:1], (copies, 2))])
        in_crop = config.crop_size / 2 + offsets
        crop_size = size * config.crop_size / side
        n = len(features)
        samples = FilterSamples(features, to_cells(in_crop), jnp.full(n, 1.0 / n))
        target_boxes = _boxes_to_cells(boxes.from_center(in_crop, jnp.tile(crop_size, (n, 1))))
        result = self.fit(
            self.initial_filter(features, target_boxes, samples.weights),
            samples,
            config.init_steps,
        )
        stored = {"features": features, "centers": samples.centers}
        return DiMPState(
            center=center,
            size=size,
            smallest=size / 10,
            target_filter=result.params,
            rule_state=result.state,
            memory=SampleMemory.create(stored, n, config.memory_size),
            frames=jnp.zeros((), jnp.int32),
        )

    def step(self, state: DiMPState, frame: Frame) -> tuple[DiMPState, Prediction]:
        config = self.config
        scales = jnp.asarray(config.scales)
        sides = self._search_side(state.size) * scales
        # A stack of crops, not a vmap: batched gathers are several times slower on the CPU.
        images = jnp.stack(
            [
                crops.crop(frame.pixels, frame.extent, state.center, side, config.crop_size)
                for side in sides
            ]
        )
        features = self.features(images)
        scores = correlate(features, state.target_filter)
        penalty = jnp.where(scales == 1.0, 1.0, config.scale_penalty)
        best = jnp.argmax(scores.max((1, 2)) * penalty)

        pixels_per_crop_pixel = sides[best] / config.crop_size
        middle = jnp.full(2, to_cells(jnp.asarray(config.crop_size / 2)))
        size_in_cells = state.size / pixels_per_crop_pixel / STRIDE
        location = locate(scores[best], middle, size_in_cells, config.localization)
        found = location.trust != Trust.NOT_FOUND
        shift = (location.position - middle) * STRIDE * pixels_per_crop_pixel
        center = state.center + jnp.where(found, shift, 0.0)
        factor = 1 + config.scale_rate * (scales[best] - 1)
        size = jnp.where(found, jnp.maximum(state.size * factor, state.smallest), state.size)
        size = jnp.minimum(size, frame.extent.astype(jnp.float32))
        center = boxes.keep_inside(center, size, frame.extent, config.least_inside)

        sample = {"features": features[best], "centers": location.position}
        state = state.replace(center=center, size=size, frames=state.frames + 1)
        state = self._learn(state, sample, location.trust)
        return state, Prediction(boxes.from_center(center, size), location.score)

    def _learn(self, state: DiMPState, sample: PyTree, trust: Int[Array, ""]) -> DiMPState:
        """Stores the sample and updates the filter, as far as the localization can be trusted."""
        config = self.config
        if config.update == "none":
            return state
        hard_negative = trust == Trust.HARD_NEGATIVE
        trusted = hard_negative | (trust == Trust.NORMAL)
        if config.update == "average":
            rate = jnp.where(trusted, config.learning_rate, 0.0)
            predicted = self._predict_from(sample, state.size)
            mixed = (1 - rate) * state.target_filter + rate * predicted
            return state.replace(target_filter=mixed)
        memory = state.memory.store(
            sample,
            jnp.where(hard_negative, config.hard_negative_rate, config.learning_rate),
            config.initial_share,
            enabled=trusted,
        )
        samples = FilterSamples(**memory.samples, weights=memory.weights)

        def update(steps: int):
            def run(params: PyTree, rule_state: PyTree) -> tuple[PyTree, PyTree]:
                result = self.fit(params, samples, steps, state=rule_state)
                return result.params, result.state

            return run

        regular = state.frames % config.update_interval == 0
        branches = [update(0), update(config.update_steps), update(config.hard_negative_steps)]
        branch = jnp.where(hard_negative, 2, jnp.where(regular, 1, 0))
        target_filter, rule_state = jax.lax.switch(
            branch, branches, state.target_filter, state.rule_state
        )
        return state.replace(target_filter=target_filter, rule_state=rule_state, memory=memory)

    def _predict_from(
        self, sample: dict[str, Array], size: Float[Array, "2"]
    ) -> Float[Array, "k k c"]:
        """The filter that a single frame predicts, as meta-training does."""
        size_in_cells = size / jnp.sqrt(size[0] * size[1]) * self.config.target_cells
        one = FilterSamples(**jax.tree.map(lambda leaf: leaf[None], sample), weights=jnp.ones(1))
        target_box = boxes.from_center(one.centers, size_in_cells[None])
        start = self.initial_filter(one.features, target_box, one.weights)
        return self.fit(start, one, self.config.train_steps).params

    def _search_side(self, size: Float[Array, "2"]) -> Float[Array, ""]:
        return self.config.search_factor * jnp.sqrt(size[0] * size[1])


def _boxes_to_cells(pixels: Float[Array, "n 4"]) -> Float[Array, "n 4"]:
    return jnp.concatenate([to_cells(pixels[:, :2]), pixels[:, 2:] / STRIDE], -1)
