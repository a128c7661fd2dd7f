import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import pytest

import metaopt
from experiments.matrix import budget

ROWS, COLUMNS = 1000, 32
PRODUCT = 2 * ROWS * COLUMNS  # operations of a matrix times a vector


@dataclasses.dataclass(frozen=True)
class Config:
    inner_steps: ClassVar[tuple[str, ...]] = ("train_steps", "update_steps")

    train_steps: int = 5
    update_steps: int = 1
    warm_up_steps: int = 3


@jax.tree_util.register_pytree_node_class
class Fit:
    """A least-squares fit in the place of a tracker."""

    config = Config()
    default_rule = "steepest_descent"

    def __init__(self, rule):
        self.rule = rule

    def tree_flatten(self):
        return (self.rule,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)

    def adapt(self, matrix, steps):
        objective = metaopt.LeastSquares(lambda params, matrix: matrix @ params - 1.0)
        return metaopt.fit(self.rule, objective, jnp.zeros(COLUMNS), matrix, steps=steps).losses


def create(rule):
    return Fit(metaopt.optimizers.make(rule, jnp.zeros(COLUMNS), steps=5, rate=0.1))


MATRIX = jnp.ones((ROWS, COLUMNS))


@pytest.mark.parametrize(("rule", "products"), [("gradient_descent", 2), ("steepest_descent", 3)])
def test_a_step_costs_its_matrix_products(rule, products):
    cost = budget.step_flops(create(rule), MATRIX) - budget.step_flops(create("none"), MATRIX)
    assert cost == pytest.approx(products * PRODUCT, rel=0.1)


def test_rules_get_the_steps_that_the_default_rule_s_operations_allow():
    steps = lambda rule: budget.equal_flops(create, rule, MATRIX)
    assert steps("steepest_descent") == Config()
    # Three products to two; 5 steps become 7.5 and a little, 1 becomes 1.5 and a little.
    assert steps("gradient_descent") == Config(train_steps=8, update_steps=2)
    assert steps("none") == Config()


def test_no_number_of_steps_falls_below_one():
    assert budget.scale_steps(Config(), 0.1) == Config(train_steps=1)
