"""What the plots of several trackers show, and in which order."""

import numpy as np
import pytest

from tests.experiments.programs import picture_width
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import plots, strips


@pytest.fixture
def drawn(monkeypatch):
    axes = []
    monkeypatch.setattr(plots, "_save", lambda path, figure, panel, *_: axes.append(panel))
    return axes


def legend(axes):
    return axes.get_legend_handles_labels()[1]


def test_normalized_precision_ends_at_half_the_size(tmp_path, drawn):
    curves = {"low": np.full(51, 0.25), "high": np.full(51, 0.75)}
    scores = plots.save_normalized_precision_plot(tmp_path / "n.png", curves, "title")
    assert scores == {"low": 0.25, "high": 0.75}
    assert legend(drawn[0]) == ["high [0.750]", "low [0.250]"]
    assert drawn[0].get_lines()[0].get_xdata()[-1] == 0.5


def test_bars_by_attribute(tmp_path, drawn):
    scores = {"weak": {"OCC": 0.2, "IV": 0.3}, "strong": {"OCC": 0.6, "IV": 0.5}}
    plots.save_attribute_plot(tmp_path / "a.png", scores, {"OCC": 2, "IV": 7}, "title", "auc")
    (axes,) = drawn
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["IV (7)", "OCC (2)"]
    assert legend(axes) == ["strong", "weak"]
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]
    assert heights == [[0.5, 0.6], [0.3, 0.2]]
    strong, weak = (bars[0] for bars in axes.containers)
    assert strong.get_x() + strong.get_width() == pytest.approx(weak.get_x())  # side by side


def test_accuracy_over_robustness(tmp_path, drawn):
    points = {"a": (0.5, 0.4), "b": (0.6, 0.9)}
    plots.save_accuracy_robustness_plot(tmp_path / "ar.png", points, "title")
    assert legend(drawn[0]) == ["b [0.600, 0.900]", "a [0.500, 0.400]"]
    first = drawn[0].get_lines()[0]
    assert (first.get_xdata()[0], first.get_ydata()[0]) == (0.9, 0.6)
    assert first.get_color() == "#D55E00"


def test_expected_overlap_is_ranked_by_the_given_scores(tmp_path, drawn):
    curves = {"a": np.linspace(0, 1, 11), "b": np.linspace(1, 0, 11)}
    scores = {"a": 0.3, "b": 0.4}
    plots.save_expected_overlap_plot(tmp_path / "eao.png", curves, scores, (2, 8), "title")
    assert legend(drawn[0]) == ["b [0.400]", "a [0.300]"]
    np.testing.assert_array_equal(drawn[0].get_lines()[1].get_xdata(), np.arange(1, 11))
    np.testing.assert_array_equal(drawn[0].get_lines()[1].get_ydata(), curves["a"][1:])


def test_a_strip_shows_first_last_and_the_boxes_of_each(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(strips, "save_figure", lambda path, figure: figures.append(figure))
    frames = tuple(np.full((60, 80, 3), index, np.uint8) for index in range(9))
    truth = np.tile(np.float32([10, 20, 30, 25]), (9, 1))
    truth[4] = 0  # not annotated
    boxes = {"a": truth + np.float32([1, 0, 0, 0]), "b": truth + np.float32([2, 0, 0, 0])}
    strips.save_strip(tmp_path / "s.png", Sequence("s", frames, truth), boxes, count=3)
    panels = figures[0].axes
    assert [axes.texts[0].get_text() for axes in panels] == ["#1", "#5", "#9"]
    assert [axes.images[0].get_array()[0, 0, 0] for axes in panels] == [0, 4, 8]
    assert [len(axes.patches) for axes in panels] == [3, 2, 3]
    assert [patch.get_bbox().bounds for patch in panels[0].patches] == [
        (11, 20, 30, 25), (12, 20, 30, 25), (10, 20, 30, 25)
    ]  # fmt: skip
    texts = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert texts == ["ground truth", "a", "b"]


def test_a_strip_is_saved_as_an_image(tmp_path):
    frames = (np.zeros((60, 80, 3), np.uint8),) * 2
    truth = np.float32([[1, 2, 30, 25]] * 2)
    strips.save_strip(tmp_path / "s.png", Sequence("s", frames, truth), {})
    assert picture_width(tmp_path / "s.png") > 500
