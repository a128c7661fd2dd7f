"""Figure 4 of DSLT: the shapes of its losses, which are functions and have no seeds."""

import functools

import jax.numpy as jnp

from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import Curve, Row, Score, Table
from experiments.reproduction.table_runner import TableRunner
from tracking_tasks.trackers.dslt.losses import focal, shrinkage, squared

_ERRORS = jnp.linspace(0.0, 1.0, 51)
_EASY, _HARD = 0.1, 0.9  # errors; the paper parts them at 0.5


def _measure(runner: TableRunner, row: Row, seed: int) -> Measurement:
    """The loss, and its factor over the squared error (eq. 5), by the error."""
    factor = lambda error: row.setting(error) / squared(error)
    easy, hard = (float(factor(jnp.asarray(error))) for error in (_EASY, _HARD))
    errors = _ERRORS.tolist()
    curves = {
        "loss": (errors, row.setting(_ERRORS).tolist()),
        "factor": (errors[1:], factor(_ERRORS[1:]).tolist()),
    }
    return Measurement({"easy": easy, "hard": hard}, curves, trained=False)


TABLES = (
    Table(
        name="dslt_shapes",
        title="What do the losses do to easy and to hard samples?",
        source="Lu et al. 2018, Figure 4",
        rows=(
            Row("L2", setting=squared),
            Row("L3 (focal)", setting=focal),
            Row("shrinkage, a = 10, c = 0.2", setting=shrinkage),
            Row("a = 5, c = 0.2", setting=functools.partial(shrinkage, speed=5.0)),
            Row("a = 10, c = 0.5", setting=functools.partial(shrinkage, location=0.5)),
        ),
        orderings=(),
        seeds={"smoke": 1, "small": 1, "full": 1},
        measure=_measure,
        scores=(
            Score("easy", "factor at an error of 0.1", digits=3),
            Score("hard", "factor at an error of 0.9", digits=3),
        ),
        curves=(
            Curve("loss", "error", "loss"),
            Curve("factor", "error", "factor over the squared error"),
        ),
    ),
)
