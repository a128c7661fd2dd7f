"""Episodes are what they claim to be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.errors import InputError
from experiments.few_shot import tasks
from experiments.few_shot.tasks.classes import ImageClasses
from experiments.few_shot.tasks.digits import Digits
from experiments.few_shot.tasks.sinusoid import Sinusoid
from tests.experiments.few_shot import data

KEYS = jax.random.split(jax.random.key(0), 200)


def test_sinusoids_have_the_paper_s_amplitudes_and_phases():
    task = tasks.create("sinusoid", shots=7)
    support, query = jax.vmap(lambda key: task.sample(key, training=True))(KEYS)
    assert support.inputs.shape == (200, 7, 1) and query.inputs.shape == (200, 10, 1)
    x = np.concatenate([support.inputs, query.inputs], 1)[..., 0].astype(float)
    y = np.concatenate([support.targets, query.targets], 1)[..., 0].astype(float)
    assert -5 <= x.min() < -4.9 and 4.9 < x.max() <= 5
    # A sin(x - p) = A cos p sin x - A sin p cos x: two numbers explain all points of an episode.
    basis = np.stack([np.sin(x), -np.cos(x)], -1)
    found = np.stack([np.linalg.lstsq(b, v, rcond=None)[0] for b, v in zip(basis, y, strict=True)])
    np.testing.assert_allclose(np.einsum("eni,ei->en", basis, found), y, atol=1e-4)
    amplitudes, phases = np.hypot(*found.T), np.arctan2(found[:, 1], found[:, 0])
    assert 0.1 <= amplitudes.min() < 0.3 and 4.8 < amplitudes.max() <= 5
    assert -1e-4 <= phases.min() < 0.1 and 3.04 < phases.max() <= np.pi + 1e-4
    test = jax.eval_shape(lambda key: task.sample(key, training=False), KEYS[0])
    assert test.query.inputs.shape == (100, 1)


@pytest.fixture(scope="module")
def marked():
    """Each image tells its class and its number; a bright corner tells how it was turned."""

    def images(label, count):
        pixels = np.full((count, 4, 4, 1), 10 * label, np.uint8)
        pixels[:, 1, 1, 0] = np.arange(count)
        pixels[:, 0, 0] = 255
        return pixels

    training = {f"class {label}": images(label, 5 + label) for label in range(4)}
    test = {f"class {label}": images(label, 4) for label in range(4, 7)}
    sizes = {"ways": 3, "shots": 1, "queries": 2}
    return ImageClasses.of(training, test, "marked", **sizes, rotations=4)


@pytest.mark.parametrize("training", [True, False])
def test_an_episode_has_different_images_of_different_classes(marked, training):
    sample = jax.jit(jax.vmap(lambda key: marked.sample(key, training=training)))
    support, query = jax.tree.map(np.asarray, sample(KEYS))
    assert support.inputs.shape == (200, 3, 4, 4, 1) and query.inputs.shape == (200, 6, 4, 4, 1)
    assert (support.targets == [0, 1, 2]).all() and (query.targets == [0, 0, 1, 1, 2, 2]).all()
    images = np.concatenate([support.inputs, query.inputs], 1)[..., 0] * 255
    targets = np.concatenate([support.targets, query.targets], 1)
    corners = images[:, :, [0, 3, 3, 0], [0, 0, 3, 3]]  # in the order of quarter turns
    turns = corners.argmax(2)
    upright = np.stack(
        [
            [np.rot90(i, -t) for i, t in zip(*both, strict=True)]
            for both in zip(images, turns, strict=True)
        ]
    )
    labels, numbers = np.round(upright[..., 3, 3] / 10), np.round(upright[..., 1, 1])
    kinds = labels * 4 + turns
    for kind, target in zip(kinds, targets, strict=True):
        assert len({(k, t) for k, t in zip(kind, target, strict=True)}) == 3
        assert len(set(kind)) == 3
    seen = set(labels.ravel().astype(int))
    assert seen == ({0, 1, 2, 3} if training else {4, 5, 6})
    assert set(turns.ravel()) == {0, 1, 2, 3}
    assert (numbers < 5 + labels).all() if training else (numbers < 4).all()
    of_largest = numbers[labels == 3]
    assert not training or set(of_largest) == set(range(8))
    for episode in np.stack([kinds, numbers], -1):
        assert len(set(map(tuple, episode))) == 9


def test_losses_and_scores():
    sinusoid, digits = Sinusoid(), Digits.create(ways=2, queries=1)
    assert sinusoid.loss(jnp.array([[1.0], [2.0]]), jnp.array([[0.0], [4.0]])) == 2.5
    logits, targets = jnp.array([[2.0, 0.0], [1.0, 0.0]]), jnp.array([0, 1])
    expected = (np.log1p(np.exp(-2)) + np.log1p(np.exp(1))) / 2
    np.testing.assert_allclose(digits.loss(logits, targets), expected, rtol=1e-6)
    assert digits.score(logits, targets) == 0.5
    np.testing.assert_array_equal(digits.encode(targets), [[1, 0], [0, 1]])


def test_digits_are_split_by_digit():
    digits = Digits.create()
    assert digits.training.count.sum() + digits.test.count.sum() == 1797
    assert digits.training.images.shape[1:] == (8, 8, 1) and digits.test.images.max() == 255


@pytest.mark.parametrize("layout", ["listed", "folders"])
def test_mini_imagenet_in_both_layouts(tmp_path, layout):
    data.mini_imagenet(tmp_path, layout)
    task = tasks.create("mini_imagenet", data_dir=str(tmp_path), ways=2, shots=1, queries=2)
    assert task.training.images.shape == (6, 84, 84, 3)
    assert task.training.images[:, 0, 0, 0].tolist() == [0, 1, 2, 40, 41, 42]
    assert task.test.images[:, 5, 5, 2].tolist() == [100, 101, 102, 140, 141, 142]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("filename,label\n../train000.png,class0\n", "line 2: expected the name of a file"),
        ("filename,label\ntrain000.png\n", "line 2: expected the name of a file"),
        ("what,is,this\n", "does not begin with the columns"),
        ("filename,label\n", "holds neither"),
        ("filename,label\nabsent.png,class0\n", "absent.png is no image"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path, table, message):
    data.mini_imagenet(tmp_path, "listed")
    (tmp_path / "train.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        tasks.create("mini_imagenet", data_dir=str(tmp_path), ways=2, shots=1, queries=2)


def test_options_that_a_task_does_not_have_are_refused():
    with pytest.raises(InputError, match="sinusoid takes no --ways"):
        tasks.create("sinusoid", ways=5)
    with pytest.raises(InputError, match="give its --data_dir"):
        tasks.create("mini_imagenet")
