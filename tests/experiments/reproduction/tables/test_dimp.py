import numpy as np
import pytest

from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import load_tables
from tests.tracking_tasks.tiny import Tiny, make


def test_learned_functions_are_read_at_the_centre_and_the_target_s_edge(monkeypatch, tmp_path):
    distance = np.linspace(0, 4, 41)
    functions = dict.fromkeys(("label", "target mask"), (distance, distance))
    weights = {"initial": 1 + 0 * distance, "trained as in dimp1": 1 - 0.1 * distance}
    tracker = make()
    edge = tracker.config.target_cells / 2
    table, scores = load_tables()["dimp_functions"], {}
    for name, weight in weights.items():
        learned = functions | {"spatial weight": (distance, weight)}
        monkeypatch.setattr(type(tracker), "learned_functions", lambda _, found=learned: found)
        for made in ("make", "untrained"):
            monkeypatch.setattr(TableRunner, made, lambda *_: tracker)
        row = next(row for row in table.rows if row.name == name)
        found = table.measure(TableRunner("smoke", tmp_path, backbone=Tiny()), row, 0)
        scores[name] = found.scores
        assert found.trained is (name != "initial")
    assert scores["initial"] == {"center": 1.0, "rise": 0.0}
    assert scores["trained as in dimp1"] == pytest.approx({"center": 1.0, "rise": 0.1 * edge})
