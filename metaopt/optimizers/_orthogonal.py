"""The direction of a matrix with its singular values brought together, in few products."""

import jax.numpy as jnp
from jaxtyping import Array, Float

# Two odd polynomials a x + b x^3 + c x^5, one after the other. Of all such pairs they take the
# interval 0.04 .. 1 closest to 1, to within 0.29: each is the best on what the one before leaves
# (Amsel et al., "The Polar Express", 2025, arXiv:2505.16932, theorem 3.1).
_FIRST, _SECOND = (7.0441, -19.4937, 14.1690), (2.7004, -2.0091, 0.4562)
_SMALL = 1e-6  # keeps derivatives finite where a matrix is zero

Matrix = Float[Array, "rows columns"]
Square = Float[Array, "side side"]


def orthogonal(matrix: Matrix) -> Matrix:
    """Nearly orthogonal rows or columns, the fewer of them; the root mean square is 1.

    Singular values are brought near to each other and no more, as in Jordan et al., "Muon", 2024.
    The polynomials are taken of the Gram matrix of the shorter side, and meet the matrix itself
    only at the end. They begin where the sum of the singular values' fourth powers is 1: that is
    the Gram matrix's norm, and leaves them larger than the sum of their squares would.
    """
    rows, columns = matrix.shape
    gram = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    gram = gram / jnp.sqrt(jnp.vdot(gram, gram) + _SMALL**2)
    first = _factor(_FIRST, gram)
    both = _factor(_SECOND, first @ gram @ first) @ first
    result = both @ matrix if rows <= columns else matrix @ both
    return result / jnp.sqrt(jnp.vdot(result, result) / result.size + _SMALL)


def _factor(polynomial: tuple[float, float, float], gram: Square) -> Square:
    """What a matrix of that Gram matrix is multiplied by."""
    a, b, c = polynomial
    return a * jnp.eye(len(gram), dtype=gram.dtype) + b * gram + c * (gram @ gram)
