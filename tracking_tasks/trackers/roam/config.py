"""The constants of ROAM and ROAM++."""

import dataclasses
import itertools
from typing import ClassVar, Literal

from basics.errors import InputError
from tracking_tasks.trackers.base import TrackerConfig
from tracking_tasks.trackers.roam.model import ResizableConfig
from tracking_tasks.trackers.roam.search import SearchConfig
from tracking_tasks.trackers.scale_filter import ScaleFilterConfig


@dataclasses.dataclass(frozen=True)
class ROAMConfig(TrackerConfig):
    """Every constant of the tracker.

    "paper" is Yang et al. 2020, "code" the published one, "here" a value that this project chose
    for its backbone. The paper's sizes (of a grid of stride 4): `ResizableConfig(channels=64,
    filter_size=21, support=31)`.

    Attributes:
        crop_size: side of the search region in pixels, a multiple of 16 (here; paper 281).
        search_factor: side of the search region in square roots of the target's area (paper).
        model: the tracking model and its loss.
        search: how a box is found; its `boxes` chooses between ROAM and ROAM++.
        scale_filter: finds the size, too, where it is enabled.
        train_steps: steps of an update in meta-training (paper).
        initial_lr: step length from which rules with learned rates start (here).
        adjoint: "truncated" detaches the model between updates (code), "unrolled" does not.
        scaling: ranges of the random filter scaling of recurrent rules, of the response's head and
            of the regression's; 0 for none (paper, section 5).
        simulation: what updates learn from in meta-training: boxes "estimated" by the model, as
            they are online (here), or the "true" ones (code).
        blocks: updates of a clip in meta-training (here; code 6).
        block: later frames for each of them (here; code 5, with a clip of 31 frames).
        future: how many of a block's frames judge the update before it (paper).
        clip: the span of a clip in frames (paper).
        clip_shift, clip_scale, clip_stretch: how far later frames are off, as `query_shift`,
            `query_scale` and `query_stretch` of `EpisodeConfig` (code: 4, and at most 0.2 each).
        stretches: factors of aspect ratio and of scale of the first frame's patches (paper).
        update_steps: steps of an online update (paper).
        update_interval: frames between updates, tau (code).
        step_samples: samples of a step (code).
        memory_size: newest samples that an update may use (paper: 2 tau).
        first_share: weight of the first frame in each step of an update after it (here; paper 0):
            learned from boxes that were found, the filters drift.
        first_response: share of the first frame's model in the response (here; paper 0): it cannot
            drift, since it never learns from boxes that were found.
        lost_threshold: share of the model's response on the first frame below which the target is
            lost: the tracker stays and learns nothing (here: it is hidden; code 0.1, of the
            response before any update).
        redetection_threshold: share from which it is no longer (code).
        min_size: side of a box in pixels (code).
        min_inside: share of the box that is kept inside the frame (here).

    Raises:
        present_score, found_again_score: see the base (experiments.presence).
        InputError: if `future` is no number of frames of a block.
    """

    inner_steps: ClassVar[tuple[str, ...]] = ("train_steps", "update_steps")

    crop_size: int = 192
    search_factor: float = 5.0
    model: ResizableConfig = ResizableConfig()
    search: SearchConfig = SearchConfig()
    scale_filter: ScaleFilterConfig = ScaleFilterConfig()
    train_steps: int = 1
    initial_lr: float = 0.2
    adjoint: Literal["truncated", "unrolled"] = "truncated"
    scaling: tuple[float, float] = (1.6, 1.3)
    simulation: Literal["estimated", "true"] = "estimated"
    blocks: int = 4
    block: int = 3
    future: int = 1
    clip: float = 31.0
    clip_shift: float = 3.0
    clip_scale: float = 0.1
    clip_stretch: float = 0.1
    stretches: tuple[float, ...] = (1.0, 0.8, 1.2)
    update_steps: int = 2
    update_interval: int = 5
    step_samples: int = 5
    memory_size: int = 10
    first_share: float = 0.5
    first_response: float = 0.5
    lost_threshold: float = 0.4
    redetection_threshold: float = 0.6
    min_size: float = 10.0
    min_inside: float = 0.2
    present_score: float = 0.41
    found_again_score: float = 0.89

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.future <= self.block:
            raise InputError(
                f"roam.future={self.future}: a block has {self.block} frames, so give 1 to "
                f"{self.block}, or a larger roam.block"
            )

    @property
    def views(self) -> tuple[tuple[float, float], ...]:
        """Factors on the target's width and height in the first frame's patches."""
        pairs = itertools.product(self.stretches, self.stretches)
        return tuple((scale * ratio, scale / ratio) for scale, ratio in pairs)

    @classmethod
    def small(cls) -> "ROAMConfig":
        return cls(
            crop_size=128,
            model=ResizableConfig(channels=16, filter_size=5, support=5),
            stretches=(1.0,),
            blocks=2,
            block=1,
            update_interval=2,
            step_samples=2,
            memory_size=3,
        )
