"""What the figures of a table draw."""

import types

import numpy as np

from experiments.reproduction import plots

SCORES = [{"name": "auc", "label": "AUC"}]


def caps(axes):
    """Where the intervals end."""
    (container,) = [each for each in axes.containers if hasattr(each, "has_xerr")]
    ends = [line.get_xydata() for line in container.lines[1]]
    return np.sort([end for line in ends for end in line if np.isfinite(end).all()], axis=0)


def test_a_bar_of_one_seed_has_no_interval():
    row = lambda name, interval: {
        "name": name, "paper": {}, "ours": {"auc": {"mean": 0.5, "interval": interval}}
    }  # fmt: skip
    record = {"rows": [row("alone", None), row("three", 0.1)], "scores": SCORES}
    figure = plots._bars(types.SimpleNamespace(title="", source=""), record)
    np.testing.assert_allclose(caps(figure.axes[0]), [[1, 0.4], [1, 0.6]])


def test_panels_stand_below_each_other_and_a_speed_has_no_room_below_zero():
    ours = {"auc": {"mean": -1.0, "interval": 2.0}, "fps": {"mean": 5.0, "interval": 9.0}}
    record = {"rows": [{"name": str(index), "paper": {}, "ours": ours} for index in range(10)]}
    record["scores"] = [*SCORES, {"name": "fps", "label": "frames/s"}]
    figure = plots._bars(types.SimpleNamespace(title="", source=""), record)
    assert figure.get_figwidth() == 13  # a page's, whatever the number of scores
    below, above = (axes.get_ylim()[0] for axes in figure.axes)
    assert below < -3 and above == 0


def test_a_difference_of_one_seed_has_no_interval():
    for interval, expected in ((None, np.zeros((0,))), (0.5, [[1.5, 0], [2.5, 0]])):
        order = {"score": "auc", "better": "a", "worse": "b", "difference": 2.0}
        order |= {"interval": interval, "verdict": "undecided"}
        figure = plots._differences({"source": "", "scores": SCORES, "orderings": [order]})
        np.testing.assert_allclose(caps(figure.axes[0]), expected)
