"""The score that a target usually has, and what another score says beside it.

A target that is held has a response of 0.4, another of 1.1: it depends on how much is learned of it
and on what is around. Places without it have more of a response, too, where it has more, but not in
proportion: how sure a score is lies half way between the score and its ratio to the usual one, in
logarithms (docs/tracking.md). All this is chosen on the training part of real video.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_COUNTED = 0.7  # share of the usual score from which on a score counts to it
_FOLLOWED = 0.5  # share of such a score by which the usual one is followed
_GONE = 0.5  # share of the usual score below which the target is gone


def followed(usual: Float[Array, ""], score: Float[Array, ""]) -> Float[Array, ""]:
    """The usual score after one more; 0 stands for none yet. What is not finite changes nothing."""
    usual = jnp.where(usual > 0, usual, jnp.where(score > 0, score, 0.0))
    counts = jnp.isfinite(score) & (score >= _COUNTED * usual)
    return jnp.where(counts, usual + _FOLLOWED * (score - usual), usual)


def relative(score: Float[Array, ""], usual: Float[Array, ""]) -> Float[Array, ""]:
    """A score in square roots of the usual one, or of its own where there is none yet."""
    usual = jnp.where(usual > 0, usual, score)
    return score / jnp.sqrt(jnp.where(usual > 0, usual, 1.0))


def relative_scores(scores: Float[Array, " n"]) -> Float[Array, " n"]:
    """Those of a video, from its second frame on, each relative to what was usual before."""
    after = lambda usual, score: (followed(usual, score), relative(score, usual))
    return jax.lax.scan(after, jnp.zeros(()), scores)[1]


def is_gone(
    score: Float[Array, ""] | float, usual: Float[Array, ""] | float
) -> Bool[Array, ""] | bool:
    """Whether a score says that the target is to be looked for elsewhere."""
    return score < _GONE * usual
