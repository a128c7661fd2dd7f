import collections
import itertools

import numpy as np
import pytest
from PIL import Image

from tracking_tasks.data.degraded_copies import KINDS
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import otb_starts, trials


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    paths = []
    for index in range(100):
        paths.append(folder / f"{index:03d}.png")
        Image.fromarray(np.full((40, 60, 3), index, np.uint8)).save(paths[-1])
    boxes = np.float32([[20 + index / 10, 10, 12, 14] for index in range(100)])
    return Sequence("Ball", tuple(paths), boxes)


def test_what_is_drawn(sequence):
    drawn = trials.draw(sequence, 14, 60, seed=1)
    assert drawn[0] == trials.Trial("Ball", 0, 0, 100, None, "clean")
    assert drawn[1] == trials.Trial("Ball", 1, 0, 100, None, "hidden")
    short = drawn[2:]
    assert [trial.kind == "clean" for trial in short] == [False, False, True, True] * 3
    assert [trial.perturbation is None for trial in short] == [True, False, False, True] * 3
    kinds = collections.Counter(trial.kind for trial in short)
    assert {kinds[kind] for kind in KINDS} == {1} and kinds["clean"] == 6
    assert max(trial.start for trial in short) <= 50 and len({t.start for t in short}) > 4
    assert all(trial.frames == min(60, 100 - trial.start) for trial in short)
    assert all(trial.perturbation in range(12) for trial in short[1::4])
    assert [trial.number for trial in drawn] == list(range(14))


def test_the_seed_says_what_is_drawn_and_more_trials_begin_with_the_same(sequence):
    drawn = trials.draw(sequence, 8, 60)
    assert drawn[:3] == trials.draw(sequence, 3, 60)
    assert drawn != trials.draw(sequence, 8, 60, seed=1)
    assert len({trial.name for trial in drawn}) == 8


def test_the_video_of_a_trial(sequence, tmp_path):
    clean = trials.video(sequence, trials.Trial("Ball", 4, 30, 25, None, "clean"), tmp_path)
    assert clean.name == "Ball_04_clean"
    assert clean.frames == sequence.frames[30:55]
    np.testing.assert_array_equal(clean.boxes, sequence.boxes[30:55])

    trial = trials.Trial("Ball", 2, 30, 25, 5, "dark")
    dark = trials.video(sequence, trial, tmp_path)
    assert dark.frame(24).mean() < 0.5 * sequence.frame(54).mean()
    np.testing.assert_array_equal(dark.boxes[1:], sequence.boxes[31:55])
    perturbed = next(itertools.islice(otb_starts.spatial(clean), 5, None))
    np.testing.assert_array_equal(dark.boxes[0], perturbed.boxes[0])
    assert not np.array_equal(dark.boxes[0], sequence.boxes[30])
