"""The Omniglot challenge's one-shot classification, learned from one of its minimal sets."""

import collections
import pathlib
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, UInt8

from basics.errors import InputError
from experiments.few_shot.tasks import omniglot
from experiments.few_shot.tasks.base import Episode
from experiments.few_shot.tasks.classes import ImageClasses, labelled, shuffled

_RUNS, _WAYS = 20, 20
_TEST = "all_runs.zip"


class OmniglotSmall1(ImageClasses, kw_only=True):
    """Twenty runs of 20-way classification by one drawing of each character.

    Lake, Salakhutdinov, Tenenbaum, "The Omniglot challenge: a 3-year progress report", Current
    Opinion in Behavioral Sciences, 2019. The characters of a run are of one alphabet, as are those
    of a training episode, all of them turned by the same quarters. Trained on five alphabets alone,
    those of them with 20 characters (small2's Tagalog has 17).
    All 20 drawings of a run are classified together: statistics of batch norm are theirs.
    """

    name = "omniglot_small1"
    background: ClassVar[str] = "images_background_small1.zip"
    inner_steps = 1
    rate = 0.4
    episodes = 4
    outer_steps = 1500
    # One less the errors of the report's minimal sets, and of people.
    published: ClassVar[dict[str, float]] = {
        "people": 0.955,
        "BPL": 0.958,
        "RCN": 0.927,
        "simple ConvNet": 0.768,
        "prototypical networks": 0.699,
    }

    alphabet_first: Int[Array, " alphabets"]
    alphabet_count: Int[Array, " alphabets"]

    @classmethod
    def create(cls, *, data_dir: str | None = None) -> "OmniglotSmall1":
        """From a folder of the published zip files: the background set and the runs.

        Raises:
            InputError: if one of them is missing or damaged.
        """
        folder = pathlib.Path(data_dir or "")
        paths = folder / cls.background, folder / _TEST
        for path in paths:
            if data_dir is None or not path.is_file():
                raise InputError(
                    f"{cls.name} needs {path.name}: give the folder of Omniglot's published zip "
                    "files as --data_dir"
                )
        drawings = omniglot.read_drawings([paths[0]])
        characters = collections.Counter(map(_alphabet, drawings))
        training = {
            name: each for name, each in drawings.items() if characters[_alphabet(name)] >= _WAYS
        }
        if not training:
            raise InputError(f"{paths[0]} has no alphabet of {_WAYS} characters: get it again")
        _, counts = np.unique(list(map(_alphabet, sorted(training))), return_counts=True)
        return cls.of(
            training,
            _read_runs(paths[1]),
            str(folder),
            ways=_WAYS,
            shots=1,
            queries=1,
            rotations=4,
            alphabet_first=jnp.asarray(np.cumsum(counts) - counts),
            alphabet_count=jnp.asarray(counts),
        )

    def choose(self, key: Key[Array, ""], *, training: bool) -> Int[Array, " ways"]:
        if not training:
            raise ValueError("the tests are given: see test_episodes")
        alphabet_key, order_key, turn_key = jax.random.split(key, 3)
        alphabet = jax.random.randint(alphabet_key, (), 0, len(self.alphabet_count))
        order = shuffled(order_key, self.alphabet_count[alphabet], len(self.training.count))
        turn = jax.random.randint(turn_key, (), 0, self.rotations)
        characters = self.alphabet_first[alphabet] + order[: self.ways]
        return characters * self.rotations + turn

    @property
    def test_episodes(self) -> Episode:
        """The twenty runs."""
        drawings = self.test.images.reshape(_RUNS, _WAYS, 2, *self.test.images.shape[1:]) / 255
        return Episode(*(jax.vmap(labelled)(drawings[:, :, i : i + 1]) for i in range(2)))


class OmniglotSmall2(OmniglotSmall1, kw_only=True):
    """The same, trained on the other five alphabets."""

    name = "omniglot_small2"
    background = "images_background_small2.zip"


def _alphabet(name: str) -> str:
    return name.partition("/")[0]


def _read_runs(path: pathlib.Path) -> dict[str, UInt8[np.ndarray, "2 h w 1"]]:
    """Of each class of each run, in their order, the drawing to learn from and the one to tell.

    Raises:
        InputError: if the file is damaged, or holds anything but twenty runs of twenty classes.
    """
    found = {}
    with omniglot.opened(path, "does not hold the challenge's runs") as archive:
        for run in (f"run{number + 1:02d}" for number in range(_RUNS)):
            text = omniglot.read_member(archive, f"{run}/class_labels.txt").decode()
            for line in text.splitlines():
                test, training = line.split()
                pair = [omniglot.read_drawing(archive, name) for name in (training, test)]
                found[training] = np.stack(pair)
    if len(found) != _RUNS * _WAYS:
        raise InputError(f"{path} has {len(found)} classes, not {_RUNS * _WAYS}: get it again")
    return found
