"""A tracker's functions, compiled, for calls that come many times a second."""

import concurrent.futures
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from basics.compilation import quick_options
from basics.memory import keep_freed_memory
from tracking_tasks.boxes import validate_box
from tracking_tasks.episode import Frame, Prediction
from tracking_tasks.online.frames import ImageLike, padded
from tracking_tasks.online.traces import kept
from tracking_tasks.trackers import Tracker

State = list[jax.Array]  # the leaves of an online state


class Programs:
    """Compiled functions of one tracker, of states as lists of their leaves.

    JAX takes its arguments apart whenever it is called: a tracker, with a network in it, takes half
    a millisecond. Here it is taken apart once.

    Args:
        tracker: the pure functions and their parameters.
    """

    def __init__(self, tracker: Tracker) -> None:
        keep_freed_memory()
        self.tracker = tracker
        leaves, self._structure = jax.tree.flatten(tracker)
        self._leaves = _tied(leaves)
        self._first = _program(_init, self._structure)
        self._next = _program(_advance, self._structure)
        self._ahead: concurrent.futures.Future[None] | None = None

    def start(self, image: ImageLike, box: ArrayLike, steps_follow: bool = True) -> State:
        """The online state of a tracker that is fitted to a target.

        Args:
            image: uint8 (H, W, 3), RGB: an array, an image of Pillow, or nested lists.
            box: x, y, w, h in pixels, 0-based.
            steps_follow: by `advance`, whose program is compiled meanwhile, in a thread.

        Raises:
            InputError: if the image or the box cannot be used.
        """
        frame = padded(image)
        width, height = frame.extent.tolist()
        own = np.array(validate_box(box, (height, width)))  # which nobody changes meanwhile
        given = self._leaves, frame, jax.device_put(own)
        if steps_follow:
            self._ahead = _compiled_ahead(self._next, self._first, *given)
        return self._first(*given)

    def advance(self, state: State, frame: Frame) -> tuple[State, Prediction]:
        """The state after the next frame, and where the target is; the state before is used up."""
        ahead = self._ahead  # which a thread beside this one may be done with
        if ahead is not None:
            concurrent.futures.wait([ahead])  # what is wrong is said by the call itself
            self._ahead = None
        *state, box, score, present, undone = self._next(self._leaves, state, frame)
        return state, Prediction(box, score, present, undone)

    def tree(self, state: State) -> Any:
        """A state as the tracker's functions have it."""
        return jax.tree.unflatten(self.structure, state)

    @functools.cached_property
    def structure(self) -> Any:
        """The `PyTreeDef` of a state; takes a trace, if the first frame's was kept in a file."""
        return _structure_of_state(self._structure, self._leaves)


@functools.cache
def _program(function: Callable[..., Any], structure: Any) -> Callable[..., Any]:
    """A function of a tracker and more as one of its leaves and more; trackers alike share it."""
    program = kept(functools.partial(function, structure))
    program.__name__ = function.__name__  # by which JAX's log calls it
    once = function is _init
    # The old state is given up, so that the sample memory is updated in place.
    donated = None if once else 1
    return jax.jit(program, donate_argnums=donated, compiler_options=quick_options(once))


def _tied(leaves: list[Any]) -> list[jax.Array]:
    """Arrays that are tied to the device that they are on, and with them what is made of them.

    So is what a program returns that was read from a file, but not what JAX itself traces; for
    the step they would be arguments of two kinds, with a program for each.
    """
    arrays = jax.device_put(leaves)
    return jax.device_put(arrays, [array.sharding for array in arrays])


_pool = concurrent.futures.ThreadPoolExecutor(1, "compilation")
_begun: dict[Any, concurrent.futures.Future[None]] = {}  # by program, and what it is given


def _compiled_ahead(
    step: Any, init: Any, leaves: list[jax.Array], frame: Frame, box: jax.Array
) -> concurrent.futures.Future[None]:
    """Compiles a step for what the first frame makes, once; a call of it finds the result."""
    key = step, *(leaf.shape for leaf in (*leaves, frame.pixels))
    if key in _begun:
        return _begun[key]
    first = init.trace(leaves, frame, box)  # of which the call that comes now makes use

    def compile() -> None:
        shapes, where = first.jaxpr.out_avals, leaves[0].sharding
        state = [jax.device_put(np.zeros(shape.shape, shape.dtype), where) for shape in shapes]
        step.lower(leaves, state, frame).compile()

    _begun[key] = _pool.submit(compile)
    return _begun[key]


_structures: dict[Any, Any] = {}  # of states, by that of their tracker


def _init(structure: Any, leaves: list[jax.Array], frame: Frame, box: jax.Array) -> State:
    state = jax.tree.unflatten(structure, leaves).init(frame, box)
    found, _structures[structure] = jax.tree.flatten(state)
    return found


def _advance(structure: Any, leaves: list[jax.Array], state: State, frame: Frame) -> State:
    """The leaves of the state, and behind them those of the prediction."""
    before = jax.tree.unflatten(_structure_of_state(structure, leaves), state)
    after, prediction = jax.tree.unflatten(structure, leaves).step(before, frame)
    return [*jax.tree.leaves(after), *map(jnp.asarray, prediction)]


def _structure_of_state(structure: Any, leaves: list[jax.Array]) -> Any:
    if structure not in _structures:
        frame = padded(np.zeros((1, 1, 3), np.uint8))  # of any size
        jax.eval_shape(functools.partial(_init, structure), leaves, frame, np.zeros(4, np.float32))
    return _structures[structure]
