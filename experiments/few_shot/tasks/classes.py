"""Classification among classes that were never seen before, from a few images of each."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jaxtyping import Array, Float, Int, Scalar, UInt8

from basics.errors import InputError
from experiments.few_shot.tasks.base import Episode, Samples, Task
from models import FewShotClassifier

Images = Mapping[str, UInt8[np.ndarray, "_ h w c"]]


class ImageSet(struct.PyTreeNode):
    """Images by class.

    Attributes:
        images: those of all classes, one class after the other; 0 to 255.
        first: where the images of each class begin.
        count: how many each class has.
        largest: the largest of these numbers.
    """

    images: UInt8[Array, "n h w c"]
    first: Int[Array, " classes"]
    count: Int[Array, " classes"]
    largest: int = struct.field(pytree_node=False)

    @classmethod
    def of(cls, classes: Sequence[UInt8[np.ndarray, "_ h w c"]]) -> "ImageSet":
        """From the images of each class."""
        counts = np.array([len(images) for images in classes])
        return cls(
            images=jnp.asarray(np.concatenate(classes)),
            first=jnp.asarray(np.cumsum(counts) - counts),
            count=jnp.asarray(counts),
            largest=int(counts.max()),
        )

    def draw(self, key: Array, index: Int[Array, ""], count: int) -> UInt8[Array, "count h w c"]:
        """Different images of one class, in random order."""
        order = shuffled(key, self.count[index], self.largest)
        return self.images[self.first[index] + order[:count]]


class ImageClasses(Task):
    """N-way K-shot classification: N random classes in random order, K images of each to fit to.

    Vinyals et al., "Matching Networks for One Shot Learning", NeurIPS 2016, section 4.1. Statistics
    of batch norm are those of the support in the fit and of all queries together in the outer loss:
    the transductive setting of Finn et al. 2017.

    Attributes:
        training: classes to meta-train on.
        test: classes that the evaluation is on, none of them in `training`.
        ways: classes of an episode.
        shots: images of each class to fit to.
        queries: images of each class that the fit is judged on.
        rotations: 4 where a class turned by a quarter is another class, in training and in tests
            (Santoro et al. 2016, and Finn et al.'s published code), else 1.
        filters: of each block of the network.
    """

    score_name = "accuracy"
    head_scale = 10.0  # of zeros and ones it makes logits

    training: ImageSet
    test: ImageSet
    ways: int = struct.field(pytree_node=False, default=5)
    shots: int = struct.field(pytree_node=False, default=1)
    queries: int = struct.field(pytree_node=False, default=5)
    rotations: int = struct.field(pytree_node=False, default=1)
    filters: tuple[int, ...] = struct.field(pytree_node=False, default=(64, 64, 64, 64))

    @classmethod
    def of(
        cls,
        training: Images,
        test: Images,
        origin: str,
        *,
        ways: int,
        shots: int,
        queries: int,
        **others: Any,
    ) -> Self:
        """From the images of each class by its name.

        Args:
            training: classes to meta-train on.
            test: other classes.
            origin: where they come from, for messages.
            ways: classes of an episode.
            shots: see above.
            queries: see above.
            **others: the remaining attributes.

        Raises:
            InputError: if there are too few classes for an episode, or too few images of one.
        """
        for classes in (training, test):
            _require_enough(classes, origin, ways, shots + queries)
        return cls(
            training=ImageSet.of([training[name] for name in sorted(training)]),
            test=ImageSet.of([test[name] for name in sorted(test)]),
            ways=ways,
            shots=shots,
            queries=queries,
            **others,
        )

    @property
    def outputs(self) -> int:
        return self.ways

    def sample(self, key: Array, *, training: bool) -> Episode:
        classes, rotations = self.training if training else self.test, self.rotations
        choice_key, images_key = jax.random.split(key)
        chosen = self.choose(choice_key, training=training)

        def images(key: Array, which: Int[Array, ""]) -> Float[Array, "count h w c"]:
            drawn = classes.draw(key, which // rotations, self.shots + self.queries) / 255
            turns = [jnp.rot90(drawn, quarter, (1, 2)) for quarter in range(rotations)]
            return jnp.stack(turns)[which % rotations]

        drawn = jax.vmap(images)(jax.random.split(images_key, self.ways), chosen)
        support, query = drawn[:, : self.shots], drawn[:, self.shots :]
        return Episode(labelled(support), labelled(query))

    def choose(self, key: Array, *, training: bool) -> Int[Array, " ways"]:
        """The classes of an episode: their numbers, times `rotations`, plus their quarter turns."""
        total = len((self.training if training else self.test).count) * self.rotations
        return jax.random.choice(key, total, (self.ways,), replace=False)

    def network(self, key: Array) -> FewShotClassifier:
        height, width, channels = self.training.images.shape[1:]
        shape = height, width, channels
        return FewShotClassifier(self.ways, image_shape=shape, filters=self.filters, key=key)

    def loss(self, outputs: Float[Array, "n ways"], targets: Int[Array, " n"]) -> Scalar:
        return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()

    def score(self, outputs: Float[Array, "n ways"], targets: Int[Array, " n"]) -> Scalar:
        return jnp.mean(outputs.argmax(1) == targets)

    def encode(self, targets: Int[Array, " n"]) -> Float[Array, "n ways"]:
        return jax.nn.one_hot(targets, self.ways)


def shuffled(key: Array, count: Int[Array, ""], most: int) -> Int[Array, " most"]:
    """The numbers below `count` in random order, and then the others below `most`."""
    there = jnp.arange(most) < count
    return jnp.argsort(jnp.where(there, jax.random.uniform(key, (most,)), jnp.inf))


def labelled(images: Float[Array, "ways each h w c"]) -> Samples:
    """The images in one row, with the number of their class."""
    ways, each = images.shape[:2]
    return Samples(images.reshape(ways * each, *images.shape[2:]), jnp.arange(ways).repeat(each))


def _require_enough(classes: Images, origin: str, ways: int, images: int) -> None:
    if len(classes) < ways:
        raise InputError(
            f"{origin}: {len(classes)} classes are too few for --ways={ways}: "
            "lower it or give more data"
        )
    for name, each in classes.items():
        if len(each) < images:
            raise InputError(
                f"{origin}: {len(each)} images of {name} are too few for {images} in an episode: "
                "lower --shots or --queries"
            )
