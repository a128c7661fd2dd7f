import dataclasses
import json

import numpy as np
import pytest

import metaopt
from experiments import benchmark
from experiments.benchmarks import meta_gradient, meta_problems, report, timing
from tests.experiments.programs import picture_width, run
from tests.products import chosen

SMALL = meta_gradient.PRESETS["smoke"].sizes
PROBLEMS = (
    "classifier, gradient descent",
    "DiMP filter, steepest descent",
    "ROAM filter, LSTM",
)


@pytest.mark.full
@pytest.mark.figures
def test_the_suite_measures_every_problem_adjoint_and_step(tmp_path, monkeypatch):
    adjoints = {name: meta_gradient.ADJOINTS[name] for name in ("unrolled", "first order")}
    monkeypatch.setattr(meta_gradient, "ADJOINTS", adjoints)
    flags = "--suite=meta_gradient", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["comparisons"]
    cases = [tuple(row["case"].values()) for row in rows]
    assert cases == [(name, adjoint, 2) for name in PROBLEMS for adjoint in adjoints]
    assert all(row["memory, MB"] > 0 < row["gradient norm"] for row in rows)
    assert all(row["milliseconds"]["meta-gradient"]["minimum"] > 0 for row in rows)
    assert picture_width(tmp_path / "meta_gradient.png") > 500


def test_the_full_preset_has_the_sizes_of_the_tracker_and_powers_of_two():
    full = meta_gradient.PRESETS["full"]
    assert full.steps == (1, 2, 4, 8, 16, 32, 64, 128)
    assert full.sizes.dimp == (15, 256)


# The default run has the one that compiles most quickly.
CASES = chosen(zip(PROBLEMS), [PROBLEMS[-1:]])


@pytest.mark.full
@pytest.mark.parametrize(("name",), CASES)
def test_rematerialization_holds_memory_at_64_steps_within_3_times_that_at_4(name):
    sizes = dataclasses.replace(SMALL, filters=8)
    problem = meta_problems.problems(sizes)[name]
    ratio = lambda adjoint: np.divide(
        *(meta_gradient.memory(meta_gradient.compiled(problem, adjoint, n)) for n in (64, 4))
    )
    assert ratio(metaopt.Unrolled()) <= 3
    assert ratio(metaopt.Unrolled(remat=False)) > 3


@pytest.mark.full
@pytest.mark.parametrize(("name",), CASES)
def test_the_exact_adjoints_agree(name):
    problem = meta_problems.problems(SMALL)[name]

    def norm(adjoint):
        adjoint = meta_gradient.ADJOINTS[adjoint]
        return meta_gradient.compiled(problem, adjoint, 3)(problem.meta, problem.episode)

    exact = norm("unrolled, no remat")
    np.testing.assert_allclose(norm("unrolled"), exact, rtol=1e-5)
    np.testing.assert_allclose(norm("unrolled, mixed mode"), exact, rtol=1e-5)


def test_rows_with_other_columns_begin_a_table_of_their_own():
    time = timing.Measurement(None, minimum=0.001, median=0.002)
    rows = [
        report.Comparison({"steps": 5}, {"ours": time}, {"memory": 1.0}),
        report.Comparison({"steps": 6}, {"ours": time}, {"memory": 2.0}),
        report.Comparison({"steps": 7}, {"ours": time, "PyTorch": time}, {}),
    ]
    lines = report.table(report.Report(rows, ["A note."])).splitlines()
    assert [line.split()[:1] for line in lines] == [
        *(["steps"], ["5"], ["6"], []),
        *(["steps"], ["7"], []),
        ["A"],
    ]
