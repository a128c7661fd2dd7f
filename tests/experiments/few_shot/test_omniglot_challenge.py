"""The challenge's runs are given, each of one alphabet, and read as they are published."""

import types
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from basics.errors import InputError
from experiments.few_shot import evaluation, report, tasks
from tests.experiments.few_shot import data

WAYS = RUNS = 20


def drawn(*seed):
    """A drawing as it is read, but for its scale."""
    return 255 - data.drawing(list(seed))


def runs_zip(path, labels=None):
    """Each run's test drawings are its training drawings of the same class, in another order."""
    with zipfile.ZipFile(path, "w") as archive:
        for run in range(1, RUNS + 1):
            lines = []
            for index in range(1, WAYS + 1):
                told, learned = f"run{run:02d}/test/item{index:02d}.png", WAYS + 1 - index
                learned = f"run{run:02d}/training/class{learned:02d}.png"
                for name in (told, learned):
                    archive.writestr(name, data.png(data.drawing([run, index])))
                lines.append(f"{told} {learned}")
            archive.writestr(f"run{run:02d}/class_labels.txt", labels or "\n".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("omniglot")
    data.omniglot_zip(
        folder / "images_background_small1.zip", "ABC", characters=WAYS + 2, drawings=2
    )
    runs_zip(folder / "all_runs.zip")
    return folder


@pytest.fixture(scope="module")
def task(folder):
    return tasks.create("omniglot_small1", data_dir=str(folder))


def test_all_runs_are_given_and_a_class_is_that_of_its_label(task):
    support, query = task.test_episodes
    assert support.inputs.shape == query.inputs.shape == (RUNS, WAYS, 28, 28, 1)
    assert (query.targets == np.arange(WAYS)).all() and (support.targets == query.targets).all()
    np.testing.assert_array_equal(support.inputs, query.inputs)  # as the zip file was made
    where = lambda image: np.argwhere(image > 0.5).mean(0)
    first = where(drawn(3, WAYS) / 255) * 28 / 105  # the third run's, which is its last item
    np.testing.assert_allclose(where(np.asarray(query.inputs[2, 0, ..., 0])), first, atol=1)


def test_a_training_episode_is_of_one_alphabet_turned_as_one(task):
    choose = jax.jit(jax.vmap(lambda key: task.choose(key, training=True)))
    chosen = np.asarray(choose(jax.random.split(jax.random.key(0), 300)))
    assert all(len(set(each)) == WAYS for each in chosen)
    characters, turns = chosen // 4, chosen % 4
    assert (turns == turns[:, :1]).all() and set(turns[:, 0]) == {0, 1, 2, 3}
    alphabets = characters // (WAYS + 2)
    assert (alphabets == alphabets[:, :1]).all() and set(alphabets[:, 0]) == {0, 1, 2}
    assert set(characters.ravel()) == set(range(3 * (WAYS + 2)))


class Nearest(struct.PyTreeNode):
    """Tells a drawing by the support's nearest, in one step."""

    def predict(self, params, inputs):
        return -((inputs[:, None] - params) ** 2).sum((2, 3, 4))

    def fit(self, task, support, steps, observe):
        observed = observe(support.inputs)
        return types.SimpleNamespace(observed=jax.tree.map(lambda x: x[None], observed))


def test_the_evaluation_is_on_the_runs_and_stands_beside_what_is_published(task, tmp_path):
    judge = lambda task: evaluation.evaluate(
        Nearest(), task, episodes=600, steps=1, seed=0, label=""
    )
    scores = judge(task).scores
    assert scores.shape == (RUNS, 1)
    assert scores.mean() > 0.99  # two of the 400 drawings are alike
    mixed = task.replace(test=task.test.replace(images=jnp.roll(task.test.images, 1, 0)))
    assert judge(mixed).scores.mean() < 0.2  # each class is told by the drawing before
    curves = evaluation.Curves(np.ones((RUNS, 2)), np.full((RUNS, 2), 0.5))
    rows = {"nearest": {"inner_steps": 1, "minutes": 0.0}}
    table = report.write(tmp_path, task, {"title": ""}, rows, {"nearest": curves})
    assert "over 20 test episodes" in table
    assert "people 0.955" in table and "prototypical networks 0.699" in table


@pytest.mark.parametrize(
    ("missing", "said"),
    [("all_runs.zip", "needs all_runs.zip"), ("images_background_small1.zip", "needs images_back")],
)
def test_a_missing_file_is_named(folder, tmp_path, missing, said):
    for path in folder.iterdir():
        if path.name != missing:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=said):
        tasks.create("omniglot_small1", data_dir=str(tmp_path))


@pytest.mark.parametrize(
    "labels", ["run01/test/item01.png", "a b c", "../../secret ../x", "\0 \0", ""]
)
def test_damaged_labels_are_a_sentence(folder, tmp_path, labels):
    name = "images_background_small1.zip"
    (tmp_path / name).write_bytes((folder / name).read_bytes())
    runs_zip(tmp_path / "all_runs.zip", labels=labels or "\n")
    with pytest.raises(InputError, match="get it again"):
        tasks.create("omniglot_small1", data_dir=str(tmp_path))


def test_an_alphabet_of_too_few_characters_is_left_out(folder, tmp_path):
    (tmp_path / "all_runs.zip").write_bytes((folder / "all_runs.zip").read_bytes())
    path = tmp_path / "images_background_small2.zip"
    few = [(f"x/B/c{i}/{j}.png", data.png(data.drawing(i))) for i in range(3) for j in range(2)]
    data.omniglot_zip(path, "AC", characters=WAYS, drawings=2, extra=few)
    task = tasks.create("omniglot_small2", data_dir=str(tmp_path))
    assert task.alphabet_count.tolist() == [WAYS, WAYS]
    assert task.alphabet_first.tolist() == [0, WAYS] and len(task.training.count) == 2 * WAYS
    data.omniglot_zip(path, "", extra=few)
    with pytest.raises(InputError, match="no alphabet of 20 characters"):
        tasks.create("omniglot_small2", data_dir=str(tmp_path))
