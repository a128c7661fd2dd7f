"""Tracing a tracker, which compiles nothing, to see what its constants reach."""

import functools

import jax
import jax.numpy as jnp

from tests.tracking_tasks.striped import frame, video


def traced(tracker):
    """Traces a first frame and a step; returns a state of zeros, shaped as that after them."""
    images, start = video(1)
    states = []

    def run(seen, box):
        states.append(tracker.step(tracker.init(seen, box), seen)[0])
        return jax.tree.leaves(states)

    jax.eval_shape(run, frame(images[0]), jnp.asarray(start[0]))
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), states[0])


def spied(monkeypatch, module, name):
    """The arguments of every call of a function, which is called as before."""
    calls, function = [], getattr(module, name)

    @functools.wraps(function)
    def spy(*arguments, **options):
        calls.append((*arguments, *options.values()))
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, spy)
    return calls
