"""What is measured of a trained tracker in a matrix, as JSON takes it."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import metaopt
from tracking_tasks import evaluation
from tracking_tasks.episode import Episode
from tracking_tasks.trackers import Tracker


def on_videos(results: Sequence[evaluation.SequenceResult]) -> dict[str, Any]:
    """Scores, in all and by sequence, the success curve, and the boxes on the first video."""
    scores = evaluation.summarize(results)
    curves = [evaluation.success_curve(each.boxes, each.truth) for each in results]
    return scores | {
        "updates_undone": sum(each.undone for each in results),
        "update_ms": 1e3 / scores["fps"],
        "sequences": {each.name: each.scores() for each in results},
        "boxes": results[0].boxes.tolist(),
        "true_boxes": results[0].truth.tolist(),
        "success_curve": np.mean(curves, axis=0).tolist(),
    }


def on_real(results: Sequence[evaluation.SequenceResult]) -> dict[str, Any]:
    """Scores, in all and by sequence."""
    sequences = {each.name: each.scores() for each in results}
    return evaluation.summarize(results) | {"sequences": sequences}


def on_episodes(tracker: Tracker, batches: Sequence[Episode], steps: int) -> dict[str, Any]:
    """The mean losses of every iterate, and the rates that were learned, if any.

    Args:
        tracker: trained.
        batches: of held-out episodes.
        steps: inner steps, at least as many as were trained for.
    """
    curves = [_adapt(tracker, batch, steps) for batch in batches]
    inner, query = (np.mean(np.concatenate(c), axis=0) for c in zip(*curves, strict=True))
    trained = tracker.config.train_steps
    return {
        "train_steps": trained,
        "inner_losses": inner.tolist(),
        "query_losses": query.tolist(),
        "query_loss": float(query[trained]),
        "rates": _rates(tracker.optimizer),
    }


def functions(untrained: Tracker, trained: Tracker) -> dict[str, dict[str, list[float]]]:
    """What of the objective was learned: `x`, the `initial` values and the `learned` ones."""
    initial, learned = untrained.learned_functions(), trained.learned_functions()
    return {
        name: {
            "x": np.asarray(x).tolist(),
            "initial": np.asarray(y).tolist(),
            "learned": np.asarray(learned[name][1]).tolist(),
        }
        for name, (x, y) in initial.items()
    }


@jax.jit(static_argnames="steps")
def _adapt(tracker: Tracker, episodes: Episode, steps: int) -> Any:
    return jax.lax.map(lambda episode: tracker.adapt(episode, steps), episodes)


def _rates(optimizer: metaopt.InnerOptimizer) -> list[float] | None:
    """Quantiles of the learned rates from the least to the largest; None without such."""
    rates = optimizer.learned_rates()
    return None if rates is None else np.quantile(rates, np.linspace(0, 1, 41)).tolist()
