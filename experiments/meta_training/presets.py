"""The outer loops of comparisons, by scale."""

import dataclasses
from typing import Any

from experiments.meta_training.training import TrainingConfig
from tracking_tasks.episode import EpisodeConfig


def outer_loop(
    outer_steps: int, episodes: int, crop_size: int, side: int, **renderer: Any
) -> TrainingConfig:
    """An outer loop for comparisons.

    Args:
        outer_steps: number of outer steps.
        episodes: episodes a step.
        crop_size: side of the crops in pixels.
        side: side of the rendered frames in pixels.
        **renderer: other fields of the renderer's config.
    """
    return TrainingConfig(
        outer_steps=outer_steps,
        episodes=episodes,
        learning_rate=3e-3,
        episode=EpisodeConfig(crop_size=crop_size),
        renderer=dataclasses.replace(TrainingConfig().renderer, side=side, **renderer),
    )


# Seconds that say nothing, minutes on two cores, hours on a GPU. Without their second subframe and
# other objects, videos compile in half the time.
TRAININGS = {
    "smoke": outer_loop(2, 2, 64, 96, subframes=1, distractors=0, occluders=0),
    "small": outer_loop(40, 4, 128, 192),
    "full": outer_loop(3000, 16, 192, 288),
}
