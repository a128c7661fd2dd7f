"""What the outer loop does with one tracker and not with another reaches the outer step."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

import metaopt
from experiments.matrix import trial
from experiments.meta_training import training
from experiments.meta_training.policies import policy_of

# Two outer steps: in the first, one parameter's gradient is a hundred times the other's.
CONFIG = training.TrainingConfig(outer_steps=3, episodes=1)
GRADIENTS = jnp.array([[100.0, 1.0], [1.0, 1.0], [1.0, 1.0]])


class Linear(struct.PyTreeNode):
    """A tracker whose outer gradient is its episode."""

    params: jax.Array
    name: ClassVar[str]

    def mix(self, episodes: Any) -> Any:
        return episodes

    def outer_loss(self, episode: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        return self.params @ episode, {}


class LikeRoam(Linear):
    name = "roam"


class Unknown(Linear):
    name = "unknown"


def trained(tracker: type[Linear], **options: Any) -> np.ndarray:
    batches = lambda index: GRADIENTS[index][None]
    return np.asarray(training.train(tracker(jnp.zeros(2)), batches, CONFIG, **options).params)


def rising(tracker: Linear, episode: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    loss, metrics = tracker.outer_loss(episode)
    return -loss, metrics


def test_roams_outer_gradient_is_clipped_by_element_before_its_norm_is():
    first, second = trained(LikeRoam)
    assert first == second != 0  # (100, 1) became (1, 1)
    first, second = trained(Unknown)
    assert abs(first - second) > 1e-4


@pytest.mark.parametrize(("tracker", "expected"), [(LikeRoam, 1), (Unknown, None)])
def test_episodes_of_a_large_tracker_go_through_the_outer_loss_one_by_one(
    monkeypatch, tracker, expected
):
    seen = []
    outer_step = metaopt.outer_step

    def spy(*arguments):
        seen.append(arguments[-1])
        return outer_step(*arguments)

    monkeypatch.setattr(metaopt, "outer_step", spy)
    training._step.clear_cache()
    trained(tracker)
    assert set(seen) == {expected}


def test_a_loss_that_is_given_takes_the_place_of_the_trackers_own():
    np.testing.assert_array_equal(trained(Unknown, loss=rising), -trained(Unknown))


def test_comparisons_change_constants_of_those_trackers_that_say_so():
    preset = trial.PRESETS["smoke"]
    assert trial.config_for("dimp", preset).box_estimation == "scale_search"
    meta_rtt = trial.config_for("meta_rtt", preset)
    assert (meta_rtt.channels, meta_rtt.hidden, meta_rtt.crop_size) == (32, 64, 64)
    assert not policy_of("gradnet").in_comparisons
