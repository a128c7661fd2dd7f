"""The constants of DiMP."""

import dataclasses
from typing import ClassVar, Literal

from tracking_tasks import augmentation
from tracking_tasks.trackers.base import TrackerConfig
from tracking_tasks.trackers.dimp.localization import LocalizationConfig
from tracking_tasks.trackers.dimp.loss import DiscriminativeLossConfig
from tracking_tasks.trackers.dimp.refinement import IoUConfig
from tracking_tasks.trackers.scale_filter import ScaleFilterConfig


@dataclasses.dataclass(frozen=True)
class DiMPConfig(TrackerConfig):
    """Every constant of the tracker.

    "paper" is Bhat et al. 2019, "code" the published one (parameter/dimp/dimp50.py), "here" a value
    that this project chose for its backbone.

    Attributes:
        crop_size: side of the search region in pixels, a multiple of 16 (here; code 288).
        search_factor: side of the search region in square roots of the target's area (code).
        filter_size: side of the filter in cells (here, about one target; paper 4 of stride 16).
        loss: the learned loss.
        label_sigma: of the outer label, in target sizes (paper, section 3.6).
        hinge_threshold: T of eq. 8 (paper).
        classification_weight: beta, of the classification in the outer loss (paper).
        initializer: start the fit from the initializer's filter, else from zero.
        train_steps: steps of the fit in meta-training, N_iter (paper).
        initial_lr: step length from which rules with learned rates start (here).
        first_frame: augmentation of the first frame.
        init_steps: steps on the first frame (paper).
        update: how the filter follows the target: "fit" to the sample memory (paper, section 3.7),
            "average" with the filter predicted from each frame alone, at `learning_rate`, or "none"
            (both paper, Table 3).
        update_steps: steps of a regular update (paper).
        update_interval: frames between regular updates (paper).
        hard_negative_steps: steps when a look-alike shows up (paper).
        memory_size: slots of the sample memory (paper).
        learning_rate: by which the weight of a sample exceeds the one before (code).
        hard_negative_lr: the same for a frame with a look-alike (code).
        initial_share: least weight of all first-frame samples together (code).
        localization: thresholds of the peaks.
        box_estimation: the box of the largest predicted overlap (paper), the size of a search over
            scales, or "both" (here): that search, and then a step towards the former.
        overlap: prediction of the overlap, and its maximization.
        scales: factors of the search region that the search over scales tries (here).
        scale_penalty: factor on the score of a changed scale (here).
        scale_lr: share of a scale change that is followed (here).
        scale_interval: frames from one search over scales to the next (here).
        scale_filter: finds the size, too, where it is enabled.
        min_inside: share of the box that is kept inside the frame (code).
        present_score, present_share, found_again_score: see the base (experiments.presence).
        found_again_share, redetect_patience, redetect_places, redetect_spacing: see the base (here;
            docs/results/validation.md).
    """

    inner_steps: ClassVar[tuple[str, ...]] = (
        "train_steps", "init_steps", "update_steps", "hard_negative_steps",
    )  # fmt: skip

    crop_size: int = 192
    search_factor: float = 5.0
    filter_size: int = 5
    loss: DiscriminativeLossConfig = DiscriminativeLossConfig(label_sigma=1.2, mask_radius=2.7)
    label_sigma: float = 0.25
    hinge_threshold: float = 0.05
    classification_weight: float = 100.0
    initializer: bool = True
    train_steps: int = 5
    initial_lr: float = 0.03
    first_frame: augmentation.AugmentationConfig = augmentation.AugmentationConfig()
    init_steps: int = 10
    update: Literal["fit", "average", "none"] = "fit"
    update_steps: int = 2
    update_interval: int = 20
    hard_negative_steps: int = 1
    memory_size: int = 50
    learning_rate: float = 0.01
    hard_negative_lr: float = 0.02
    initial_share: float = 0.25
    localization: LocalizationConfig = LocalizationConfig()
    box_estimation: Literal["overlap", "scale_search", "both"] = "overlap"
    iou: IoUConfig = IoUConfig()
    scales: tuple[float, ...] = (1 / 1.04, 1.0, 1.04)
    scale_penalty: float = 0.985
    scale_lr: float = 0.6
    scale_interval: int = 1
    scale_filter: ScaleFilterConfig = ScaleFilterConfig()
    min_inside: float = 0.2
    present_score: float = 0.6
    present_share: float = 0.67
    found_again_score: float = 0.89
    found_again_share: float = 0.5
    redetect_patience: int = 8
    redetect_places: int = 3
    redetect_spacing: float = 0.75

    @classmethod
    def small(cls) -> "DiMPConfig":
        # Boxes of the largest predicted overlap take a trained tracker.
        return cls(
            crop_size=96, memory_size=18, init_steps=2, train_steps=2, box_estimation="scale_search"
        )
