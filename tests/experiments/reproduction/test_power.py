"""Numbers of seeds against published tables of power, and a plan from a made-up pilot."""

import pytest

from experiments.reproduction import power, record
from experiments.reproduction.paper_table import AUC, Ordering, Row, Table


@pytest.mark.parametrize(("size", "count"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_needed_is_that_of_g_power(size, count):
    # G*Power 3.1, one-sample t test, two-sided, 5 %, power 0.8: small, medium and large effects.
    assert power.needed(size, 1.0, tests=1) == count


def test_more_orderings_need_more_and_an_effect_without_noise_two():
    assert power.needed(0.5, 1.0, tests=4) > power.needed(0.5, 1.0, tests=1)
    assert power.needed(1.0, 0.0, tests=1) == 2
    assert power.needed(0.0, 1.0, tests=1) == power._MOST


def pilot(trained):
    def measured(row, seed, values):
        targets = {str(index): value for index, value in enumerate(values)}
        mean = sum(values) / len(values)
        return {
            "row": row, "seed": seed, "scores": {"auc": mean}, "targets": {"auc": targets},
            "curves": {}, "trained": trained, "seconds": 30.0,
        }  # fmt: skip

    table = Table(
        "made_up", "?", "Nobody", (Row("a", {"auc": 50.0}), Row("b", {"auc": 52.0})),
        (Ordering("b", "a"),), {"smoke": 2, "small": 2, "full": 2}, measured, (AUC,),
    )  # fmt: skip
    trials = {
        "a": [measured("a", seed, [0.5, 0.5]) for seed in (18, 19)],
        "b": [measured("b", 18, [0.52, 0.54]), measured("b", 19, [0.50, 0.52])],
    }
    return table, record.make(table, {"seeds": [18, 19]}, trials)


def test_a_plan_counts_seeds_of_what_they_train():
    text = power.plan(*pilot(trained=True))
    # Differences of 3 and 1 points: a deviation of 2**0.5, and the paper's effect is 2.
    count = power.needed(2.0, 2**0.5, 1)
    assert f"deviation 1.41 over 2 seeds; an effect of 2.00 (the paper's) needs {count} seeds" in (
        text
    )
    assert f"about {count:.0f} minutes" in text  # a seed of two rows took one


def test_a_plan_counts_targets_of_a_tracker_that_is_always_the_same():
    text = power.plan(*pilot(trained=False))
    count = power.needed(2.0, (8 / 3) ** 0.5, 1)  # of 2, 4, 0 and 2 points
    assert f"over 4 targets; an effect of 2.00 (the paper's) needs {count} targets" in text
