"""GradNet: a Siamese tracker whose template is updated by one gradient, through a network.

Li, Chen, Ouyang, Wang, Yang, Lu, "GradNet: Gradient-Guided Network for Visual Object Tracking",
ICCV 2019. With the rule "none", which leaves the template as it is, this is SiamFC (Bertinetto et
al. 2016) on the same features.
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

import metaopt
from models import Backbone, Features, TemplateNetwork, correlate
from models.heads.filter_head import fuse
from tracking_tasks import boxes, labels
from tracking_tasks.episode import Episode, EpisodeConfig, Frame, Prediction
from tracking_tasks.peaks import search_scales
from tracking_tasks.trackers import scale_filter
from tracking_tasks.trackers.base import Adaptation
from tracking_tasks.trackers.gradnet.config import GradNetConfig as GradNetConfig
from tracking_tasks.trackers.gradnet.loss import SearchSamples, balanced_logistic, positives
from tracking_tasks.trackers.gradnet.state import GradNetState, Reliable, TemplateTask
from tracking_tasks.trackers.registry import register
from tracking_tasks.trackers.scale_search import ScaleSearch, SeenPeak


@register
class GradNet(ScaleSearch):
    """See the module; all but the backbone is meta-trained.

    Attributes:
        embedding: U1, makes the template.
        after: U1 of the fitted params, where it is another one ("w 2U" of the paper's Table 3).
        log_gain: logarithm of the factor on a response before the logistic loss.
        bias: what is added to it.
    """

    name: ClassVar[str] = "gradnet"
    config_type: ClassVar[type] = GradNetConfig
    default_rule: ClassVar[str] = "gradient_network"
    adapted: ClassVar[tuple[str, ...]] = ("exemplar", "rule_state", "template")

    embedding: TemplateNetwork
    after: TemplateNetwork | None
    log_gain: Float[Array, ""]
    bias: Float[Array, ""]

    @classmethod
    def _create(cls, rule: str, config: GradNetConfig, backbone: Backbone) -> "GradNet":
        size = config.exemplar_size
        exemplar = jax.ShapeDtypeStruct((size, size, backbone.channels[0]), jnp.float32)
        cell, start = config.middle_cell(backbone.grid), config.exemplar_start(backbone.grid)
        embedding = lambda: TemplateNetwork(backbone, config.template_size, cell - start)
        return cls(
            config=config,
            backbone=backbone,
            optimizer=metaopt.optimizers.make(
                rule, exemplar, steps=config.train_steps, rate=config.initial_lr
            ),
            embedding=embedding(),
            after=None if config.shared else embedding(),
            log_gain=jnp.log(jnp.asarray(config.initial_gain, jnp.float32)),
            bias=jnp.asarray(config.initial_bias, jnp.float32),
        )

    @property
    def episode_config(self) -> EpisodeConfig:
        """The support shows the target in the middle, as the first frame does."""
        config = self.config
        return self._centered_episodes(
            support=config.support,
            query_shift=config.query_shift,
            query_scale=config.query_scale,
        )

    def task(self, episode: Episode) -> TemplateTask:
        """What is to be seen in an episode."""
        support, query = self.seen_in(episode)
        first = jnp.argmax(episode.support_weights > 0)

        def samples(levels: Features, where: Array, weights: Array) -> SearchSamples:
            features = fuse(levels, self.backbone.grid)
            return SearchSamples(features, self._to_cells(boxes.center(where)), weights)

        return TemplateTask(
            self.exemplar(support.fine[first]),
            samples(support, episode.support_boxes, episode.support_weights),
            samples(query, episode.query_boxes, episode.query_weights),
        )

    def mix(self, episodes: Episode) -> Episode:
        """Template generalization (paper, section 3.3, eq. 10): one for k episodes' search regions.

        Every episode of the batch lends its template once, and its own search regions come first.
        """
        count = min(self.config.generalization, len(episodes.key))
        with_others = lambda leaf: jnp.concatenate(
            [jnp.roll(leaf, -index, 0) for index in range(count)], 1
        )
        mixed = {
            name: jax.tree.map(with_others, part)
            for name, part in vars(episodes).items()
            if name != "key"
        }
        return episodes.replace(**mixed)

    def response(
        self, template: Float[Array, "k k c"], features: Float[Array, "n h w c"]
    ) -> Float[Array, "n h w"]:
        """The logits of "the target is here" (paper, eq. 1)."""
        return jnp.exp(self.log_gain) * correlate(features, template) + self.bias

    def template(self, exemplar: Float[Array, "e e c8"]) -> Float[Array, "k k c"]:
        """The template of fitted params (paper, eq. 7)."""
        return (self.after or self.embedding)(exemplar)

    def loss(self, logits: Float[Array, "n h w"], samples: SearchSamples) -> Float[Array, ""]:
        """The balanced logistic loss (paper, eq. 5): the weighted mean over samples, 0 of none."""
        radius = self.config.positive_radius * self.config.target_cells
        _, height, width = logits.shape
        positive = positives(samples.centers, height, width, radius)
        total = samples.weights @ balanced_logistic(logits, positive)
        return total / jnp.maximum(samples.weights.sum(), 1.0)

    @property
    def objective(self) -> metaopt.CompositeLoss:
        """What the inner loop minimizes: `loss_scale` times the loss."""
        return metaopt.CompositeLoss(
            lambda exemplar, samples: self.response(self.embedding(exemplar), samples.features),
            lambda logits, samples: self.config.loss_scale * self.loss(logits, samples),
        )

    def fit(
        self, exemplar: Float[Array, "e e c8"], samples: SearchSamples, steps: int, **options: Any
    ) -> metaopt.FitResult:
        """The inner loop: `metaopt.fit` of the exemplar."""
        return metaopt.fit(
            self.optimizer, self.objective, exemplar, samples, steps=steps, **options
        )

    def adapt(self, episode: Episode, steps: int) -> Adaptation:
        """The query losses are the same logistic loss."""
        task = self.task(episode)

        def query_loss(exemplar: Array) -> Array:
            return self.loss(
                self.response(self.template(exemplar), task.query.features), task.query
            )

        result = self.fit(task.exemplar, task.support, steps, observe=query_loss)
        return Adaptation(result.losses / self.config.loss_scale, result.observed)

    def outer_loss(self, episode: Episode) -> tuple[Float[Array, ""], dict[str, Array]]:
        """The query loss after the fit (paper, eq. 8)."""
        adaptation = self.adapt(episode, self.config.train_steps)
        metrics = {
            "query_loss_initial": adaptation.query_losses[0],
            "query_loss_final": adaptation.query_losses[-1],
            "inner_loss_initial": adaptation.inner_losses[0],
            "inner_loss_final": adaptation.inner_losses[-1],
        }
        return adaptation.query_losses[-1], metrics

    def first_samples(
        self, frame: Frame, box: Float[Array, "4"]
    ) -> tuple[Float[Array, "e e c8"], SearchSamples]:
        """The initial params, and the search region of the first frame."""
        sides = self.search_side(box[2:])[None]
        levels = self.backbone(self.search_regions(frame, boxes.center(box), sides))
        features = fuse(levels, self.backbone.grid)
        samples = SearchSamples(features, self._middle[None], jnp.ones(1, jnp.float32))
        return self.exemplar(levels.fine[0]), samples

    def init(self, frame: Frame, box: Float[Array, "4"]) -> GradNetState:
        config = self.config
        center, size = boxes.center(box), box[2:]
        exemplar, samples = self.first_samples(frame, box)
        result = self.fit(exemplar, samples, config.train_steps)
        template = self.template(result.params)
        highest = jax.nn.sigmoid(self.response(template, samples.features)).max()
        return GradNetState(
            center=center,
            size=size,
            min_size=size / 10,
            max_size=size,
            first=exemplar,
            first_seen=samples,
            exemplar=result.params,
            rule_state=result.state,
            initial=template,
            template=template,
            min_score=config.update_threshold * highest,
            newest=Reliable(samples.features[0], samples.centers[0], jnp.zeros(())),
            scale_filter=scale_filter.create(config.scale_filter, frame, box),
            frames=jnp.zeros((), jnp.int32),
        )

    def look(
        self,
        state: GradNetState,
        levels: Features,
        scales: Float[Array, " n"],
        counts: Bool[Array, " n"],
    ) -> SeenPeak:
        config = self.config
        features = fuse(levels, self.backbone.grid)
        logits = self.response(state.template, features)
        scores = jax.nn.sigmoid(logits)
        window = labels.cosine(self._middle, *logits.shape[1:])
        likely = (1 - config.window_influence) * scores + config.window_influence * window
        likely = jnp.where(counts[:, None, None], likely, -jnp.inf)
        best, position, logit = search_scales(logits, likely, scales, config.scale_penalty)
        return SeenPeak(scales[best], position, jax.nn.sigmoid(logit), features[best])

    def take(
        self, state: GradNetState, frame: Frame, seen: SeenPeak
    ) -> tuple[GradNetState, Prediction]:
        config = self.config
        pixels_per_cell = seen.scale * self._pixels_per_cell(state)
        center = state.center + (seen.position - self._middle) * pixels_per_cell
        size = state.size * (1 + config.scale_lr * (seen.scale - 1))
        size *= scale_filter.growth(state.scale_filter, frame, center, state.size)
        center, size = boxes.bounded(
            center, size, state.min_size, state.max_size, frame.extent, config.min_inside
        )
        state = state.replace(
            center=center,
            size=size,
            scale_filter=scale_filter.learned(state.scale_filter, frame, center, size),
            frames=state.frames + 1,
        )
        undone = jnp.array(False)
        if config.online_update:
            state, undone = self._learn(state, Reliable(seen.features, seen.position, seen.score))
        return state, Prediction(boxes.from_center(center, size), seen.score, undone=undone)

    def _learn(self, state: GradNetState, seen: Reliable) -> tuple[GradNetState, Bool[Array, ""]]:
        """Keeps a reliable frame, and updates the template when it is time (paper, section 3.4)."""
        config = self.config
        better = (seen.score >= state.min_score) & (seen.score > state.newest.score)
        newest = jax.tree.map(lambda new, old: jnp.where(better, new, old), seen, state.newest)
        due = (state.frames % config.update_interval == 0) & (newest.score > 0)
        update = lambda before: self._update(state.replace(**before), newest)
        state, undone = self.learned(state, due, update)
        taken = newest.replace(score=jnp.where(due, 0.0, newest.score))
        return state.replace(newest=taken), undone

    def _update(self, state: GradNetState, newest: Reliable) -> dict[str, PyTree]:
        """The fields `adapted`, fitted to the newest reliable frame."""
        config = self.config
        start, rule_state = state.exemplar, state.rule_state
        samples = SearchSamples(newest.features[None], newest.center[None], jnp.ones(1))
        if config.restart:
            start, rule_state = state.first, None
            samples = jax.tree.map(lambda *seen: jnp.concatenate(seen), state.first_seen, samples)
        result = self.fit(start, samples, config.update_steps, state=rule_state)
        exemplar = state.exemplar + config.update_lr * (result.params - state.exemplar)
        share = config.initial_share
        template = share * state.initial + (1 - share) * self.template(exemplar)
        return {"exemplar": exemplar, "rule_state": result.state, "template": template}

    def exemplar(self, fine: Float[Array, "h w c8"]) -> Float[Array, "e e c8"]:
        """The part of a search region's finer features that the params start from."""
        start = self.config.exemplar_start(self.backbone.grid)
        stop = start + self.config.exemplar_size
        return fine[start:stop, start:stop]

    def _to_cells(self, pixels: Float[Array, "..."]) -> Float[Array, "..."]:
        """Where a template responds to a target that is there in a crop.

        The middle of the exemplar is the middle of a cell, the target's is that of the crop.
        """
        center = self.config.crop_size / 2
        cell = self.config.middle_cell(self.backbone.grid)
        return self.backbone.grid.to_cells(pixels) - self.backbone.grid.to_cells(center) + cell

    @property
    def _middle(self) -> Float[Array, "2"]:
        return jnp.full(2, self.config.middle_cell(self.backbone.grid), jnp.float32)
