"""What a learned optimizer is measured against: optax's optimizers at the best of many rates."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

MakeTransformation = Callable[[Array, int | Array], optax.GradientTransformation]


@dataclasses.dataclass(frozen=True, eq=False)  # told apart by identity, as what jit takes
class Contender:
    """An optimizer with a rate to tune.

    Attributes:
        make: from a rate and the number of steps of the training.
        rates: to choose from.
        scheduled: whether the number of steps changes anything: if not, one long training holds
            the shorter ones.
        judged: from its state and the params, those that are judged.
    """

    make: MakeTransformation
    rates: np.ndarray
    scheduled: bool = False
    judged: Callable[[Any, PyTree], PyTree] = lambda state, params: params


def _constant(make: Callable[[Array], optax.GradientTransformation]) -> MakeTransformation:
    return lambda rate, steps: make(rate)


def _adam_with_cosine(rate: Array, steps: int | Array) -> optax.GradientTransformation:
    """The rate falls along half a cosine; `steps` may be traced."""
    return optax.adam(lambda count: rate * (1 + jnp.cos(jnp.pi * count / steps)) / 2)


_RATES = np.geomspace(3e-4, 0.3, 10)

CONTENDERS = {
    "Adam": Contender(_constant(optax.adam), np.geomspace(1e-4, 1.0, 14)),
    "Adam, cosine": Contender(
        _adam_with_cosine,
        np.geomspace(1e-4, 1.0, 14),
        scheduled=True,
    ),
    "SGD, momentum": Contender(
        _constant(lambda rate: optax.sgd(rate, momentum=0.9)), np.geomspace(1e-3, 1.0, 10)
    ),
    "AdamW": Contender(_constant(lambda rate: optax.adamw(rate, weight_decay=1e-2)), _RATES),
    "AdamW, schedule-free": Contender(
        _constant(lambda rate: optax.contrib.schedule_free_adamw(rate)),
        _RATES,
        judged=optax.contrib.schedule_free_eval_params,
    ),
    "Lion": Contender(_constant(optax.lion), np.geomspace(3e-5, 0.03, 10)),
    "Prodigy": Contender(_constant(optax.contrib.prodigy), np.geomspace(0.03, 30.0, 10)),
    "Muon": Contender(_constant(optax.contrib.muon), np.geomspace(1e-3, 1.0, 10)),
}
