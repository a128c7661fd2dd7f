"""ROAM's analysis: Yang et al., "ROAM: Recurrently Optimizing Tracking Model", CVPR 2020, Fig. 5-8.

The paper measures the area under the success curve on OTB-2015; of Figure 5 it gives one number in
words, a gain of about 6 % over SGD, and of the others none. At the small scale Figures 6 and 7 are
of the shipped tracker: minutes do not teach an LSTM to be ahead of a rate that is tuned by hand.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

import metaopt
import tracking_tasks
from experiments.meta_training.runner import HELD_OUT
from experiments.reproduction import offline_rates
from experiments.reproduction.measurement import Measurement, of_targets
from experiments.reproduction.oracle import Oracle
from experiments.reproduction.paper_table import Curve, Ordering, Row, Score, Table
from experiments.reproduction.table_runner import TableRunner
from tracking_tasks import evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.episode import Episode
from tracking_tasks.trackers import Tracker
from tracking_tasks.trackers.roam.config import ROAMConfig
from tracking_tasks.trackers.roam.tracker import ROAM

_SOURCE = "Yang et al. 2020, Figure"
_SEEDS = {"smoke": 2, "small": 3, "full": 5}
_VIDEOS = {"smoke": (1, 6), "small": (12, 60), "full": (100, 100)}
_STEPS = {"smoke": (1, 2), "small": (1, 2, 4, 8), "full": (1, 2, 4, 8, 16, 32)}
_OUTER_STEPS = {"smoke": 2, "small": 60, "full": 6000}
_BINS = np.linspace(-8.0, 1.0, 37)  # of log10 of a rate


@dataclasses.dataclass(frozen=True)
class _Setting:
    """What a row changes.

    Attributes:
        rule: that the tracker is meta-trained with.
        scaling: random filter scaling in meta-training.
        sgd: the rate of plain gradient descent, which takes over after the first frame; 0 for none.
        oracle: learn online from true boxes.
    """

    rule: str = "lstm"
    scaling: bool = True
    sgd: float = 0.0
    oracle: bool = False


_ROAM = _Setting()
SGD_RATE = 0.2  # 0.5 diverges
_SGD = _Setting(sgd=SGD_RATE)
_SLOW_SGD = _Setting(sgd=SGD_RATE / 10)  # the paper's second rate is a tenth, too


def _train(runner: TableRunner, setting: _Setting, seed: int) -> ROAM:
    config = ROAMConfig(crop_size=runner.outer_loop.episode.crop_size)
    if not setting.scaling:
        config = dataclasses.replace(config, scaling=(0.0, 0.0))
    recipe = runner.recipe(ROAM.name, setting.rule, config, outer_steps=_OUTER_STEPS[runner.scale])
    tracker: Any = runner.make(recipe, seed)
    return with_sgd(tracker, setting.sgd)


def _longest_trained(runner: TableRunner, setting: _Setting, seed: int) -> ROAM:
    if not runner.takes_shipped:
        return _train(runner, setting, seed)
    tracker: Any = runner.shipped(ROAM.name)
    return with_sgd(tracker, setting.sgd)


def with_sgd(tracker: ROAM, rate: float) -> ROAM:
    """Takes the first step by the learned initial rates, and later ones by one fixed rate.

    A rate of 0 leaves the tracker as it is.
    """
    if not rate:
        return tracker
    rule: Any = tracker.optimizer
    rates = jax.tree.map(
        lambda first: jnp.stack([first, jnp.full_like(first, rate)]), rule.initial_rates
    )
    return tracker.replace(
        optimizer=metaopt.LearnedRates(tracker.initial, steps=2).replace(rates=rates)
    )


def _measure(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """Figure 5: the row is a `_Setting`."""
    setting: _Setting = row.setting
    tracker = _train(runner, setting, seed)
    videos = runner.held_out(_VIDEOS)
    evaluate = _evaluate_oracle if setting.oracle else None
    return runner.judge(tracker, setting.rule, videos, seed, evaluate=evaluate)


def _evaluate_oracle(
    tracker: Tracker, _: str, sequences: Sequence[sequences_lib.Sequence]
) -> list[evaluation.SequenceResult]:
    oracle = lambda sequence: Oracle(cast(ROAM, tracker), sequence.boxes)
    return [evaluation.evaluate(oracle(each), [each])[0] for each in sequences]


def _measure_steps(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """Figure 6: AUC by the number of gradient steps of an update; the score is that of two."""
    tracker = _longest_trained(runner, row.setting, seed)
    steps, scores = _STEPS[runner.scale], {}
    for count in steps:
        config = dataclasses.replace(tracker.config, update_steps=count)
        scores[count] = runner.judge(
            tracker.replace(config=config),
            row.setting.rule,
            runner.held_out(_VIDEOS),
            seed,
            runner.longest_trained,
        )
    aucs = [next(iter(judged.scores.values())) for judged in scores.values()]
    return scores[2].with_curves({"auc_by_steps": (list(map(float, steps)), aucs)})


def _measure_losses(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """Figure 7: the loss that each update starts from, and that of its model on a later frame.

    The held-out clips have twice the updates of those in meta-training.
    """
    tracker = _longest_trained(runner, row.setting, seed)
    config = tracker.config
    config = dataclasses.replace(config, blocks=2 * config.blocks, clip=2 * config.clip)
    tracker = tracker.replace(config=dataclasses.replace(config, scaling=(0.0, 0.0)))
    outer_loop = dataclasses.replace(
        runner.outer_loop, outer_steps=1, episode=tracker.episode_config, seed=HELD_OUT - seed
    )
    update, future = _losses(tracker, runner.batches(outer_loop)(0))
    x = list(map(float, range(1, update.shape[1] + 1)))
    means = {"update_loss": update, "outer_loss": future}
    of_clips = {"outer_loss": np.asarray(future.mean(1)).tolist()}
    curves = {name: (x, np.asarray(losses.mean(0)).tolist()) for name, losses in means.items()}
    return of_targets(of_clips, trained=not runner.takes_shipped).with_curves(curves)


@jax.jit
def _losses(tracker: ROAM, episodes: Episode) -> tuple[jax.Array, jax.Array]:
    def losses(episode: Episode) -> tuple[jax.Array, jax.Array]:
        clip = tracker.clip(episode)
        updates = tracker.updates(clip)
        return updates.losses, tracker.future_losses(updates.models, clip)

    return jax.lax.map(losses, episodes)


def _measure_rates(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """Figures 8 and 2: histograms of the rates learned for the start, and emitted later."""
    tracker = _train(runner, row.setting, seed)
    rule: Any = tracker.optimizer
    later = []
    for sequence in runner.videos(runner.held_out(_VIDEOS), seed):
        online = tracking_tasks.OnlineTracker(tracker, row.setting.rule)
        online.track(map(np.asarray, sequence.frames), sequence.boxes[0])
        later.append(np.asarray(online.state.rule_state.emitted))
    initial = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(rule.initial_rates)])
    last, offline = _finite(later), _finite([_offline(runner, tracker, seed).ravel()])
    return Measurement(
        {"spread": float(np.log10(last).std()), "offline_spread": float(np.log10(offline).std())},
        {
            "initial_rates": _histogram(initial),
            "later_rates": _histogram(last),
            "offline_rates": _histogram(offline),
        },
    )


def _offline(runner: TableRunner, tracker: ROAM, seed: int) -> np.ndarray:
    """Figure 2: the rates that are emitted on held-out clips as those of meta-training."""
    outer_loop = dataclasses.replace(
        runner.outer_loop, outer_steps=1, episode=tracker.episode_config, seed=HELD_OUT - seed
    )
    return np.asarray(offline_rates.emitted(tracker, runner.batches(outer_loop)(0)))


def _finite(rates: list[np.ndarray]) -> np.ndarray:
    """All in one; an update that diverged has no rates."""
    every = np.concatenate(rates)
    return every[np.isfinite(every)]


def _histogram(rates: np.ndarray) -> tuple[list[float], list[float]]:
    """Shares by log10 of the rate; a rate that is not positive counts as the smallest."""
    counts, _ = np.histogram(np.log10(np.maximum(rates, 10.0 ** _BINS[0])), _BINS)
    return _BINS.tolist(), (counts / len(rates)).tolist()


TABLES = (
    Table(
        name="roam_modules",
        title="What do the recurrent optimizer and random filter scaling add?",
        source=f"{_SOURCE} 5, left",
        rows=(
            Row("SGD", setting=_SGD),
            Row("ROAM-w/o RFS", setting=_Setting(scaling=False)),
            Row("ROAM", setting=_ROAM),
            Row("SGD-Oracle", setting=dataclasses.replace(_SGD, oracle=True)),
            Row("ROAM-Oracle", setting=_Setting(oracle=True)),
        ),
        orderings=(
            Ordering("ROAM", "SGD"),
            Ordering("ROAM", "ROAM-w/o RFS"),
            Ordering("ROAM-Oracle", "SGD-Oracle"),
            Ordering("SGD-Oracle", "SGD"),
            Ordering("ROAM-Oracle", "ROAM"),
        ),
        seeds=_SEEDS,
        measure=_measure,
    ),
    Table(
        name="roam_cells",
        title="Which network should emit the rates?",
        source=f"{_SOURCE} 5, right",
        rows=(
            Row("ROAM", setting=_ROAM),
            Row("ROAM-GRU", setting=_Setting("gru")),
            Row("ROAM-FC", setting=_Setting("mlp")),
            Row("ROAM-ConstLR", setting=_Setting("learned_rates")),
        ),
        orderings=tuple(Ordering("ROAM", f"ROAM-{worse}") for worse in ("GRU", "FC", "ConstLR")),
        seeds=_SEEDS,
        measure=_measure,
    ),
    Table(
        name="roam_steps",
        title="How many gradient steps should an update take? (scores: two)",
        source=f"{_SOURCE} 6",
        rows=(
            Row("ROAM", setting=_ROAM),
            Row("SGD(7e-6)", setting=_SGD),
            Row("SGD(7e-7)", setting=_SLOW_SGD),
        ),
        orderings=(Ordering("ROAM", "SGD(7e-6)"), Ordering("ROAM", "SGD(7e-7)")),
        seeds=_SEEDS,
        measure=_measure_steps,
        curves=(Curve("auc_by_steps", "gradient steps of an update", "AUC"),),
    ),
    Table(
        name="roam_losses",
        title="Does the recurrent optimizer reach lower losses than SGD?",
        source=f"{_SOURCE} 7",
        rows=(Row("ROAM", setting=_ROAM), Row("SGD", setting=_SGD)),
        orderings=(Ordering("ROAM", "SGD", "outer_loss"),),
        seeds=_SEEDS,
        measure=_measure_losses,
        scores=(Score("outer_loss", "loss on a later frame", higher_is_better=False, digits=4),),
        curves=(
            Curve("update_loss", "update", "loss before the update", "log"),
            Curve("outer_loss", "update", "loss on a later frame", "log"),
        ),
    ),
    Table(
        name="roam_rates",
        title="Which rates are learned, and how different are they?",
        source=f"{_SOURCE} 8 and 2",
        rows=(Row("ROAM", setting=_ROAM), Row("ROAM-w/o RFS", setting=_Setting(scaling=False))),
        orderings=(
            Ordering("ROAM", "ROAM-w/o RFS", "offline_spread"),
            Ordering("ROAM", "ROAM-w/o RFS", "spread"),
        ),
        seeds=_SEEDS,
        measure=_measure_rates,
        scores=(
            Score("offline_spread", "deviation of log10 of rates, offline", digits=4),
            Score("spread", "deviation of log10 of rates, online", digits=4),
        ),
        curves=(
            Curve("initial_rates", "log10 of the rate", "share", histogram=True),
            Curve("offline_rates", "log10 of the rate, offline", "share", histogram=True),
            Curve("later_rates", "log10 of the rate, online", "share", histogram=True),
        ),
    ),
)
