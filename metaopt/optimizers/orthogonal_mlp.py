"""A learned optimizer for any network: a perceptron a coordinate, a scheduler a tensor."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from metaopt._objectives import Objective
from metaopt._pytree import Pytree
from metaopt.optimizers._base import InnerOptimizer, register
from metaopt.optimizers._orthogonal import orthogonal
from metaopt.optimizers._perceptron import Perceptron
from metaopt.optimizers._tensors import (
    OUTPUTS,
    TINY,
    Observed,
    as_matrix,
    corrected,
    cosine,
    rms,
    scheduled,
    silent_network,
    silent_scheduler,
)

_DECAYS = (0.9, 0.99, 0.999)  # of the momenta at first
_SHORT, _FASTEST = 100.0, 3.0  # steps up to which the rate is as given; the largest pace


class OrthogonalMLPState(Pytree):
    """The state of `OrthogonalMLP`, in the precision of the rule.

    Attributes:
        count: the number of steps taken.
        momenta: of each tensor, means of the gradient at three decays, fastest first.
        squares: likewise the mean of its square.
        log_norms: of each tensor, means of the logarithm of the gradient's root mean square: a
            fast and a slow one.
        agreements: of each tensor, a mean of the cosine of the gradient and its last step.
        scales: of each tensor, the root mean square of its parameters at first: the unit of its
            steps.
        paces: of each tensor, by how much its steps are longer than they were to be.
        changes: of each tensor, the direction of its last step, uphill.
    """

    count: Int[Array, ""]
    momenta: list[Float[Array, "momenta _ _"]]
    squares: list[Float[Array, "_ _"]]
    log_norms: Float[Array, "2 tensors"]
    agreements: Float[Array, " tensors"]
    scales: Float[Array, " tensors"]
    paces: Float[Array, " tensors"]
    changes: list[Float[Array, "_ _"]]


class OrthogonalMLP(InnerOptimizer):
    """Trains any network for a known number of steps, with no rate to tune.

    A small network that all coordinates share corrects Adam's direction with Nesterov's look-ahead,

        d = (.9 m1 + .1 g + e2 m2 + e3 m3) / sqrt(v) + network(m1, m2, m3, g, each / sqrt(v); ...)

    and a scheduler that all tensors share chooses how far each tensor follows it at each step,

        u = exp(a) orthogonal(d) + exp(b) d / sqrt(1 + rms(d)^2)
        params <- params - (1 - t / steps) (steps / 100)^-.25 c s u

    s is the root mean square of the tensor's initial values, so that parameters of any scale move
    alike. c, its pace, begins at 1 and is multiplied at each step by exp(.1 cos(g, last u)), within
    1/3 .. 3: it grows while gradients agree with the last step, and falls when that overshot. Fewer
    than 100 steps count as 100 in the power. (a, b), and the shares (e2, e3) of the slower momenta,
    are the scheduler's outputs: a perceptron of what is known of a tensor (how far the training is
    and how long it will be; the shape; how long d is, which tells signal from noise; whether
    gradients grow, and whether they agree with steps; the pace). All inputs are ratios: scaling the
    loss, or all parameters, changes nothing. Tensors of two axes or more have the orthogonal part;
    their leading axes count as one.

    Untrained, the networks' last layers are zero, and these are not evaluated: a and b are
    constants, e2 and e3 zero. Decays and the straight descent to rest were chosen by hand on
    classifiers of digits and of patches of photographs and on autoencoders of these; the pace and
    the power of `steps` on patches, a text and curves. The features are those of VeLO (Metz et al.
    2022, arXiv:2211.09760) and of Celo2 (arXiv:2602.19142), as is the orthogonal part, which is
    Jordan et al.'s, "Muon", 2024; shares of slower momenta are those of AdEMAMix (Pagliardini et
    al. 2024, arXiv:2409.03137, section 3); the pace is a step of hypergradient descent (Baydin et
    al. 2018, arXiv:1703.04782, section 2), of a cosine in place of their product.

    Args:
        steps: of the training, above 0. The rule comes to rest there: steps beyond move nothing.
        rate: of the untrained rule in up to 100 steps, relative to the parameters' scale.
        key: of the random initial weights.

    Attributes:
        steps: as above; no meta-parameter, but free to change from training to training.
        momentum_logits: decays of the momenta are their sigmoids.
        square_logit: likewise of the squares.
        shortening: steps are shorter in longer trainings: minus the power of `steps`.
        pacing: how fast the pace changes.
        base: (a, b, e2, e3) at first, of tensors of fewer than two axes and of others.
        scheduler: kernels and biases of its two layers.
        network: likewise of the network a coordinate.
    """

    steps: Float[Array, ""]
    momentum_logits: Float[Array, " momenta"]
    square_logit: Float[Array, ""]
    shortening: Float[Array, ""]
    pacing: Float[Array, ""]
    base: Float[Array, "2 outputs"]
    scheduler: Perceptron
    network: Perceptron

    def __init__(
        self, steps: float | Array, *, rate: float = 0.2, key: Array | None = None
    ) -> None:
        keys = jax.random.split(jax.random.key(0) if key is None else key)
        quiet, moving = math.log(rate / 10), math.log(rate)
        base = jnp.zeros((2, OUTPUTS)).at[:, :2].set([[-20.0, moving + 1.0], [moving, quiet]])
        self._set(
            steps=jnp.asarray(steps, float),
            momentum_logits=jax.scipy.special.logit(jnp.array(_DECAYS)),
            square_logit=jax.scipy.special.logit(jnp.array(0.99)),
            shortening=jnp.array(0.25),
            pacing=jnp.array(0.1),
            base=base,
            scheduler=silent_scheduler(keys[0]),
            network=silent_network(keys[1]),
        )

    def init(self, params: PyTree) -> OrthogonalMLPState:
        leaves = [leaf.astype(self.base.dtype) for leaf in jax.tree.leaves(params)]
        matrices = [leaf for leaf in leaves if leaf.ndim > 1] or leaves
        common = rms(jnp.concatenate([leaf.reshape(-1) for leaf in matrices]))
        common = jnp.where(common < 1e-10, 0.1, common)  # zeros alone tell no scale
        scales = jnp.stack([rms(leaf) for leaf in leaves])
        zeros = [jnp.zeros_like(as_matrix(leaf)) for leaf in leaves]
        return OrthogonalMLPState(
            count=jnp.zeros((), jnp.int32),
            momenta=[jnp.stack([zero] * len(_DECAYS)) for zero in zeros],
            squares=zeros,
            log_norms=jnp.zeros((2, len(leaves)), self.base.dtype),
            agreements=jnp.zeros(len(leaves), self.base.dtype),
            scales=jnp.where(scales < common / 100, common, scales),
            paces=jnp.ones(len(leaves), self.base.dtype),
            changes=zeros,
        )

    def step(
        self, objective: Objective, params: PyTree, state: OrthogonalMLPState, batch: PyTree
    ) -> tuple[PyTree, OrthogonalMLPState]:
        leaves, structure = jax.tree.flatten(params)
        gradients = jax.tree.leaves(objective.gradient(params, batch))
        state, tensors = self._observe(leaves, gradients, state)
        done = (state.count - 1) / self.steps
        times = jnp.stack([jnp.log(state.count), jnp.log(self.steps)]) / 8
        times = jnp.concatenate([jnp.minimum(done, 1) ** jnp.arange(1, 3), times])
        kinds = jnp.array([int(leaf.ndim > 1) for leaf in leaves])
        trends = jnp.tanh(state.log_norms[0] - state.log_norms[1])
        memory = jnp.stack([trends, state.agreements, jnp.log(state.paces) / math.log(_FASTEST)])
        outputs = self.base[kinds] + scheduled(self.scheduler, tensors, kinds, times, memory)
        corrections = corrected(self.network, tensors)
        shorter = (jnp.maximum(self.steps, _SHORT) / _SHORT) ** -self.shortening
        left = jnp.maximum(1 - done, 0) * shorter
        moved, changes = [], []
        for index, (leaf, seen) in enumerate(zip(leaves, tensors, strict=True)):
            slower = jnp.tensordot(outputs[index, 2:], seen.momenta[1:], 1)
            direction = seen.direction + slower / seen.deviation + corrections[index]
            far, near = jnp.exp(outputs[index, :2])
            change = near * direction / jnp.sqrt(1 + rms(direction) ** 2)
            if leaf.ndim > 1:
                change += far * orthogonal(direction)
            changes.append(change)
            change *= left * state.scales[index] * state.paces[index]
            moved.append(leaf - change.reshape(leaf.shape).astype(leaf.dtype))
        return jax.tree.unflatten(structure, moved), state.replace(changes=changes)

    def _observe(
        self, leaves: list[Array], gradients: list[Array], state: OrthogonalMLPState
    ) -> tuple[OrthogonalMLPState, list[Observed]]:
        """Takes the gradient into the memory; all means are free of the bias of starting at 0."""
        decays, decay = jax.nn.sigmoid(self.momentum_logits), jax.nn.sigmoid(self.square_logit)
        decays, count = decays[:, None, None], state.count + 1
        tensors, memory = [], []
        for index, (leaf, gradient) in enumerate(zip(leaves, gradients, strict=True)):
            gradient = as_matrix(gradient).astype(self.base.dtype)
            momenta, squares = state.momenta[index], state.squares[index]
            # Where it always was zero a direction has no derivative: it is a constant there.
            never = (squares == 0) & (gradient == 0)
            gradient = jnp.where(never, jax.lax.stop_gradient(gradient), gradient)
            momenta = momenta + (1 - decays) * (gradient - momenta)
            squares = squares + (1 - decay) * (gradient**2 - squares)
            means = momenta / (1 - decays**count)
            deviation = _deviation(squares / (1 - decay**count))
            seen = Observed(
                params=as_matrix(leaf).astype(self.base.dtype) / state.scales[index],
                gradient=gradient,
                momenta=means,
                deviation=deviation,
                direction=(0.9 * means[0] + 0.1 * gradient) / deviation,
            )
            tensors.append(seen)
            last = state.changes[index]
            last = jnp.where(last == 0, jax.lax.stop_gradient(last), last)  # as above
            memory.append((momenta, squares, jnp.log(rms(gradient)), cosine(gradient, last)))
        all_momenta, all_squares, logs, cosines = zip(*memory, strict=True)
        rates = jnp.maximum(1 / count, jnp.array([[0.1], [0.01]])).astype(self.base.dtype)
        log_norms = state.log_norms + rates * (jnp.stack(logs) - state.log_norms)
        agreed = jnp.stack(cosines)
        paces = state.paces * jnp.exp(self.pacing * agreed)
        state = state.replace(
            count=count,
            momenta=list(all_momenta),
            squares=list(all_squares),
            log_norms=log_norms,
            agreements=state.agreements + 0.1 * (agreed - state.agreements),
            paces=jnp.clip(paces, 1 / _FASTEST, _FASTEST),
        )
        return state, tensors


def _deviation(squares: Float[Array, "_ _"]) -> Float[Array, "_ _"]:
    """The root, of a hundred-thousandth of the tensor's own where it is less, of 1 without any.

    A root near 0, by which the directions are divided, would have a derivative beyond float32.
    """
    floored = squares + 1e-10 * jnp.vdot(squares, jnp.ones_like(squares)) / squares.size
    never = floored < TINY
    return jnp.where(never, 1, jnp.sqrt(jnp.where(never, 1, floored)))


@register("orthogonal_mlp")
def _untrained(params: PyTree, *, steps: int, rate: float) -> OrthogonalMLP:
    return OrthogonalMLP(float(steps), rate=rate)
