"""What is made equal between the rules of a comparison, beside outer steps and episodes."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from tracking_tasks.episode import Episode
from tracking_tasks.trackers import Tracker

BUDGETS = {
    "outer_steps": "equal outer steps; each rule takes the inner steps that its tracker gives it",
    "inner_steps": "equal outer and inner steps",
    "inner_flops": "equal outer steps, and inner steps of equally many operations together",
}


def equal_flops(create: Callable[[str], Tracker], rule: str, episode: Episode) -> Any:
    """The tracker's constants with as many inner steps as the default rule's operations allow.

    Those that the config calls its `inner_steps` are scaled, and are at least 1. The rule "none"
    costs nothing and keeps them.

    Args:
        create: makes the untrained tracker with a rule.
        rule: whose constants.
        episode: one that it is meta-trained on; only its shapes matter.
    """
    tracker = create(rule)
    idle = step_flops(create("none"), episode)
    cost = step_flops(tracker, episode) - idle
    if cost <= 0:
        return tracker.config
    factor = (step_flops(create(tracker.default_rule), episode) - idle) / cost
    return scale_steps(tracker.config, factor)


def scale_steps(config: Any, factor: float) -> Any:
    """A config whose numbers of inner steps are multiplied and rounded, to at least 1."""
    steps = {name: max(1, round(getattr(config, name) * factor)) for name in config.inner_steps}
    return dataclasses.replace(config, **steps)


def step_flops(tracker: Tracker, episode: Episode) -> float:
    """Operations of one inner step and of judging its iterate, as XLA counts them."""

    def count(steps: int) -> float:
        # The tracker is an argument, not a constant: XLA would compute with constants beforehand.
        adapt = jax.jit(lambda tracker, episode: tracker.adapt(episode, steps))
        cost = adapt.lower(tracker, episode).compile().cost_analysis()
        return float(cost["flops"])  # type: ignore[index]

    # XLA counts a loop as one turn whatever its length, and unrolls one of a single turn.
    return count(2) - count(0)
