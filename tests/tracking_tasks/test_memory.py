"""The sample memory: weights, slots, and what is never thrown away."""

import jax.numpy as jnp
import numpy as np

from tracking_tasks.memory import SampleMemory


def memory(initial=2, slots=4):
    return SampleMemory.create(jnp.arange(1.0, initial + 1)[:, None], initial, slots)


def store(memory, value, rate=0.5, share=0.0, enabled=True):
    return memory.store(jnp.array([value]), jnp.asarray(rate), share, jnp.asarray(enabled))


def test_a_new_sample_outweighs_the_one_before_by_the_learning_rate():
    first = store(memory(), 10.0)
    # Newest 1/2 / (1 - 1/2) = 1 beside two of 1/2, normalized.
    np.testing.assert_allclose(first.weights, [0.25, 0.25, 0.5, 0.0])
    second = store(first, 11.0)
    np.testing.assert_allclose(second.weights, [0.125, 0.125, 0.25, 0.5])
    np.testing.assert_allclose(second.samples[:, 0], [1, 2, 10, 11])


def test_a_full_memory_replaces_the_least_weighted_sample_that_is_not_initial():
    full = store(store(memory(), 10.0), 11.0)
    again = store(full, 12.0)
    np.testing.assert_allclose(again.samples[:, 0], [1, 2, 12, 11])
    np.testing.assert_allclose(again.weights.sum(), 1.0, rtol=1e-6)


def test_the_initial_samples_keep_their_share():
    kept = memory()
    for value in range(20):
        kept = store(kept, float(value), share=0.3)
    np.testing.assert_allclose(kept.weights[:2], 0.15, rtol=1e-5)
    np.testing.assert_allclose(kept.weights.sum(), 1.0, rtol=1e-5)


def test_a_disabled_store_changes_nothing():
    before = store(memory(), 10.0)
    after = store(before, 99.0, enabled=False)
    np.testing.assert_array_equal(before.samples, after.samples)
    np.testing.assert_array_equal(before.weights, after.weights)
    assert before.newest == after.newest
