"""Adjoints: how the outer gradient passes through a fit."""

import abc
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from metaopt._pytree import Pytree, static


class Adjoint(Pytree):
    """How the outer gradient passes through a fit."""

    @abc.abstractmethod
    def scan(
        self, body: Callable[[PyTree, PyTree], Any], carry: PyTree, xs: PyTree, steps: int
    ) -> tuple[PyTree, PyTree]:
        """As `jax.lax.scan(body, carry, xs, length=steps)`, with its own derivative."""


class Unrolled(Adjoint):
    """The exact derivative of every step.

    Args:
        remat: recompute each step in the backward pass, so that memory holds the iterates and not
            the inside of the steps.
    """

    remat: bool = static(default=True)

    def scan(
        self, body: Callable[[PyTree, PyTree], Any], carry: PyTree, xs: PyTree, steps: int
    ) -> tuple[PyTree, PyTree]:
        # prevent_cse is for use outside of control flow; within a scan it only costs time.
        body = jax.checkpoint(body, prevent_cse=False) if self.remat else body
        return jax.lax.scan(body, carry, xs, length=steps)
