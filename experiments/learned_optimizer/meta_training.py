"""The outer loss of a rule that trains networks, and its gradient through the end of a training."""

import dataclasses
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key, PyTree, Scalar

import metaopt
from basics.leaves import is_part, named_leaves, with_leaves
from experiments.learned_optimizer.tasks.base import Family, Problem
from experiments.meta_training import outer_loop
from metaopt.optimizers.orthogonal_mlp import OrthogonalMLP

_RATE = 0.12  # of the untrained rule, relative to the parameters' scale
_FLOOR = 1e-4  # of the relative loss: below it a training counts as solved


@dataclasses.dataclass(frozen=True)
class MetaTrainingConfig(outer_loop.LoopConfig):
    """The constants of a meta-training, beside those of any outer loop.

    Attributes:
        shortest: steps of a training; how many is drawn log-uniformly at each outer step.
        longest: likewise.
        window: the gradient goes through the last steps only, drawn log-uniformly from a quarter
            of `shortest` up to this. Of classifiers the gradients through 100 steps agree from
            problem to problem (mean cosine 0.93), through 500 less (0.86), through 2,000 they
            explode; those of autoencoders explode through 100 already.
        steep: the norm from which a problem's gradient counts for less, by the square of the
            excess: a chaotic training has a direction of no meaning.
        problems: of one family, side by side in an outer step; families take turns.
        learning_rate: of Adam at first; it falls to 0 along half a cosine.
        clip: largest global norm of the outer gradient.
        init_scale: initial kernels are multiplied by up to this or divided by it.
        seed: of everything random.
    """

    shortest: int = 64
    longest: int = 2000
    window: int = 256
    steep: float = 10.0
    problems: int = 4
    learning_rate: float = 4e-3
    clip: float = 1.0
    init_scale: float = 2.0
    seed: int = 0


def untrained() -> OrthogonalMLP:
    """The rule that a meta-training starts from."""
    return OrthogonalMLP(1000.0, rate=_RATE)


def meta_train(
    rule: OrthogonalMLP,
    families: list[Family],
    config: MetaTrainingConfig,
    folder: pathlib.Path | None = None,
    *,
    resume: bool = False,
) -> OrthogonalMLP:
    """Meta-trains all leaves but the number of steps.

    Each outer step's problems follow from the seed and its number alone, so a resumed run ends as
    one that was never stopped.

    Args:
        rule: where to start from.
        families: of problems.
        config: constants.
        folder: where checkpoints and metrics go; nothing is written without one.
        resume: go on from the newest checkpoint in `folder`.

    Raises:
        InputError: if the loss stays non-finite.
    """
    learned = {
        name: leaf for name, leaf in named_leaves(rule).items() if not is_part(name, ("steps",))
    }
    state = metaopt.OuterState.create(learned, _transformation(0.0, config.clip))

    def advance(
        state: metaopt.OuterState, index: int
    ) -> tuple[metaopt.OuterState, dict[str, Array]]:
        rng = np.random.default_rng((config.seed, index))
        draw = lambda low, high: int(np.exp(rng.uniform(np.log(low), np.log(high))))
        steps = draw(config.shortest, config.longest)
        window = draw(config.shortest / 4, config.window)
        keys = jax.random.split(jax.random.key(rng.integers(2**31)), config.problems)
        family = families[index % len(families)]
        rate = config.learning_rate * (1 + np.cos(np.pi * index / config.outer_steps)) / 2
        return _advance(state, rule, family, keys, steps, window, rate, config=constants)

    constants = dataclasses.replace(config, outer_steps=0, seed=0)  # the rest needs a compilation
    state = outer_loop.run(advance, state, config, folder, resume=resume)
    return with_leaves(rule, state.params)


