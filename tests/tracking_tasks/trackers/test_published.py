"""Constants that are those of a paper or of its published code: their docstrings say which."""

import pytest

from tracking_tasks.augmentation import AugmentationConfig
from tracking_tasks.trackers.dimp.localization import LocalizationConfig
from tracking_tasks.trackers.dimp.refinement import IoUConfig
from tracking_tasks.trackers.dimp.tracker import DiMPConfig
from tracking_tasks.trackers.dslt.config import DSLTConfig
from tracking_tasks.trackers.gradnet.config import GradNetConfig
from tracking_tasks.trackers.meta_rtt.box_sampling import Spread
from tracking_tasks.trackers.meta_rtt.config import MetaRTTConfig
from tracking_tasks.trackers.roam.config import ROAMConfig
from tracking_tasks.trackers.roam.model import ResizableConfig
from tracking_tasks.trackers.roam.search import SearchConfig

PUBLISHED = {
    # pytracking, parameter/dimp/dimp50.py, and Bhat et al. 2019.
    DiMPConfig: {
        "search_factor": 5.0, "label_sigma": 0.25, "hinge_threshold": 0.05,
        "classification_weight": 100.0, "train_steps": 5, "init_steps": 10, "update": "fit",
        "update_steps": 2, "update_interval": 20, "hard_negative_steps": 1, "memory_size": 50,
        "learning_rate": 0.01, "hard_negative_lr": 0.02, "initial_share": 0.25, "min_inside": 0.2,
        "box_estimation": "overlap",
    },
    IoUConfig: {
        "min_overlap": 0.1, "deviations": (0.01, 0.05, 0.1, 0.2, 0.3), "step_length": 1.0,
        "max_aspect": 6.0, "averaged": 3,
    },
    LocalizationConfig: {
        "lost_threshold": 0.25, "distractor": 0.8, "hard_negative": 0.5, "neighborhood": 2.2,
        "displacement": 0.8,
    },
    AugmentationConfig: {
        "shift": 0.6, "blurs": ((1.04, 0.35), (0.35, 1.04), (0.69, 0.69)),
        "rotations": (10.0, -10.0, 45.0, -45.0), "random_shift": 1 / 6, "dropout_copies": 2,
        "dropout": 0.2,
    },
    # Lu et al. 2018, and DSLT.m.
    DSLTConfig: {
        "online_lr_factor": 0.25, "init_steps": 100, "memory_size": 7, "scale_threshold": 0.35,
        "scales": (1 / 1.03, 1.0, 1.03), "scale_lr": 0.6,
    },
    # Li et al. 2019, train.py, track.py; SiamFC's positive radius.
    GradNetConfig: {
        "shared": True, "positive_radius": 0.25, "loss_scale": 1e4, "train_steps": 1,
        "update_steps": 1, "update_interval": 5, "update_lr": 0.6, "update_threshold": 0.5,
        "scales": (1 / 1.04, 1.0, 1.04), "scale_penalty": 0.97, "scale_lr": 0.59,
        "window_influence": 0.25,
    },
    # Jung et al. 2020, and RT-MDNet's code, whose configuration the paper follows.
    MetaRTTConfig: {
        "roi_size": 3, "context": 1.2, "train_steps": 5, "online_steps": 5, "positives": 32,
        "negatives": 96, "positive_overlap": 0.7, "negative_overlap": 0.5,
        "online_negative_overlap": 0.3, "positive_spread": Spread(0.1, 1.2, gaussian=True),
        "negative_spread": Spread(1.0, 2.0, 1.1), "online_negative_spread": Spread(1.5, 1.2),
        "online_frames": 4, "simulation": "estimated", "adaptive_masks": True, "candidates": 256,
        "candidate_spread": Spread(0.6, 1.0, gaussian=True), "lost_reach": 1.4 / 0.6, "best": 5,
        "regression_spread": Spread(0.3, 1.6, 1.1), "regression_overlap": 0.6, "long_memory": 100,
        "short_memory": 20, "update_interval": 10,
    },
    # Yang et al. 2020, and its code.
    ROAMConfig: {
        "search_factor": 5.0, "train_steps": 1, "adjoint": "truncated", "scaling": (1.6, 1.3),
        "future": 1, "clip": 31.0, "stretches": (1.0, 0.8, 1.2), "update_steps": 2,
        "update_interval": 5, "step_samples": 5, "memory_size": 10, "redetection_threshold": 0.6,
        "min_size": 10.0,
    },
    ResizableConfig: {"context": 1.5, "sharpness": 20.0, "min_error": 0.1},
    SearchConfig: {"motion": 0.79, "lost_motion": 1.58, "shape_penalty": 0.05},
}  # fmt: skip


@pytest.mark.parametrize("config", PUBLISHED)
def test_published_values_are_the_defaults(config):
    default = vars(config())
    assert {name: default[name] for name in PUBLISHED[config]} == PUBLISHED[config]
