"""Character language models on text that comes with Python and with scikit-learn."""

import pathlib
import pydoc_data.topics
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Int, Key, PyTree, Scalar

from experiments.learned_optimizer.tasks.base import (
    Family,
    Problem,
    apply_layers,
    error,
    initial_layers,
)

_CONTEXT, _BATCH, _WHOLE = 6, 64, 512


class Characters(Family):
    """The next character from the six before it, by an MLP on their embeddings.

    Bengio et al., "A neural probabilistic language model", JMLR 2003, with characters for words.

    Attributes:
        text: characters by number.
        known: how many there are.
        embedding: numbers that stand for a character.
        hidden: units of the hidden layer.
    """

    text: Int[Array, " length"]
    known: int = struct.field(pytree_node=False)
    embedding: int = struct.field(pytree_node=False, default=8)
    hidden: int = struct.field(pytree_node=False, default=32)

    def sample(self, key: Key[Array, ""]) -> Problem:
        table_key, layers_key = jax.random.split(key)
        units = (_CONTEXT * self.embedding, self.hidden, self.known)
        table = jax.random.normal(table_key, (self.known, self.embedding))
        layers = initial_layers(layers_key, units, layer_norm=False)
        return Problem({"embedding": table, "layers": layers}, ())

    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        return self._windows(jax.random.randint(key, (_BATCH,), 0, len(self.text) - _CONTEXT))

    def whole(self, context: PyTree) -> PyTree:
        return self._windows(jnp.linspace(0, len(self.text) - _CONTEXT - 1, _WHOLE).astype(int))

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        before, following = samples
        # A product, since the derivative of a look-up scatters, slowly on a CPU.
        embedded = jax.nn.one_hot(before, self.known) @ params["embedding"]
        return error(apply_layers(params["layers"], embedded.reshape(len(before), -1)), following)

    def _windows(self, starts: Int[Array, " n"]) -> tuple[Array, Array]:
        windows = self.text[starts[:, None] + jnp.arange(_CONTEXT + 1)]
        return windows[:, :-1], windows[:, -1]


def descriptions() -> Characters:
    """On scikit-learn's descriptions of its data sets, in lower case."""
    import sklearn.datasets  # takes a second, which other tasks are spared

    folder = pathlib.Path(sklearn.datasets.__file__).parent / "descr"
    return _characters([path.read_text() for path in sorted(folder.glob("*.rst"))])


def topics() -> Characters:
    """On Python's own help on its language, in lower case, by a smaller network."""
    texts = pydoc_data.topics.topics
    return _characters([texts[name] for name in sorted(texts)], embedding=6, hidden=24)


def _characters(texts: Sequence[str], **sizes: int) -> Characters:
    known, numbers = np.unique(list("".join(texts).lower()), return_inverse=True)
    return Characters(jnp.asarray(numbers, jnp.int32), len(known), **sizes)
