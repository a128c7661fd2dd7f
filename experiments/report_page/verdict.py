"""The first sentence of the page: which rule is best, by how much, and how sure that is."""

from collections.abc import Mapping
from typing import Any

from experiments.matrix.sweep_results import beyond_chance

Summary = Mapping[str, Any]


def sentence(summary: Mapping[str, Summary]) -> str:
    """Of each tracker the best rule, what it is ahead of the next by, and the test of that.

    Args:
        summary: by the tracker, from `sweep_results.summarize`.
    """
    parts = [of_tracker(each, f"in {tracker} ") for tracker, each in summary.items()]
    if len(parts) == 1:
        parts = [of_tracker(each, "") for each in summary.values()]
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def of_tracker(summary: Summary, where: str) -> str:
    """A clause on one tracker; `where` begins it."""
    rules = sorted(summary["rules"], key=lambda rule: -summary["rules"][rule]["auc"])
    if len(rules) < 2:
        return f"{where}{rules[0]} alone was run: AUC {summary['rules'][rules[0]]['auc']:.3f}"
    best, second = rules[:2]
    pair: Mapping[str, Any] = next(
        (each for each in summary["pairs"] if {each["a"], each["b"]} == {best, second}), {}
    )
    if not pair:
        return (
            f"{where}{best} and {second} have no seed in common, so that neither can be called best"
        )
    ahead = pair["auc_difference"] * (1 if pair["a"] == best else -1)
    by = f"{ahead:+.3f} AUC on {second}, p = {pair['p']:.2g}"
    if beyond_chance(pair) and ahead > 0:
        return f"{where}{best} is best, beyond chance ({by})"
    return f"{where}{best} has the highest mean, which may be chance ({by})"
