"""The papers' comparisons on benchmarks that a user has to bring: one command each.

The command runs our tracker as it is shipped, by the benchmark's own protocol, and prints the
paper's numbers beside ours. Numbers are those of the papers' tables and texts; of many plots they
give none.
"""

import dataclasses
import shlex
from collections.abc import Mapping
from types import MappingProxyType

from absl import flags


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A tracker of a paper on one data set.

    Attributes:
        name: for --paper.
        item: of the paper, such as "DiMP Table 7".
        method: whose numbers they are, as the paper calls it.
        program: that runs it, in `experiments`.
        tracker: of ours.
        flags: of the program, as published data sets need them.
        folder: what the command calls the data set's folder.
        numbers: the paper's, by the names of our scores.
        note: what else has to be known.
    """

    name: str
    item: str
    method: str
    program: str
    tracker: str
    flags: tuple[str, ...]
    folder: str
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    note: str = ""

    @property
    def command(self) -> str:
        """The line that runs it."""
        words = [
            "python3", "bootstrap.py", "-m", f"experiments.{self.program}",
            f"--paper={self.name}", f"--tracker={self.tracker}", *self.flags,
            f"--dataset_dir={self.folder}", f"--output_dir=runs/{self.name}",
        ]  # fmt: skip
        return shlex.join(words)

    def beside(self, ours: Mapping[str, float]) -> str:
        """The paper's numbers beside ours, as text.

        Args:
            ours: scores by name; empty where the truth is withheld.
        """
        lines = [f"{self.item}, {self.method} (the paper : ours)"]
        lines += [
            f"  {score}: {paper:.3f} : {ours[score]:.3f}"
            if score in ours
            else f"  {score}: {paper:.3f} : -"
            for score, paper in self.numbers.items()
        ]
        if not self.numbers:
            lines.append("  the paper's text gives no number, its plot alone does")
        return "\n".join([*lines, *([f"  {self.note}"] if self.note else [])])


_SERVER = "the truth is withheld: submission.zip goes to the benchmark's server"
_FAILURES = "the paper's robustness is failures in 100 frames; ours (see --help) a sequence"


def _evaluate(
    name: str, item: str, method: str, data: str, numbers: Mapping[str, float], note: str = ""
) -> Benchmark:
    folder, *flags = _DATA[data]
    tracker = name.partition("_on_")[0]
    return Benchmark(name, item, method, "evaluate", tracker, tuple(flags), folder, numbers, note)


def _vot(
    name: str, item: str, method: str, year: int, numbers: Mapping[str, float], note: str = ""
) -> Benchmark:
    tracker, flags = name.partition("_on_")[0], (f"--challenge=vot{year}",)
    return Benchmark(
        name, item, method, "vot", tracker, flags, f"VOT{year}", numbers, note or _FAILURES
    )


# Folder in the commands, and how each data set is read and scored.
_DATA = {
    "otb2013": ("OTB2013",),
    "otb2015": ("OTB100",),
    "tc128": ("TColor-128", "--dataset_format=tc128"),
    "uav123": ("UAV123", "--dataset_format=uav123"),
    "nfs": ("NfS", "--dataset_format=nfs", "--dataset_split=30"),
    "lasot": ("LaSOT", "--dataset_format=lasot", "--dataset_split=test"),
    "trackingnet": ("TrackingNet", "--dataset_format=trackingnet", "--dataset_split=test"),
    "got10k": ("GOT-10k", "--dataset_format=got10k", "--dataset_split=test"),
}


def _auc(auc: float, precision: float | None = None) -> dict[str, float]:
    return {"auc": auc} | ({} if precision is None else {"precision20": precision})


_ALL = (
    _evaluate("dslt_on_otb2013", "DSLT Figure 6", "DSLT", "otb2013", _auc(0.683, 0.934)),
    _evaluate("dslt_on_otb2015", "DSLT Figure 6", "DSLT", "otb2015", {}),
    _evaluate("dslt_on_tc128", "DSLT Figure 7", "DSLT", "tc128", {"precision20": 0.8073}),
    _evaluate("dslt_on_uav123", "DSLT Figure 8", "DSLT", "uav123", {}),
    _vot("dslt_on_vot2016", "DSLT Table 1", "DSLT", 2016, {"eao": 0.3321},
         "the paper's other two numbers are ranks among its trackers"),
    _evaluate("dimp_on_lasot", "DiMP Figure 4", "DiMP-50", "lasot", _auc(0.569)),
    _vot("dimp_on_vot2018", "DiMP Table 4", "DiMP-50", 2018, {"eao": 0.440, "accuracy": 0.597}),
    _evaluate("dimp_on_trackingnet", "DiMP Table 5", "DiMP-50", "trackingnet",
              {"success": 0.740, "precision": 0.687, "normalized_precision": 0.801}, _SERVER),
    _evaluate("dimp_on_got10k", "DiMP Table 6", "DiMP-50", "got10k",
              {"ao": 0.611, "sr50": 0.717, "sr75": 0.492}, _SERVER),
    _evaluate("dimp_on_nfs", "DiMP Table 7", "DiMP-50", "nfs", _auc(0.620)),
    _evaluate("dimp_on_otb2015", "DiMP Table 7", "DiMP-50", "otb2015", _auc(0.684)),
    _evaluate("dimp_on_uav123", "DiMP Table 7", "DiMP-50", "uav123", _auc(0.654)),
    _evaluate("gradnet_on_otb2015", "GradNet Figure 6", "GradNet", "otb2015", _auc(0.639, 0.861)),
    _evaluate("gradnet_on_tc128", "GradNet Figure 7", "GradNet", "tc128", {}),
    _evaluate("gradnet_on_lasot", "GradNet Figure 8", "GradNet", "lasot", {}),
    _vot("gradnet_on_vot2017", "GradNet Table 2", "GradNet", 2017,
         {"eao": 0.247, "accuracy": 0.507}),
    _evaluate("meta_rtt_on_otb2015", "MetaRTT Figure 2", "MetaRTT", "otb2015",
              _auc(0.655, 0.890)),
    _evaluate("meta_rtt_on_tc128", "MetaRTT Figure 3", "MetaRTT", "tc128", {}),
    _evaluate("meta_rtt_on_uav123", "MetaRTT Table 4", "MetaRTT", "uav123", _auc(0.569, 0.809)),
    _vot("meta_rtt_on_vot2016", "MetaRTT Table 4", "MetaRTT", 2016, {"eao": 0.346}),
    _evaluate("roam_on_otb2015", "ROAM Figure 3", "ROAM++", "otb2015", _auc(0.680)),
    _evaluate("roam_on_lasot", "ROAM Figure 4", "ROAM++", "lasot", {}),
    _vot("roam_on_vot2016", "ROAM Table 1", "ROAM++", 2016, {"eao": 0.441, "accuracy": 0.599}),
    _vot("roam_on_vot2017", "ROAM Table 1", "ROAM++", 2017, {"eao": 0.380, "accuracy": 0.543}),
    _evaluate("roam_on_got10k", "ROAM Table 2", "ROAM++", "got10k",
              {"ao": 0.465, "sr50": 0.532, "sr75": 0.236}, _SERVER),
    _evaluate("roam_on_trackingnet", "ROAM Table 3", "ROAM++", "trackingnet",
              {"success": 0.670, "precision": 0.623, "normalized_precision": 0.754}, _SERVER),
)  # fmt: skip

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType({each.name: each for each in _ALL})


def paper_flag(registry: flags.FlagValues) -> flags.FlagHolder[str | None]:
    """--paper."""
    return flags.DEFINE_enum(
        "paper",
        None,
        list(BENCHMARKS),
        "Which comparison of a paper this is; its numbers are printed beside ours.",
        flag_values=registry,
    )
