"""The loop around the outer step: when it gives up, and what it compiles."""

import jax
import jax.numpy as jnp
import optax
import pytest

import metaopt
from basics.errors import InputError
from experiments.meta_training import outer_loop


@pytest.mark.parametrize("log_every", [1, 7, 1000])
@pytest.mark.parametrize("first", [0, 3])
def test_patience_is_looked_at_every_step_not_every_logged_one(log_every, first):
    taken = []

    def advance(state, index):
        taken.append(index)
        in_a_row = state.skipped_in_a_row + 1 if index >= first else jnp.int32(0)
        state = state.replace(step=state.step + 1, skipped_in_a_row=in_a_row)
        return state, {"outer_loss": jnp.nan}

    state = metaopt.OuterState.create({"a": jnp.zeros(2)}, optax.sgd(0.1))
    config = outer_loop.LoopConfig(outer_steps=1000, log_every=log_every, patience=4)
    with pytest.raises(InputError, match=f"not finite for 4 steps up to step {first + 4}:"):
        outer_loop.run(advance, state, config)
    assert first + 4 <= len(taken) <= first + 5


def test_the_last_steps_are_looked_at_before_the_run_ends():
    def advance(state, index):
        state = state.replace(step=state.step + 1, skipped_in_a_row=state.skipped_in_a_row + 1)
        return state, {"outer_loss": jnp.nan}

    state = metaopt.OuterState.create({"a": jnp.zeros(2)}, optax.sgd(0.1))
    of = lambda steps: outer_loop.LoopConfig(outer_steps=steps, log_every=1000, patience=4)
    assert int(outer_loop.run(advance, state, of(3)).step) == 3
    with pytest.raises(InputError, match="not finite for 4 steps up to step 4:"):
        outer_loop.run(advance, state, of(4))


def test_a_step_on_a_mesh_is_compiled_once():
    mesh, sgd = metaopt.episode_mesh(), optax.sgd(0.25)
    loss = lambda params, episode: (jnp.sum((params["a"] - episode) ** 2), {})
    step = jax.jit(lambda state, episodes: metaopt.outer_step(loss, sgd, state, episodes))

    def advance(state, index):
        _, episodes = metaopt.distribute(mesh, (), jnp.ones((8, 2)))
        return step(state, episodes)

    state = metaopt.OuterState.create({"a": jnp.zeros(2)}, sgd)
    state = outer_loop.run(advance, state, outer_loop.LoopConfig(outer_steps=3))
    assert state.params["a"].tolist() == [0.875, 0.875]
    assert step._cache_size() == 1
