"""The constants of GradNet."""

import dataclasses
from typing import ClassVar

from models.backbone import STRIDE, Grid
from tracking_tasks.trackers.base import TrackerConfig
from tracking_tasks.trackers.scale_filter import ScaleFilterConfig


@dataclasses.dataclass(frozen=True)
class GradNetConfig(TrackerConfig):
    """Every constant of the tracker.

    "paper" is Li et al. 2019, "code" the published one (train.py, track.py), "here" a value that
    this project chose for its backbone.

    Attributes:
        crop_size: side of the search region in pixels, a multiple of 16 (here; paper 255).
        search_factor: side of the search region in square roots of the target's area (about that
            of SiamFC, whose margin depends on the shape).
        exemplar_share: side of the exemplar in search regions (here, which gives the 12 cells of
            the code; paper 127 of 255 pixels).
        template_size: side of the template in cells, odd (here, about one target; paper 6 of 8).
        shared: one network makes the template before and after the fit (paper); else two.
        positive_radius: of the label, in target sizes (SiamFC).
        initial_gain: factor on the response before the logistic loss, and
        initial_bias: what is added to it: both are meta-trained (here; code: neither).
        loss_scale: factor on the inner objective, which brings a feature's gradient near 1
            (code 1e4, for a mean over cells).
        initial_lr: step length from which rules start (here).
        train_steps: steps of the fit in meta-training and on the first frame (paper).
        generalization: k, the episodes whose search regions one template is fitted to and judged on
            in meta-training (code 8; the paper's figure 4); 1 for its own alone.
        support: frames of an episode's support, the exemplar's first (here; code: none but the
            query, which is both).
        query_shift, query_scale: as those of `EpisodeConfig` (here; code: at most 4 pixels).
        online_update: follow the target's appearance.
        update_steps: steps of an online update (paper).
        update_interval: frames between updates (paper).
        update_lr: share of the way to the fitted params that an update goes (code).
        restart: an update starts from the first frame's exemplar and sees that frame again, as in
            an episode (here); else it starts from the params of the update before, and sees the new
            frame alone (paper).
        update_threshold: share of the first frame's highest score from which a frame is learned
            from (paper).
        initial_share: of the first frame's template in the template in use (here; code 0.85 of its
            response).
        scale_filter: finds the size, too, where it is enabled.
        scales: factors of the search region that are tried (code).
        scale_penalty: factor on the score of a changed scale (code).
        scale_lr: share of a scale change that is followed (code).
        scale_interval: frames from one search over scales to the next (here; code 1).
        window_influence: share of the cosine window in the map that is searched (code).
        min_inside: share of the box that is kept inside the frame (here).
        present_score, found_again_score: see the base (experiments.presence).
    """

    inner_steps: ClassVar[tuple[str, ...]] = ("train_steps", "update_steps")

    crop_size: int = 144
    search_factor: float = 4.0
    exemplar_share: float = 2 / 3
    template_size: int = 5
    shared: bool = True
    positive_radius: float = 0.25
    initial_gain: float = 10.0
    initial_bias: float = -5.0
    loss_scale: float = 1e4
    initial_lr: float = 0.5
    train_steps: int = 1
    generalization: int = 4
    support: int = 2
    query_shift: float = 2.5
    query_scale: float = 0.1
    online_update: bool = True
    update_steps: int = 1
    update_interval: int = 5
    update_lr: float = 0.6
    restart: bool = True
    update_threshold: float = 0.5
    initial_share: float = 0.5
    scale_filter: ScaleFilterConfig = ScaleFilterConfig()
    scales: tuple[float, ...] = (1 / 1.04, 1.0, 1.04)
    scale_penalty: float = 0.97
    scale_lr: float = 0.59
    scale_interval: int = 1
    window_influence: float = 0.25
    min_inside: float = 0.2
    present_score: float = 0.96
    found_again_score: float = 0.9999

    @classmethod
    def small(cls) -> "GradNetConfig":
        return cls(crop_size=96, update_interval=2)

    @property
    def exemplar_size(self) -> int:
        """Side of the inner params on the grid, in cells: even, as the coarser level has half."""
        return 2 * round(self.exemplar_share * self.crop_size / STRIDE / 2)

    def middle_cell(self, grid: Grid) -> int:
        """The row and column that is nearest to the middle of a crop."""
        return round(float(grid.to_cells(self.crop_size / 2)))

    def exemplar_start(self, grid: Grid) -> int:
        """The first cell of the exemplar: even, so that the coarser cells of both lie alike."""
        return 2 * round((self.middle_cell(grid) - (self.exemplar_size - 1) / 2) / 2)
