"""The constants of MetaRTT."""

import dataclasses
from typing import ClassVar, Literal

from tracking_tasks.trackers.base import TrackerConfig
from tracking_tasks.trackers.meta_rtt.box_sampling import Spread
from tracking_tasks.trackers.scale_filter import ScaleFilterConfig


@dataclasses.dataclass(frozen=True)
class MetaRTTConfig(TrackerConfig):
    """Every constant of the tracker.

    "paper" is Jung et al. 2020, "base" RT-MDNet (Jung et al. 2018) and its published code, whose
    configuration the paper follows, "here" a value that this project chose for its backbone.

    Attributes:
        crop_size: side of the search region in pixels, a multiple of 16 (here; base: the target has
            107 pixels).
        search_factor: side of the search region in square roots of the target's area (here).
        levels: which of the backbone's levels are seen: "both", or the "deeper" one (base).
        channels: of the last shared layer, a 1x1 convolution (here; base 512, 3x3).
        hidden: units of the first two fully connected layers (here; base 512).
        roi_size: samples of a box along an axis (base).
        context: side of the region that is seen of a box, in its sides (base).
        granularity: of learned rates (here; paper "parameter", which weighs ten times the params).
        rate_sets: sets of learned rates for each fit: one a step, or one for all.
        initial_lr: step length from which rules with learned rates start (here).
        train_steps: steps of the fit to the first frame, K_init (paper).
        online_steps: steps of an online fit, K_on (paper).
        positives, negatives: samples of a fit (base).
        positive_overlap: least overlap of a positive (base).
        negative_overlap, online_negative_overlap: largest overlap of a negative, in the first frame
            and later (base).
        positive_spread, negative_spread, online_negative_spread: how they are drawn (base).
        online_frames: frames of an episode that are adapted to (paper).
        clip: the span of an episode in frames (here; paper: of any length).
        clip_shift, clip_scale: how far later frames are off, as `query_shift` and `query_scale` of
            `EpisodeConfig` (here).
        simulation: what stands for the targets of later frames in an episode: those "estimated" by
            the adapted classifier (paper), the "true" ones, or "none" if there is no online fit.
        episode_candidates: boxes from which a target is estimated in an episode (here).
        hard_videos: other videos whose targets are an episode's hard examples (here).
        hard_examples: boxes of each (here).
        triplet_weight: gamma of eq. 4 (here; the paper does not say).
        triplet_margin: xi of eq. 5 (here; the paper does not say).
        kept: share of the channels of each layer that are kept after the first frame (paper: about
            0.5); 1 prunes none.
        adaptive_masks: masks depend on the first frame (paper), or are the same for all targets.
        mask_hidden, mask_dropout: of the network of masks (here).
        candidates: boxes that are scored in a frame (base).
        candidate_spread: how they are drawn (base, but for their scale, 1.05 there: smaller boxes
            score higher, and the size would drift; here it follows the box regression alone).
        lost_reach: factor on their displacement after a frame without the target (base: 1.4 / 0.6).
        best: candidates whose mean is the target's box (base).
        lost_threshold: score in a frame that shows the target, as a share of the target's own in
            the first frame by the same params (here; base 0, where it is as likely as not).
        update_threshold: the same in a frame whose samples are kept: what half hides a target would
            be learned with it (here; base `lost_threshold`).
        regression_samples: boxes that the box regression is fitted to (here; base 1000).
        regression_spread, regression_overlap: how they are drawn (base).
        ridge: relative penalty of the box regression before it is meta-learned (here).
        regression_weight: of the box regression's error on the test frame in the outer loss, which
            teaches the shared layer what outlives the first frame (here; the paper has none).
        reference_lr: by which the box regression gets used to new looks (here; base 0).
        scale_filter: finds the size, too, where it is enabled.
        size_lr: share of a change of the size that is followed, both sides alike (here; base 1,
            each side by itself, which made narrow targets ever narrower).
        long_memory, short_memory: frames whose positives a long-term and a short-term update may
            use; negatives are those of the latter always (base).
        frame_positives, frame_negatives: samples of a frame (here; base 50 and 200).
        update_interval: frames between long-term updates (base).
        restart: an update starts from the params of the first frame, as in an episode, and not from
            those of the update before (here).
        min_inside: share of the box that is kept inside the frame (here).
        present_score, found_again_score: see the base (experiments.presence).
        seed: of all that is drawn online (here).
    """

    inner_steps: ClassVar[tuple[str, ...]] = ("train_steps", "online_steps")

    crop_size: int = 192
    search_factor: float = 4.0
    levels: Literal["both", "deeper"] = "both"
    channels: int = 64
    hidden: int = 256
    roi_size: int = 3
    context: float = 1.2
    granularity: Literal["parameter", "tensor", "scalar"] = "tensor"
    rate_sets: Literal["step", "fit"] = "step"
    initial_lr: float = 0.3
    train_steps: int = 5
    online_steps: int = 5
    positives: int = 32
    negatives: int = 96
    positive_overlap: float = 0.7
    negative_overlap: float = 0.5
    online_negative_overlap: float = 0.3
    positive_spread: Spread = Spread(0.1, 1.2, gaussian=True)
    negative_spread: Spread = Spread(1.0, 2.0, 1.1)
    online_negative_spread: Spread = Spread(1.5, 1.2)
    online_frames: int = 4
    clip: float = 40.0
    clip_shift: float = 1.0
    clip_scale: float = 0.1
    simulation: Literal["estimated", "true", "none"] = "estimated"
    episode_candidates: int = 64
    hard_videos: int = 3
    hard_examples: int = 8
    triplet_weight: float = 0.1
    triplet_margin: float = 1.0
    kept: float = 1.0
    adaptive_masks: bool = True
    mask_hidden: int = 64
    mask_dropout: float = 0.5
    candidates: int = 256
    candidate_spread: Spread = Spread(0.6, 1.0, gaussian=True)
    lost_reach: float = 1.4 / 0.6
    best: int = 5
    lost_threshold: float = 0.1
    update_threshold: float = 0.3
    regression_samples: int = 128
    regression_spread: Spread = Spread(0.3, 1.6, 1.1)
    regression_overlap: float = 0.6
    ridge: float = 0.01
    regression_weight: float = 5.0
    scale_filter: ScaleFilterConfig = ScaleFilterConfig()
    size_lr: float = 0.05
    reference_lr: float = 0.05
    long_memory: int = 100
    short_memory: int = 20
    frame_positives: int = 8
    frame_negatives: int = 24
    update_interval: int = 10
    restart: bool = True
    min_inside: float = 0.2
    present_score: float = 0.95
    found_again_score: float = 0.999
    seed: int = 0

    @classmethod
    def small(cls) -> "MetaRTTConfig":
        return cls(
            crop_size=96,
            channels=16,
            hidden=16,
            train_steps=40,
            online_steps=10,
            online_frames=1,
            positives=8,
            negatives=24,
            candidates=64,
            regression_samples=32,
            long_memory=4,
            short_memory=2,
            update_interval=2,
        )
