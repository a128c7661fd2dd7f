"""The constants of DSLT."""

import dataclasses
from typing import ClassVar

from tracking_tasks import augmentation
from tracking_tasks.trackers.base import TrackerConfig
from tracking_tasks.trackers.dslt.objective import RegressionConfig
from tracking_tasks.trackers.scale_filter import ScaleFilterConfig


@dataclasses.dataclass(frozen=True)
class DSLTConfig(TrackerConfig):
    """Every constant of the tracker.

    "paper" is Lu et al. 2018, "code" the published one (DSLT.m), "here" a value that this project
    chose for its backbone.

    Attributes:
        crop_size: side of the search region in pixels, a multiple of 16 (here).
        search_factor: side of the search region in square roots of the target's area (code: 9
            widths by 5 heights).
        fusion: how the levels are connected, one of `models.heads.regression_head.FUSIONS`.
        channels: of each level after reduction (here, of 40 and 112; paper 128 of 512).
        filter_size: largest side of the filters in cells; they have the size of the target (paper)
            as far as they fit.
        regression: the objective.
        train_steps: steps of the fit in meta-training, and on the first frame of a learned rule
            (here).
        learned_update_steps: steps of a learned rule on a later frame (here).
        initial_lr: step length from which other rules than the paper's start (here).
        paper_lr: that of the paper's rule, Adam (here: for features of mean square 1; the paper's
            8e-7 and 2e-8 are for those of its trunk).
        online_lr_factor: share of the rate of a hand-designed rule after the first frame (paper).
        init_steps: most steps of a hand-designed rule on the first frame (code).
        update_steps: most steps of a hand-designed rule on a later frame (here; code 14).
        converged_error: a hand-designed rule stops when the largest error of a response, averaged
            over the samples, is below this (here: the errors that the shrinkage loss halves. The
            code's bound on the loss itself would be another for every loss).
        first_frame: augmentation of the first frame (code: blurs and a flip).
        memory_size: samples of an update, T (paper): the first, and the latest others (code).
        first_share: how much the first of them counts, as a share of all (here; paper 1 / T).
        motion_sigma: of the Gaussian by which the response is multiplied, in target sizes (here;
            code 0.65). After a frame that was not trusted the target may be anywhere.
        scale_threshold: response from which the scale is followed (code).
        scales: factors of the search region that are tried (paper).
        scale_penalty: factor on the score of a changed scale (here).
        scale_lr: share of a scale change that is followed (code).
        scale_interval: frames from one search over scales to the next (here; paper 1).
        scale_filter: finds the size, too, where it is enabled.
        lost_threshold: response below which the target counts as lost: the tracker stays (here; the
            paper's always moves).
        update_threshold: share of the usual response below which the tracker does not learn (here;
            the paper's learns from every frame, also from what hides its target).
        usual_lr: share of the latest response in the usual one, which starts at what the first
            fit aims at, 1 - `converged_error`, and follows so that what lasts is learned (here).
        min_inside: share of the box that is kept inside the frame (here).
        present_score, found_again_score: see the base (experiments.presence).
    """

    inner_steps: ClassVar[tuple[str, ...]] = (
        "train_steps", "learned_update_steps", "init_steps", "update_steps",
    )  # fmt: skip

    crop_size: int = 192
    search_factor: float = 5.0
    fusion: str = "residual"
    channels: int = 64
    filter_size: int = 7
    regression: RegressionConfig = RegressionConfig()
    train_steps: int = 5
    learned_update_steps: int = 1
    initial_lr: float = 0.01
    paper_lr: float = 4e-3
    online_lr_factor: float = 0.25
    init_steps: int = 100
    update_steps: int = 5
    converged_error: float = 0.2
    first_frame: augmentation.AugmentationConfig = augmentation.AugmentationConfig(
        rotations=(), dropout_copies=0
    )
    memory_size: int = 7
    first_share: float = 0.4
    motion_sigma: float = 1.0
    scale_threshold: float = 0.35
    scales: tuple[float, ...] = (1 / 1.03, 1.0, 1.03)
    scale_penalty: float = 0.985
    scale_lr: float = 0.6
    scale_interval: int = 1
    scale_filter: ScaleFilterConfig = ScaleFilterConfig()
    lost_threshold: float = 0.2
    update_threshold: float = 0.7
    usual_lr: float = 0.03
    min_inside: float = 0.2
    present_score: float = 0.41
    found_again_score: float = 0.77

    @classmethod
    def small(cls) -> "DSLTConfig":
        return cls(
            crop_size=96,
            channels=8,
            filter_size=3,
            first_frame=augmentation.AugmentationConfig(blurs=(), rotations=(), dropout_copies=0),
            train_steps=2,
            memory_size=3,
        )