def outer_loss(
    rule: OrthogonalMLP,
    family: Family,
    key: Key[Array, ""],
    steps: int | Array,
    window: int | Array,
    config: MetaTrainingConfig,
) -> Scalar:
    """The logarithm of the loss after a training, relative to that before it.

    Its gradient is that through the last `window` steps.

    Args:
        rule: that trains.
        family: of the problem.
        key: of the problem and its batches.
        steps: of the training; may be traced.
        window: see above; at most that of `config`, and may be traced.
        config: constants.
    """
    problem_key, scale_key, batch_key = jax.random.split(key, 3)
    problem = _rescaled(family.sample(problem_key), scale_key, config.init_scale)
    rule = rule.replace(steps=jnp.asarray(steps, jnp.float32))
    objective = metaopt.ScalarLoss(family.loss)
    kept = jnp.maximum(steps - window, 0)

    def step(rule: OrthogonalMLP, index: Array, carry: PyTree) -> PyTree:
        batch = family.batch(problem.context, jax.random.fold_in(batch_key, index))
        params, state = carry
        return rule.step(objective, params, state, batch)

    @jax.checkpoint
    def step_if_left(carry: PyTree, index: Array) -> tuple[PyTree, None]:
        advance = functools.partial(step, rule, index)
        return jax.lax.cond(index < steps, advance, lambda carry: carry, carry), None

    start = problem.params, rule.init(problem.params)
    constant = jax.lax.stop_gradient
    first_steps = functools.partial(step, constant(rule))
    middle = jax.lax.fori_loop(0, kept, first_steps, constant(start))
    (params, _), _ = jax.lax.scan(step_if_left, constant(middle), kept + jnp.arange(config.window))
    whole = family.whole(problem.context)
    first = constant(family.loss(problem.params, whole))
    return jnp.log(family.loss(params, whole) / first + _FLOOR)


def _rescaled(problem: Problem, key: Key[Array, ""], largest: float) -> Problem:
    """With the kernels' initial values scaled, each by a random factor."""
    leaves, structure = jax.tree.flatten(problem.params)
    limit = np.log(largest)
    factors = jnp.exp(jax.random.uniform(key, (len(leaves),), minval=-limit, maxval=limit))
    scaled = [p * c if p.ndim > 1 else p for p, c in zip(leaves, factors, strict=True)]
    return problem._replace(params=jax.tree.unflatten(structure, scaled))


def _transformation(rate: float | Array, clip: float) -> optax.GradientTransformation:
    """The outer optimizer."""
    return optax.chain(
        optax.clip_by_global_norm(clip), optax.scale_by_adam(b2=0.99), optax.scale(-rate)
    )


@functools.partial(jax.jit, static_argnames="config")
def _advance(
    state: metaopt.OuterState,
    rule: OrthogonalMLP,
    family: Family,
    keys: Key[Array, " problems"],
    steps: Array,
    window: Array,
    rate: Array,
    *,
    config: MetaTrainingConfig,
) -> tuple[metaopt.OuterState, dict[str, Array]]:
    """One outer step on a problem for each key."""

    def loss(learned: PyTree, key: Array) -> Scalar:
        return outer_loss(with_leaves(rule, learned), family, key, steps, window, config)

    values, gradients = jax.vmap(jax.value_and_grad(loss), (None, 0))(state.params, keys)
    norms = jax.vmap(optax.tree.norm)(gradients)
    usable = jnp.isfinite(values) & jnp.isfinite(norms)
    weights = jnp.where(usable, 1 / jnp.maximum(1, norms / config.steep) ** 2, 0)
    mean = lambda g: jnp.einsum("p,p...", weights, jnp.where(_like(usable, g), g, 0)) / len(keys)
    gradient = jax.tree.map(mean, gradients)
    updates, optimizer_state = _transformation(rate, config.clip).update(
        gradient, state.optimizer_state, state.params
    )
    skipped = (~usable.any()).astype(jnp.int32)
    state = state.replace(
        params=optax.apply_updates(state.params, updates),
        optimizer_state=optimizer_state,
        step=state.step + 1,
        skipped=state.skipped + skipped,
        skipped_in_a_row=(state.skipped_in_a_row + 1) * skipped,
    )
    used = optax.tree.norm(gradient)
    return state, {"outer_loss": values.mean(), "gradient_norm": used, "weight": weights.mean()}


def _like(of_problems: Array, leaf: Array) -> Array:
    """With the axes of a leaf that has a leading axis of problems."""
    return of_problems.reshape(-1, *[1] * (leaf.ndim - 1))
