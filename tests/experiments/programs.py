"""Runs a program in this process, and a stand-in for its tracker."""

import types

import numpy as np
from PIL import Image

from experiments.command_line import cli

TRUTH = np.float32([[10 + index, 15, 20, 24] for index in range(4)])


class Follower:
    """A tracker that moves the box it is given by one pixel a frame, as the target does."""

    name = "dimp"
    inner_optimizer = "steepest_descent"

    def init(self, image, box):
        self.box = np.array(box, np.float32)

    def update(self, image):
        self.box = self.box + np.float32([1, 0, 0, 0])
        return types.SimpleNamespace(box=self.box, score=0.5)


def make_frames(folder, count=4):
    """Writes frames in which a bright target moves as TRUTH says."""
    folder.mkdir(parents=True)
    for index, (x, y, width, height) in enumerate(TRUTH[:count].astype(int)):
        pixels = np.zeros((60, 80, 3), np.uint8)
        pixels[y : y + height, x : x + width] = 200
        Image.fromarray(pixels).save(folder / f"{index + 1:04d}.png")


def picture_width(path):
    """In pixels."""
    with Image.open(path) as picture:
        return picture.width


def run(module, *flags):
    """Returns the exit status of a program called with flags."""
    try:
        cli.run(module.main, module.FLAGS, ["program", *map(str, flags)])
    except SystemExit as exit:
        return exit.code or 0


def error_line(capsys):
    """Returns what the program said was wrong, which must be one line and no traceback."""
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line.lower()]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    return errors[0]
