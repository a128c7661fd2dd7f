"""Programs at their smallest, with what takes long made up: their files are written as ever.

Each is a function of the folder to write to and of whether to resume, and returns an exit status.
"""

import functools

import jax
import numpy as np

import tracking_tasks
from experiments import compare, pack, reproduce, sweep, train, vot
from experiments.few_shot import __main__ as few_shot
from experiments.matrix import matrix_flags, trial_runner
from experiments.meta_training import runner, training, training_data
from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import AUC, Curve, Ordering, Row, Table
from tests.campaigns import other_programs, sources
from tests.experiments import programs
from tests.experiments.meta_training.small_run import CONFIG, batches
from tests.tracking_tasks import tiny
from tracking_tasks.episode import EpisodeConfig

FRAMES = 120  # enough for VOT's expected average overlap


def _trial(trial_runner, trial, resume=False):
    """A trial that nobody trained, written as one that somebody did."""
    found = sources.trial(trial.tracker, trial.inner_optimizer, trial.seed)
    trial.save(trial_runner._conditions.folder, found)
    return found


def _matrix(program, folder, resume):
    trial_runner.TrialRunner.run = _trial
    matrix_flags.load_bank = lambda *_: None
    flags = ["--preset=smoke", "--seeds=2", "--inner_optimizers=none,adam"]
    return programs.run(program, *flags, *_output(folder, resume))


def _measure(_, row, seed):
    share = np.random.default_rng([seed, len(row.name)]).random()
    return Measurement({"auc": share}, {"loss": ([0, 1], [share, share / 2])})


def _reproduce(folder, resume):
    made_up = Table(
        name="made_up",
        title="Which is best?",
        source="Nobody 1900, Table 1",
        rows=(Row("a", {"auc": 50.0}), Row("bb", {"auc": 60.0})),
        orderings=(Ordering("bb", "a"),),
        seeds={"smoke": 3, "small": 3, "full": 3},
        measure=_measure,
        scores=(AUC,),
        curves=(Curve("loss", "step", "loss"),),
    )
    reproduce.load_tables = lambda: {"made_up": made_up}
    runner.load_bank = lambda *_: None
    return programs.run(reproduce, "--table=made_up", *_output(folder, resume))


def _pack(folder, resume):
    if resume and folder.exists():
        return 0  # there whole, and refused
    data = sources.sequences(folder, "otb", 6)
    return programs.run(pack, f"--dataset_dir={data}", f"--output_dir={folder}")


def _vot(folder, resume):
    tracking_tasks.load = lambda *_, **__: programs.Follower()
    data = sources.sequences(folder, "vot", FRAMES)
    flags = ["--challenge=vot2018", f"--dataset_dir={data}"]
    return programs.run(vot, *flags, *_output(folder, resume))


def _few_shot(folder, resume):
    flags = ["--task=sinusoid", "--episodes=1", "--outer_steps=20", "--test_episodes=20"]
    flags += ["--inner_optimizer=ridge", "--shots=40", "--more_steps=1"]
    return programs.run(few_shot, *flags, *_output(folder, resume))


class _Small(train.TRACKERS["dimp"]):
    """The tracker of the other tests under the same name."""

    episode_config = EpisodeConfig(crop_size=tiny.CONFIG.crop_size, support=2, query=2)

    @classmethod
    def create(cls, rule="steepest_descent", config=None, backbone=None):
        return tiny.make()


def _train(folder, resume):
    train._DEFAULTS = CONFIG
    train.TRACKERS = {"dimp": _Small}
    training_data.load_bank = lambda *_: type("Bank", (), {"photos": (), "cutouts": ()})
    training.rendered_batches = lambda _, config: (
        lambda index: jax.tree.map(lambda leaf: leaf[: config.episodes], batches(index))
    )
    flags = ["--outer_steps=4", "--episodes=2", "--save_every=1"]
    return programs.run(train, *flags, *_output(folder, resume))


def _output(folder, resume):
    return [f"--output_dir={folder}", *(["--resume"] if resume else [])]


KILLED = {
    "compare": functools.partial(_matrix, compare),
    "sweep": functools.partial(_matrix, sweep),
    "reproduce": _reproduce,
    "pack": _pack,
    "vot": _vot,
    "few_shot": _few_shot,
    "train": _train,
}

PROGRAMS = KILLED | other_programs.WHOLE | other_programs.BEGUN
