import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data import degraded_copies
from tracking_tasks.data.degradation import degrade
from tracking_tasks.data.sequences import Sequence

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def sequence(tmp_path):
    """A bright target on a smooth ground, in three frames on disk."""
    paths = []
    ground = np.linspace(60, 120, WIDTH)[None, :, None] * np.ones((HEIGHT, 1, 3))
    for index in range(3):
        image = ground.astype(np.uint8)
        image[20:30, 16 + 2 * index : 28 + 2 * index] = 250
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(image).save(paths[-1])
    boxes = np.float32([[16 + 2 * index, 20, 12, 10] for index in range(3)])
    return Sequence("Ball", tuple(paths), boxes)


def test_copies_are_made_so_bad_of_the_frames_asked_for(sequence, tmp_path):
    copy = degraded_copies.degraded_copy(sequence, "grey", tmp_path / "copies", [1])
    assert copy.frames[0] == sequence.frames[0]
    assert copy.frames[1] == tmp_path / "copies" / "Ball" / "grey" / "0002.jpg"
    how = degraded_copies.KINDS["grey"]
    expected = jax.jit(degrade)(jnp.float32(sequence.frame(1)), how, jax.random.key(0))
    assert np.abs(copy.frame(1) - np.asarray(expected)).mean() < 1.5  # what JPEG loses
    assert np.ptp(copy.frame(1).astype(int), axis=-1).max() <= 2
    np.testing.assert_array_equal(copy.boxes, sequence.boxes)


def test_a_copy_is_made_once(sequence, tmp_path):
    first = degraded_copies.degraded_copy(sequence, "noisy", tmp_path / "copies", [0])
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 7, np.uint8)).save(first.frames[0])
    again = degraded_copies.degraded_copy(sequence, "noisy", tmp_path / "copies", range(2))
    assert again.frame(0).mean() == 7
    noise = again.frame(1).astype(float) - sequence.frame(1)
    assert 5 < noise[:, :12].std() < 25


def test_a_shaken_target_stays_in_its_box(sequence, tmp_path, monkeypatch):
    monkeypatch.setattr(degraded_copies, "SHAKE", 0.15)
    copy = degraded_copies.degraded_copy(sequence, "shaken", tmp_path, range(3))
    moves = copy.boxes[:, :2] - sequence.boxes[:, :2]
    assert np.abs(moves).max() <= 10 and len(np.unique(moves, axis=0)) == 3
    for index in range(3):
        y, x = np.nonzero(copy.frame(index)[..., 0] > 200)
        box = [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        np.testing.assert_array_equal(copy.boxes[index], box)
    other = degraded_copies.degraded_copy(sequence, "shaken", tmp_path / "other", range(3))
    np.testing.assert_array_equal(other.boxes, copy.boxes)


def test_a_target_is_hidden_for_a_while_of_each_period():
    hidden = [degraded_copies.is_hidden(4, index) for index in range(3 * degraded_copies.PERIOD)]
    starts = [20, 65, 110]
    spans = [range(start, start + time) for start, time in zip(starts, (12, 20, 6), strict=True)]
    assert [index for index, away in enumerate(hidden) if away] == [i for s in spans for i in s]


@pytest.mark.parametrize("left", [2, 50])
def test_what_hides_a_target_is_the_farther_border(left):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    found = degraded_copies.covered(image, np.array([left, 10.0, 8.0, 12.0]))
    pole = range(0, 12) if left == 2 else range(48, 60)
    other = range(48, 60) if left == 2 else range(0, 12)
    np.testing.assert_array_equal(found[:, pole], image[::-1, other])
    rest = [column for column in range(60) if column not in pole]
    np.testing.assert_array_equal(found[:, rest], image[:, rest])


def test_hidden_frames_are_covered_and_have_no_box(sequence, tmp_path, monkeypatch):
    monkeypatch.setattr(degraded_copies, "is_hidden", lambda target, index: index == 1)
    copy = degraded_copies.degraded_copy(sequence, "hidden", tmp_path / "copies", range(3))
    kept = [one == other for one, other in zip(copy.frames, sequence.frames, strict=True)]
    assert kept == [True, False, True]
    assert copy.frame(1).max() < 150 < sequence.frame(1).max()
    np.testing.assert_array_equal(copy.boxes[1], 0)
    np.testing.assert_array_equal(copy.boxes[::2], sequence.boxes[::2])


def test_the_border_is_repeated():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4, 1).repeat(3, -1)
    moved = degraded_copies.shifted(image, np.array([-1, 2]))
    np.testing.assert_array_equal(moved[..., 0], [[1, 2, 3, 3], [1, 2, 3, 3], [1, 2, 3, 3]])


def test_an_unknown_degradation(sequence, tmp_path):
    with pytest.raises(InputError, match="unknown degradation 'wet': known are dark"):
        degraded_copies.degraded_copy(sequence, "wet", tmp_path, [0])
