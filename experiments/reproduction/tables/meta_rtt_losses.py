"""Other outer losses of MetaRTT: how the trackers that its tables compare it with are trained."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import metaopt
from models import MLP
from tracking_tasks.episode import Episode
from tracking_tasks.trackers import Tracker
from tracking_tasks.trackers.meta_rtt.loss import RoISamples, cross_entropy, objective
from tracking_tasks.trackers.meta_rtt.pruning import lasso
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT

Loss = tuple[Float[Array, ""], dict[str, Array]]


@dataclasses.dataclass(frozen=True)
class DomainLoss:
    """Multi-domain learning (Nam and Han, CVPR 2016), with a new last layer for every video.

    The last layer is fitted to the first frame, and the layers below learn by the loss on the last
    frame at this fit, through which no gradient flows. Published trackers keep one such layer for
    each of a fixed set of videos; rendered videos have no end.

    Attributes:
        steps: of the fit of a domain's layer (here).
    """

    steps: int = 10

    def __call__(self, tracker: Tracker, episode: Episode) -> Loss:
        assert isinstance(tracker, MetaRTT)
        seen = tracker.simulate(episode)
        first, test = (seen.ground_truth(frame) for frame in (0, -1))
        hidden = lambda samples: samples.replace(
            features=tracker.initial.features(samples.features)
        )
        last = metaopt.fit(
            metaopt.SteepestDescent(),
            objective(),
            tracker.initial.last,
            jax.lax.stop_gradient(hidden(first)),
            steps=self.steps,
        )
        layer = jax.lax.stop_gradient(last.params)
        loss = cross_entropy(layer(hidden(test).features), test)
        return loss, {"inner_loss_final": last.losses[-1], "query_loss_final": loss}


@dataclasses.dataclass(frozen=True)
class PruningLoss:
    """How well masks predicted from the first frame serve an episode (MetaRTT, eqs. 11 and 12).

    Attributes:
        whole_episode: all of it counts (paper); else the first frame alone, without meta-learning
            (paper, Table 3).
        sparsity: lambda of eq. 9 (here; the paper does not say).
    """

    whole_episode: bool = True
    sparsity: float = 0.01

    def __call__(self, tracker: Tracker, episode: Episode) -> Loss:
        assert isinstance(tracker, MetaRTT)
        config, seen = tracker.config, tracker.simulate(episode)
        first, test = (seen.ground_truth(frame) for frame in (0, -1))
        initial = tracker.fit(tracker.optimizer, tracker.initial, first, config.train_steps).params
        key = jax.random.fold_in(episode.key, len(seen.maps) + 1)
        masks = tracker.channel_masks(initial, first, key)

        def change(classifier: MLP, samples: RoISamples) -> Array:
            return lasso(classifier, samples.features, samples.weights, masks, self.sparsity)

        loss = change(initial, first)
        if self.whole_episode:
            samples = seen.online(initial)
            adapted = tracker.fit(
                tracker.online_optimizer,
                initial,
                samples,
                config.online_steps,
                observe=lambda classifier: change(classifier, samples),
            )
            loss += adapted.observed[1:].sum() + change(adapted.params, test)
        magnitudes = jnp.abs(jnp.concatenate(masks))
        return loss, {
            "mask_mean": magnitudes.mean(),
            "masks_below_0.1": (magnitudes < 0.1).mean(),
        }
