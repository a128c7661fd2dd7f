"""What was measured of one row of a table with one seed."""

import dataclasses
from collections.abc import Mapping, Sequence

from tracking_tasks import evaluation

REAL = "real_"  # before the name of a score on real sequences
JUDGES = ("real", "rendered", "both")  # what trackers are judged on

Curve = tuple[list[float], list[float]]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Scores of a row, and what they are means of.

    Attributes:
        scores: by the name of the score. Those on real sequences begin with `REAL`.
        curves: by the name of the curve, x and y. The x are the same for all seeds.
        targets: by the name of the score and of the target, where a score is a mean over targets.
        maps: pictures of one channel by the name of their row, several side by side, to be drawn.
        trained: whether the seed trained the tracker; otherwise it only draws what it is judged on.
    """

    scores: Mapping[str, float]
    curves: Mapping[str, Curve] = dataclasses.field(default_factory=dict)
    targets: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    trained: bool = True
    maps: Mapping[str, Sequence[Sequence[Sequence[float]]]] = dataclasses.field(
        default_factory=dict
    )

    def with_curves(self, curves: Mapping[str, Curve]) -> "Measurement":
        """The same, and curves."""
        return dataclasses.replace(self, curves=curves)

    def beside(self, other: "Measurement") -> "Measurement":
        """The same, and the scores of another measurement of the row."""
        return dataclasses.replace(
            self, scores={**self.scores, **other.scores}, targets={**self.targets, **other.targets}
        )


def of_targets(values: Mapping[str, Sequence[float]], trained: bool = True) -> Measurement:
    """Scores that are the means of one value a target; the targets are numbered."""
    targets = {
        name: {str(index): float(value) for index, value in enumerate(each)}
        for name, each in values.items()
    }
    means = {name: sum(each.values()) / len(each) for name, each in targets.items()}
    return Measurement(means, targets=targets, trained=trained)


def of_results(
    results: Sequence[evaluation.SequenceResult],
    names: Sequence[str],
    prefix: str = "",
    trained: bool = True,
) -> Measurement:
    """`auc`, `precision20`, `mean_overlap` and `fps` of one pass over sequences.

    Args:
        results: of each sequence.
        names: of their targets; a result may be of a part of one.
        prefix: of the names of the scores.
        trained: see `Measurement`.
    """
    means = evaluation.summarize(results)
    each = [result.scores() for result in results]
    return Measurement(
        {f"{prefix}{score}": value for score, value in means.items()},
        targets={
            f"{prefix}{score}": {
                name: scores[score] for name, scores in zip(names, each, strict=True)
            }
            for score in means
            if score != "fps"  # the first updates of sequences compile
        },
        trained=trained,
    )
