"""What the small programs read: made once, two folders above that which they write to."""

import json
import pathlib
import shutil

import numpy as np

from experiments.matrix import sweep_results
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.data.sequences import Sequence


def made(folder, make):
    """A folder, with what is made if it is not there yet."""
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        make(partial)
        partial.rename(folder)
    return folder


def sequences(folder, layout, count):
    """Two sequences in the layout of a data set, whose targets move by a pixel a frame."""
    boxes = np.float32([[10 + index, 15, 20, 24] for index in range(count)])
    frames = (np.zeros((60, 160, 3), np.uint8),) * count
    both = [Sequence(name, frames, boxes) for name in ("Ball", "Cup")]
    return made(folder.parents[1] / "data", lambda at: write_layout(at, layout, both))


def split(videos):
    (videos / "split.json").write_text(json.dumps({"val": ["Ball"], "val_hard": ["Cup"]}))
    return videos


def boxes_of(data, name):
    """The results of a tracker on sequences of six frames."""

    def make(at):
        (at / "boxes").mkdir(parents=True)
        for each in ("Ball", "Cup"):
            rows = "".join(f"{10 + index},15,20,24\n" for index in range(6))
            (at / "boxes" / f"{each}.txt").write_text(rows)

    return made(data.with_name(name), make)


def trial(tracker, rule, seed):
    """What a trial of a matrix may have found."""
    random = np.random.default_rng([seed, len(rule)])
    return {
        **{"tracker": tracker, "inner_optimizer": rule, "seed": seed},
        **{name: random.random() for name in ("auc", "precision20", "mean_overlap", "query_loss")},
        **{"fps": 30.0, "update_ms": 2.0, "train_steps": 3, "rates": None},
        "success_curve": np.linspace(1, 0, 21).tolist(),
        **{name: [1.0, 0.5] for name in ("inner_losses", "query_losses")},
        "sequences": {f"video-{index}": {"auc": random.random()} for index in range(5)},
        **{name: [[1.0, 2.0, 4.0, 3.0]] * 2 for name in ("boxes", "true_boxes")},
        "learned_functions": {},
    }


HEADING = {
    "configuration": {"preset": "smoke", "trackers": {"dimp": {"crop_size": 64}}},
    "fairness": "equal",
    "versions": {"jax": "0.10", "platform": "cpu", "revision": None},
}


def write_matrix(folder: pathlib.Path):
    """The `results.json` of a sweep."""
    folder.mkdir(parents=True, exist_ok=True)
    trials = [trial("dimp", rule, seed) for rule in ("none", "adam") for seed in (0, 1)]
    sweep_results.write(folder, HEADING, trials, {})


def matrix(folder):
    return made(folder.parents[1] / "sweep", write_matrix)
