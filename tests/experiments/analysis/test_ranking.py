import numpy as np
import pytest

from experiments.analysis import ranking


def scores(*rows):
    return np.asarray(rows, float)


def test_paired_tests_are_on_sequences():
    a, b = scores([0.1, 0.4, 0.6, 0.3, 0.2, 0.9]), scores([0.0, 0.2, 0.3, 0.1, 0.0, 0.1])
    assert ranking.paired_p(a, b) == pytest.approx(2 / 2**6)  # all of six differ in one direction
    assert ranking.paired_p(a, a) == 1.0
    assert ranking.paired_p(np.concatenate([a, a]), b) == ranking.paired_p(a, b)


def test_holm():
    # Holm 1979: 3 * 0.01, then 2 * 0.02 and 0.03 raised to it.
    assert ranking.holm([0.02, 0.01, 0.03]) == pytest.approx([0.04, 0.03, 0.04])
    assert ranking.holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_multiplies_the_smallest_by_all_and_keeps_the_order():
    # The example of Holm's method in R's p.adjust: 0.01, 0.04, 0.03, 0.005.
    assert ranking.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert ranking.holm([0.6, 0.9]) == [1.0, 1.0] and ranking.holm([]) == []


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_differences_are_those_of_the_table(k, q):
    """Demsar 2006, Table 5a."""
    random = np.random.default_rng(0)
    found = ranking.rank({str(i): random.random((1, 14)) for i in range(k)})
    assert found.critical_difference == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), rel=1e-3)


def test_ranks_and_groups():
    n = 30
    noise = np.random.default_rng(0).random(n)
    near = scores(noise, noise[::-1])
    found = ranking.rank(
        {"worst": near - 2, "b": near + 0.001 * (-1) ** np.arange(n), "best": near + 2, "c": near}
    )
    assert found.ranks == {"best": 1.0, "b": 2.5, "c": 2.5, "worst": 4.0}
    assert found.groups == [["b", "c"]]
    assert found.friedman_p < 1e-10
    assert ranking.rank({"a": near, "b": near + 1}).friedman_p is None
