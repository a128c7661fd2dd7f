"""Random scaling of the coordinates in meta-training: ROAM's cure for overfitting to magnitudes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Scalar

from metaopt._objectives import CurvedObjective, Objective, Quadratic
from metaopt.optimizers._base import InnerOptimizer, require_same_structure


class _Scaled(Objective):
    """An objective as a function of its params divided by `factors`."""

    objective: Objective
    factors: PyTree

    @property
    def name(self) -> str:
        return self.objective.name

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return self.objective.loss(_multiply(params, self.factors), batch)

    def gradient(self, params: PyTree, batch: PyTree) -> PyTree:
        gradient = self.objective.gradient(_multiply(params, self.factors), batch)
        return _multiply(gradient, self.factors)

    def value_and_gradient(self, params: PyTree, batch: PyTree) -> tuple[Scalar, PyTree]:
        seen = _multiply(params, self.factors)
        value, gradient = self.objective.value_and_gradient(seen, batch)
        return value, _multiply(gradient, self.factors)


class _CurvedScaled(_Scaled, CurvedObjective):
    objective: CurvedObjective

    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        gradient, curvature = self.objective.quadratic(_multiply(params, self.factors), batch)
        return _multiply(gradient, self.factors), lambda v: curvature(_multiply(v, self.factors))


class RandomScaling(InnerOptimizer):
    """Shows a rule the inner parameters divided by random factors, and their gradient times them.

        log(factors) ~ U(-range, range)      for each coordinate

    (Yang et al., "ROAM", CVPR 2020, section 3.3, eq. 15.) The objective is unchanged as a function
    of what it is given, so a learned rule has to adapt its rates to the magnitude of inputs. From
    outside nothing changes: params, losses and what is observed keep their own scale. Meant for
    meta-training, with new factors for each episode; afterwards the rule is used bare:

        def outer_loss(meta, episode, key):
            rule = metaopt.RandomScaling(meta.rule, meta.params, key, {"filter": 1.6, "box": 1.3})
            result = metaopt.fit(rule, objective, meta.params, episode.support, steps=5)

    A state (for a later fit on the same episode) belongs to the same factors.

    Args:
        optimizer: the rule, which is meta-trained.
        params: inner parameters of the shapes to be fitted.
        key: of the random factors.
        ranges: the range, kappa in the paper (1.6 for its filters, 1.3 for its box regression): one
            for all, or a pytree like the params or a prefix of it, with one for each group.

    Attributes:
        factors: a pytree like the params.
    """

    optimizer: InnerOptimizer
    factors: PyTree

    def __init__(
        self, optimizer: InnerOptimizer, params: PyTree, key: Array, ranges: PyTree
    ) -> None:
        leaves, structure = jax.tree.flatten(params)
        keys = jax.tree.unflatten(structure, list(jax.random.split(key, len(leaves))))
        factors = jax.tree.map(
            lambda p, key, kappa: jnp.exp(jax.random.uniform(key, p.shape, None, -kappa, kappa)),
            params,
            keys,
            jax.tree.broadcast(ranges, params),
        )
        self._set(optimizer=optimizer, factors=factors)

    @property
    def fits_any_shapes(self) -> bool:
        """No: the factors are of the shapes of the params."""
        return False

    def init(self, params: PyTree) -> PyTree:
        require_same_structure(self, self.factors, params)
        return self.optimizer.init(_divide(params, self.factors))

    def step(
        self, objective: Objective, params: PyTree, state: PyTree, batch: PyTree
    ) -> tuple[PyTree, PyTree]:
        seen = _divide(params, self.factors)
        moved, state = self.optimizer.step(_scale(objective, self.factors), seen, state, batch)
        return _multiply(moved, self.factors), state


def _scale(objective: Objective, factors: PyTree) -> Objective:
    """With curvature if the objective has it, so that a rule that needs one can tell."""
    if isinstance(objective, CurvedObjective):
        return _CurvedScaled(objective, factors)
    return _Scaled(objective, factors)


def _multiply(params: PyTree, factors: PyTree) -> PyTree:
    return jax.tree.map(lambda p, factor: (p * factor).astype(p.dtype), params, factors)


def _divide(params: PyTree, factors: PyTree) -> PyTree:
    return jax.tree.map(lambda p, factor: (p / factor).astype(p.dtype), params, factors)
