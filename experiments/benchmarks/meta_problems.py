"""Three inner loops to differentiate through: of a classifier and of two target filters."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree, Scalar

import metaopt
from experiments.benchmarks.inner_loop import problem as dimp_problem
from models import FewShotClassifier, correlate
from tracking_tasks import labels
from tracking_tasks.trackers.dimp.loss import DiscriminativeLoss, DiscriminativeLossConfig

Fit = Callable[..., metaopt.FitResult]  # `metaopt.fit` with the number of steps and the adjoint
Labelled = tuple[Float[Array, "*tasks n h w c"], Int[Array, "*tasks n"]]  # images and classes

RATE = 0.1


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of all three.

    Attributes:
        image: side of the images that are classified.
        blocks: of the classifier.
        filters: of each block.
        queries: images of each class that the outer loss is taken on.
        features: side of the maps that the two target filters are fitted to.
        dimp: the number of those maps, and their channels; as many again for the outer loss.
        roam: the side of the filter, and its channels; one map, and one for the outer loss.
    """

    image: int
    blocks: int
    filters: int
    queries: int
    features: int
    dimp: tuple[int, int]
    roam: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Problem:
    """An outer loss, and where its gradient is taken.

    Attributes:
        loss: `loss(meta, episode, fit) -> scalar`, to be differentiated by `meta`.
        meta: the meta-parameters.
        episode: what the loss is taken on.
    """

    loss: Callable[[PyTree, PyTree, Fit], Scalar]
    meta: PyTree
    episode: PyTree


def problems(sizes: Sizes) -> dict[str, Problem]:
    """All three by name."""
    episode = jax.tree.map(lambda leaf: leaf[0], episodes(sizes, 1))
    rule = metaopt.GradientDescent(optax.inject_hyperparams(optax.sgd)(learning_rate=RATE))
    return {
        "classifier, gradient descent": Problem(imaml, (rule, classifier(sizes)), episode),
        "DiMP filter, steepest descent": _dimp(sizes),
        "ROAM filter, LSTM": _roam(sizes),
    }


def classifier(sizes: Sizes, ways: int = 5) -> FewShotClassifier:
    """With random weights."""
    shape = (sizes.image, sizes.image, 1)
    filters = (sizes.filters,) * sizes.blocks
    return FewShotClassifier(ways, image_shape=shape, filters=filters, key=jax.random.key(0))


def episodes(sizes: Sizes, tasks: int, ways: int = 5) -> tuple[Labelled, Labelled]:
    """Support (1-shot) and query of some tasks: noisy copies of a random image for each class."""
    keys = jax.random.split(jax.random.key(1), 3)
    shape = (tasks, ways, 1, sizes.image, sizes.image, 1)
    originals = jax.random.normal(keys[0], shape)

    def copies(key: Array, shots: int) -> Labelled:
        noise = 0.5 * jax.random.normal(key, (*shape[:2], shots, *shape[3:]))
        images = (originals + noise).reshape(tasks, ways * shots, *shape[3:])
        classes = jnp.repeat(jnp.arange(ways), shots)
        return images, jnp.broadcast_to(classes, (tasks, ways * shots))

    return copies(keys[1], 1), copies(keys[2], sizes.queries)


def maml(meta: PyTree, episode: tuple[Labelled, Labelled], fit: Fit) -> Scalar:
    """Finn et al. 2017, eq. 1: the loss on the query after a fit to the support.

    Args:
        meta: the rule, and the classifier that the fit starts from.
        episode: support and query of one task.
        fit: the inner loop.
    """
    rule, initial = meta
    support, query = episode
    final = fit(rule, metaopt.ScalarLoss(cross_entropy), initial, support).params
    return cross_entropy(final, query)


def imaml(meta: PyTree, episode: tuple[Labelled, Labelled], fit: Fit) -> Scalar:
    """The same, the fit held near the initial classifier by half the squared distance.

    Rajeswaran et al., "Meta-Learning with Implicit Gradients", NeurIPS 2019, eq. 3. So the optimum
    depends on where the fit starts, and an implicit derivative by it is not zero.
    """
    rule, initial = meta
    support, query = episode

    def loss(model: FewShotClassifier, batch: Labelled) -> Scalar:
        distance = optax.tree.norm(jax.tree.map(jnp.subtract, model, initial), squared=True)
        return cross_entropy(model, batch) + 0.5 * distance

    return cross_entropy(fit(rule, metaopt.ScalarLoss(loss), initial, support).params, query)


def cross_entropy(model: FewShotClassifier, batch: Labelled) -> Scalar:
    """The mean over the batch."""
    images, classes = batch
    return optax.softmax_cross_entropy_with_integer_labels(model(images), classes).mean()


def _dimp(sizes: Sizes) -> Problem:
    """The loss, the initial filter and the features (of a backbone) are meta-learned."""
    count, channels = sizes.dimp
    target_filter, samples = dimp_problem(2 * count, sizes.features, channels)

    def loss(meta: PyTree, centers: Float[Array, "n 2"], fit: Fit) -> Scalar:
        rule, residuals, initial, features = meta
        both = samples.replace(features=features, centers=centers)
        support = jax.tree.map(lambda leaf: leaf[::2], both)
        query = jax.tree.map(lambda leaf: leaf[1::2], both)
        objective = metaopt.LeastSquares(residuals)
        return objective.loss(fit(rule, objective, initial, support).params, query)

    residuals = DiscriminativeLoss(DiscriminativeLossConfig())
    meta = metaopt.SteepestDescent(), residuals, target_filter, samples.features
    return Problem(loss, meta, samples.centers)


def _roam(sizes: Sizes) -> Problem:
    """Regression to a Gaussian; the rule, the initial filter and the features are meta-learned."""
    size, channels = sizes.roam
    keys = jax.random.split(jax.random.key(2), 2)
    shape = (2, sizes.features, sizes.features, channels)
    features = jax.random.normal(keys[0], shape) / (size * jnp.sqrt(channels))
    initial = 0.01 * jax.random.normal(keys[1], (size, size, channels))

    def residuals(target_filter: Array, batch: tuple[Array, Array]) -> tuple[Array, Array]:
        maps, target = batch
        return correlate(maps, target_filter) - target, 0.01 * target_filter

    def loss(meta: PyTree, target: Float[Array, "h w"], fit: Fit) -> Scalar:
        rule, initial, features = meta
        objective = metaopt.LeastSquares(residuals)
        final = fit(rule, objective, initial, (features[:1], target)).params
        return objective.loss(final, (features[1:], target))

    rule = metaopt.optimizers.make("lstm", initial, steps=1, rate=RATE)
    center = jnp.full(2, sizes.features / 2)
    target = labels.gaussian(labels.distances(center, sizes.features, sizes.features), 2.0)
    return Problem(loss, (rule, initial, features), target)
