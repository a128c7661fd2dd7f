"""The five papers' tables and figures that hold numbers: 41 items, and what redoes each."""

import dataclasses

from experiments.reproduction.benchmarks import BENCHMARKS, Benchmark

PAPERS = {
    "DSLT": "Lu et al., Deep Regression Tracking with Shrinkage Loss, ECCV 2018",
    "DiMP": "Bhat et al., Learning Discriminative Model Prediction for Tracking, ICCV 2019",
    "GradNet": "Li et al., GradNet: Gradient-Guided Network for Visual Object Tracking, ICCV 2019",
    "MetaRTT": "Jung et al., Real-Time Object Tracking via Meta-Learning, AAAI 2020",
    "ROAM": "Yang et al., ROAM: Recurrently Optimizing Tracking Model, CVPR 2020",
}


@dataclasses.dataclass(frozen=True)
class Item:
    """A table or figure.

    Attributes:
        paper: a key of `PAPERS`.
        number: such as "Table 1".
        what: it shows.
        tables: that redo it, by name; the first is the paper's own question.
    """

    paper: str
    number: str
    what: str
    tables: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as "DiMP Table 1"."""
        return f"{self.paper} {self.number}"

    @property
    def benchmarks(self) -> list[Benchmark]:
        """What compares on data sets that a user brings; empty for an analysis."""
        return [each for each in BENCHMARKS.values() if each.item == self.name]


ITEMS = (
    Item("DSLT", "Figure 4", "shapes of the losses", ("dslt_shapes",)),
    Item("DSLT", "Figure 6", "on OTB-2013 and OTB-2015"),
    Item("DSLT", "Figure 7", "on Temple Color 128"),
    Item("DSLT", "Figure 8", "on UAV123"),
    Item("DSLT", "Table 1", "on VOT2016"),
    Item("DSLT", "Figure 10", "losses and layers", ("dslt_losses", "dslt_layers")),
    Item("DSLT", "Figure 11", "iterations to convergence", ("dslt_convergence",)),
    Item("DiMP", "Table 1", "which architecture predicts the filter", ("dimp1", "dimp_shipped")),
    Item("DiMP", "Table 2", "what each learned part adds", ("dimp2",)),
    Item("DiMP", "Table 3", "how the filter is updated", ("dimp3",)),
    Item("DiMP", "Figure 3", "learned label, mask and weight", ("dimp_functions",)),
    Item("DiMP", "Table 4", "on VOT2018"),
    Item("DiMP", "Figure 4", "on LaSOT"),
    Item("DiMP", "Table 5", "on TrackingNet"),
    Item("DiMP", "Table 6", "on GOT-10k"),
    Item("DiMP", "Table 7", "on NfS, OTB-100 and UAV123"),
    Item("GradNet", "Table 1", "iterations of SGD by rate", ("gradnet1",)),
    Item("GradNet", "Figure 2", "overfitting in training", ("gradnet_overfitting",)),
    Item("GradNet", "Figure 4", "share of the gradient", ("gradnet_ratio",)),
    Item("GradNet", "Figure 6", "on OTB-2015"),
    Item("GradNet", "Figure 7", "on Temple Color 128"),
    Item("GradNet", "Figure 8", "on LaSOT"),
    Item("GradNet", "Table 2", "on VOT2017"),
    Item("GradNet", "Table 3", "what its parts add", ("gradnet3", "gradnet_shipped")),
    Item("GradNet", "Figure 10", "score maps of several videos", ("gradnet_maps",)),
    Item("MetaRTT", "Table 1", "what meta-training's parts add", ("metartt1",)),
    Item("MetaRTT", "Table 2", "iterations of adaptation", ("metartt2", "metartt_shipped")),
    Item("MetaRTT", "Table 3", "one-shot pruning", ("metartt3",)),
    Item("MetaRTT", "Figure 2", "on OTB-2015"),
    Item("MetaRTT", "Figure 3", "on Temple Color 128"),
    Item("MetaRTT", "Table 4", "on VOT2016 and UAV123"),
    Item("ROAM", "Figure 2", "rates with and without random scaling", ("roam_rates",)),
    Item("ROAM", "Figure 3", "on OTB-2015"),
    Item("ROAM", "Figure 4", "on LaSOT"),
    Item("ROAM", "Table 1", "on VOT2016 and VOT2017"),
    Item("ROAM", "Table 2", "on GOT-10k"),
    Item("ROAM", "Table 3", "on TrackingNet"),
    Item("ROAM", "Figure 5", "modules and cells", ("roam_modules", "roam_cells", "roam_shipped")),
    Item("ROAM", "Figure 6", "steps of an update", ("roam_steps",)),
    Item("ROAM", "Figure 7", "losses of updates", ("roam_losses",)),
    Item("ROAM", "Figure 8", "rates at the start and later", ("roam_rates",)),
)
