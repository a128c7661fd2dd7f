"""Meta-training: it learns, resumes bit for bit, and stops on a loss that is not finite."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.errors import InputError
from basics.leaves import named_leaves
from experiments.meta_training import training
from tests.experiments.meta_training.makers import MAKERS
from tests.experiments.meta_training.small_run import CONFIG, batches
from tests.tracking_tasks.tiny import make


def leaves(tracker):
    return jax.tree.leaves(tracker.replace(backbone=None))


@pytest.fixture(scope="module", params=MAKERS)
def tracker(request):
    return request.param()


@pytest.fixture(scope="module")
def whole(tracker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return training.train(tracker, batches, CONFIG, folder), folder


def test_the_loss_falls_and_is_logged(whole):
    _, folder = whole
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 7))
    # The light of a step is that of three steps before.
    losses = np.array([line["outer_loss"] for line in lines])
    assert (losses[3:] < losses[:3]).all()
    assert any((folder / "events").iterdir())


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_run_that_was_stopped_and_resumed_ends_bit_for_bit_the_same(
    tracker, whole, tmp_path, stop
):
    class Killed(Exception):
        pass

    def interrupted(index):
        if index == stop:
            raise Killed
        return batches(index)

    with pytest.raises(Killed):
        training.train(tracker, interrupted, CONFIG, tmp_path)
    resumed = training.train(tracker, batches, CONFIG, tmp_path, resume=True)
    for left, right in zip(leaves(whole[0]), leaves(resumed), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_loss_that_stays_non_finite_ends_the_run_in_a_sentence(tracker):
    def poisoned(index):
        batch = batches(index)
        return batch.replace(query_images=batch.query_images * jnp.nan)

    config = dataclasses.replace(CONFIG, patience=3)
    with pytest.raises(InputError, match="not finite for 3 steps"):
        training.train(tracker, poisoned, config)


@pytest.mark.full
def test_frozen_parts_stay_as_they_are():
    tracker = make()
    config = dataclasses.replace(
        CONFIG, outer_steps=2, frozen=("backbone", "loss.label", "head.initializer", "hea")
    )
    trained = named_leaves(training.train(tracker, batches, config))
    before = named_leaves(tracker)
    moved = {name for name, leaf in trained.items() if jnp.any(leaf != before[name])}
    assert not any(name.startswith(("backbone", "loss.label", "head.init")) for name in moved)
    assert {"head.projection", "loss.mask", "optimizer.log_step"} <= moved
