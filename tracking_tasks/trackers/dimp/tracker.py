"""DiMP: a target filter fitted by steepest descent on a learned discriminative loss.

Bhat, Danelljan, Van Gool, Timofte, "Learning Discriminative Model Prediction for Tracking", ICCV
2019. The box is the one of the largest predicted overlap with the target (section 3.5), or, without
a trained predictor, it keeps its shape and its size comes from a search over scales.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

import metaopt
from models import Backbone, Features, FilterHead, correlate
from models.backbone import STRIDE
from tracking_tasks import augmentation, boxes, labels
from tracking_tasks.episode import Episode, Frame, Prediction
from tracking_tasks.memory import SampleMemory
from tracking_tasks.peaks import best_scale
from tracking_tasks.trackers import scale_filter
from tracking_tasks.trackers.base import Adaptation
from tracking_tasks.trackers.dimp.config import DiMPConfig as DiMPConfig
from tracking_tasks.trackers.dimp.iou import IoURefiner
from tracking_tasks.trackers.dimp.localization import Last, LookAlike, Trust, locate
from tracking_tasks.trackers.dimp.loss import DiscriminativeLoss, FilterSamples, hinge_error
from tracking_tasks.trackers.dimp.state import DiMPState as DiMPState
from tracking_tasks.trackers.dimp.state import Seen
from tracking_tasks.trackers.registry import register
from tracking_tasks.trackers.scale_search import ScaleSearch
from tracking_tasks.trackers.usual_score import followed, is_gone, relative


@register
class DiMP(ScaleSearch):
    """See the module; all but the backbone is meta-trained together.

    Attributes:
        head: classification features and initial filter.
        loss: the learned loss.
        refiner: finds the box; None in a tracker made for a search over scales.
    """

    name: ClassVar[str] = "dimp"
    config_type: ClassVar[type] = DiMPConfig
    default_rule: ClassVar[str] = "steepest_descent"
    adapted: ClassVar[tuple[str, ...]] = ("target_filter", "rule_state")

    head: FilterHead
    loss: DiscriminativeLoss
    refiner: IoURefiner | None

    @classmethod
    def _create(cls, rule: str, config: DiMPConfig, backbone: Backbone) -> "DiMP":
        size, channels = config.filter_size, sum(backbone.channels)
        target_filter = jax.ShapeDtypeStruct((size, size, channels), jnp.float32)
        refiner = None
        if config.box_estimation != "scale_search":
            refiner = IoURefiner.create(backbone, config.iou)
        return cls(
            config=config,
            backbone=backbone,
            optimizer=metaopt.optimizers.make(
                rule, target_filter, steps=config.train_steps, rate=config.initial_lr
            ),
            head=FilterHead(channels, size, backbone.grid),
            loss=DiscriminativeLoss(config.loss),
            refiner=refiner,
        )

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
        return self._adapt(*self.seen_in(episode), episode, steps)

    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The classification loss plus that of the predicted overlap over beta.

        The former is the query loss averaged over all iterates, the initial one included (paper,
        eq. 9; means over iterates, frames and cells stand in the place of its sums and its norm).
        But for such factors, this is the paper's L_tot divided by beta.
        """
        support, query = self.seen_in(episode)
        adaptation = self._adapt(support, query, episode, self.config.train_steps)
        loss = adaptation.query_losses.mean()
        metrics = {
            "query_loss_initial": adaptation.query_losses[0],
            "query_loss_final": adaptation.query_losses[-1],
            "inner_loss_final": adaptation.inner_losses[-1],
        }
        if self.refiner is not None:
            frames = Features(*map(jnp.concatenate, zip(support, query, strict=True)))
            true_boxes = jnp.concatenate([episode.support_boxes, episode.query_boxes])
            weights = jnp.concatenate([episode.support_weights, episode.query_weights])
            seen = (weights > 0).astype(weights.dtype)
            metrics["iou_loss"] = self.refiner.loss(frames, true_boxes, seen, episode.key)
            loss += metrics["iou_loss"] / self.config.classification_weight
        return loss, metrics

    def _adapt(
        self, support_levels: Features, query_levels: Features, episode: Episode, steps: int
    ) -> Adaptation:
        config = self.config
        support, query = self.head(support_levels), self.head(query_levels)
        target_boxes = self.backbone.grid.boxes_to_cells(episode.support_boxes)
        weights = episode.support_weights
        result = self.fit(
            self.initial_filter(support, target_boxes, weights),
            FilterSamples(support, boxes.center(target_boxes), weights),
            steps,
            observe=lambda target_filter: correlate(query, target_filter),
        )
        centers = boxes.center(self.backbone.grid.boxes_to_cells(episode.query_boxes))
        distance = jax.vmap(labels.distances, (0, None, None))(centers, *query.shape[1:3])
        label = labels.gaussian(distance, config.label_sigma * config.target_cells)
        error = hinge_error(result.observed, label, config.hinge_threshold)
        query_losses = jnp.mean(error**2, axis=(2, 3)) @ episode.query_weights
        return Adaptation(result.losses, query_losses)

    def learned_functions(self) -> dict[str, tuple[Array, Array]]:
        return self.loss.by_distance()

    def init(self, frame: Frame, box: Float[Array, "4"]) -> DiMPState:
        config = self.config
        center, size = boxes.center(box), box[2:]
        side = self.search_side(size)
        images, offsets = augmentation.first_frame_samples(
            frame.pixels, frame.extent, center, side, config.crop_size, config.first_frame
        )
        levels = self.backbone(images)
        features = augmentation.drop_channels(self.head(levels), config.first_frame)
        copies = len(features) - len(images)
        offsets = jnp.concatenate([offsets, jnp.broadcast_to(offsets[:1], (copies, 2))])
        in_crop = config.crop_size / 2 + offsets
        crop_size = size * config.crop_size / side
        n = len(features)
        samples = FilterSamples(
            features, self.backbone.grid.to_cells(in_crop), jnp.full(n, 1.0 / n)
        )
        in_pixels = boxes.from_center(in_crop, jnp.tile(crop_size, (n, 1)))
        target_boxes = self.backbone.grid.boxes_to_cells(in_pixels)
        result = self.fit(
            self.initial_filter(features, target_boxes, samples.weights),
            samples,
            config.init_steps,
        )
        reference = None
        if self.refiner is not None:
            few = slice(config.iou.calibrations)  # the untouched sample and the shifted ones
            reference = self.refiner.reference(
                Features(*(level[few] for level in levels)),
                in_pixels[few],
                jax.random.key(config.iou.seed),
            )
        stored = {"features": features, "centers": samples.centers}
        return DiMPState(
            center=center,
            size=size,
            min_size=size / 10,
            max_size=size,
            target_filter=result.params,
            rule_state=result.state,
            reference=reference,
            scale_filter=scale_filter.create(config.scale_filter, frame, box),
            memory=SampleMemory.create(stored, n, config.memory_size),
            frames=jnp.zeros((), jnp.int32),
            usual_score=jnp.zeros(()),
            look_alike=LookAlike.none(),
        )

    @property
    def scales(self) -> tuple[float, ...]:
        return (1.0,) if self.config.box_estimation == "overlap" else self.config.scales

    def look(
        self,
        state: DiMPState,
        levels: Features,
        scales: Float[Array, " n"],
        counts: Bool[Array, " n"],
    ) -> Seen:
        features = self.head(levels)
        scores = correlate(features, state.target_filter)
        scores = jnp.where(counts[:, None, None], scores, -jnp.inf)
        best = best_scale(scores, scales, self.config.scale_penalty)
        chosen = Features(*(level[best] for level in levels))
        return Seen(scales[best], chosen, features[best], scores[best])

    def take(self, state: DiMPState, frame: Frame, seen: Seen) -> tuple[DiMPState, Prediction]:
        config = self.config
        zoom = config.crop_size / (self.search_side(state.size) * seen.scale)  # crop per frame px
        middle = jnp.full(2, config.crop_size / 2)
        location = locate(
            seen.scores,
            self.backbone.grid.to_cells(middle),
            zoom / STRIDE,
            Last(state.center, state.size, state.look_alike),
            config.localization,
        )
        box = boxes.from_center(self.backbone.grid.to_pixels(location.position), state.size * zoom)
        if config.box_estimation != "overlap":
            box = boxes.scale(box, 1 + config.scale_lr * (seen.scale - 1))
        if self.refiner is not None and state.reference is not None:
            key = jax.random.fold_in(jax.random.key(config.iou.seed), state.frames)
            box = self.refiner.estimate(state.reference, seen.levels, box, key).box

        if config.redetect and config.found_again_share:  # what is there instead is not learned
            gone = is_gone(location.score, state.usual_score)
            location = location._replace(trust=jnp.where(gone, Trust.NOT_FOUND, location.trust))
        found = location.trust != Trust.NOT_FOUND
        center = state.center + jnp.where(found, (boxes.center(box) - middle) / zoom, 0.0)
        size = jnp.where(found, box[2:] / zoom, state.size)
        size *= scale_filter.growth(state.scale_filter, frame, center, state.size, found)
        center, size = boxes.bounded(
            center, size, state.min_size, state.max_size, frame.extent, config.min_inside
        )

        sample = {
            "features": seen.features,
            "centers": self.backbone.grid.to_cells(boxes.center(box)),
        }
        fitted = scale_filter.learned(state.scale_filter, frame, center, size, found)
        usual = followed(state.usual_score, location.score)
        state = state.replace(center=center, size=size, scale_filter=fitted, usual_score=usual)
        state = state.replace(look_alike=location.look_alike, frames=state.frames + 1)
        state, undone = self._learn(state, sample, location.trust)
        box = boxes.from_center(center, size)
        return state, Prediction(box, location.score, undone=undone)

    def usual_score(self, state: DiMPState) -> Float[Array, ""]:
        return state.usual_score

    def is_present(self, state: DiMPState, score: Float[Array, ""]) -> Bool[Array, ""]:
        share = self.config.present_share
        usual = state.usual_score
        return relative(score, usual) >= share if share else super().is_present(state, score)

    def _learn(
        self, state: DiMPState, sample: PyTree, trust: Int[Array, ""]
    ) -> tuple[DiMPState, Bool[Array, ""]]:
        """Stores the sample and updates the filter, as far as the localization can be trusted."""
        config = self.config
        if config.update == "none":
            return state, jnp.array(False)
        hard_negative = trust == Trust.HARD_NEGATIVE
        trusted = hard_negative | (trust == Trust.NORMAL)
        if config.update == "average":
            rate = config.learning_rate

            def mix(before: dict[str, PyTree]) -> dict[str, PyTree]:
                predicted = self._predict_from(sample, state.size)
                mixed = (1 - rate) * before["target_filter"] + rate * predicted
                return before | {"target_filter": mixed}

            return self.learned(state, trusted, mix)
        memory = state.memory.store(
            sample,
            jnp.where(hard_negative, config.hard_negative_lr, config.learning_rate),
            config.initial_share,
            enabled=trusted,
        )
        samples = FilterSamples(**memory.samples, weights=memory.weights)
        regular = trusted & (state.frames % config.update_interval == 0)
        steps = jnp.where(regular, config.update_steps, 0)
        steps = jnp.where(hard_negative, config.hard_negative_steps, steps)

        def step(_: Int[Array, ""], fields: dict[str, PyTree]) -> dict[str, PyTree]:
            result = self.fit(fields["target_filter"], samples, steps=1, state=fields["rule_state"])
            return {"target_filter": result.params, "rule_state": result.state}

        update = lambda before: jax.lax.fori_loop(0, steps, step, before)
        return self.learned(state.replace(memory=memory), steps > 0, update)

    def _predict_from(
        self, sample: dict[str, Array], size: Float[Array, "2"]
    ) -> Float[Array, "k k c"]:
        """The filter that a single frame predicts, as meta-training does."""
        one = FilterSamples(**jax.tree.map(lambda leaf: leaf[None], sample), weights=jnp.ones(1))
        target_box = boxes.from_center(one.centers, self.config.target_shape(size)[None])
        start = self.initial_filter(one.features, target_box, one.weights)
        return self.fit(start, one, self.config.train_steps).params
