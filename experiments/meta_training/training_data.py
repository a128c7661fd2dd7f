"""--photos_dir, --datasets and --rendered_weight: what a training learns from."""

import dataclasses
import math
from typing import Any

import jax
from absl import flags

from basics.errors import InputError
from experiments.command_line import shared_flags
from experiments.meta_training import training
from tracking_tasks.data.photos import load_bank


class TrainingData:
    """The flags, and the batches they ask for."""

    def __init__(self, registry: flags.FlagValues) -> None:
        self._photos_dir = shared_flags.photos_dir_flag(registry)
        self._datasets = flags.DEFINE_list(
            "datasets",
            [],
            "Folders written by experiments.pack, separated by commas, each with its weight after "
            "a colon (by default 1): packed/got10k,packed/coco:0.5",
            flag_values=registry,
        )
        self._rendered_weight = flags.DEFINE_float(
            "rendered_weight",
            1.0,
            "Weight of rendered videos beside --datasets; 0 renders none.",
            0.0,
            flag_values=registry,
        )

    def batches(self, config: training.TrainingConfig) -> tuple[training.Batches, dict[str, Any]]:
        """The batches of a training, and what they come from.

        Each batch holds rendered and recorded episodes in proportion to their weights, as nearly as
        whole numbers allow. What comes from one is the same at every step of the same seed.

        Raises:
            InputError: a folder is none or damaged, a weight is no positive number, or the episodes
                of a batch are too few for both, or do not divide among the devices.
        """
        given = [_parse(text) for text in self._datasets.value]
        rendered_weight = self._rendered_weight.value
        if not given and not rendered_weight:
            raise InputError("--rendered_weight=0 leaves nothing to train on: give --datasets")
        if not given:
            return self._rendered(config)
        # Here, since the libraries that read packed data take seconds to import.
        from experiments.meta_training.packed_batches import joined_batches, packed_batches
        from tracking_tasks.data.packed import PackedDataset

        weights = [weight for _, weight in given]
        datasets = [PackedDataset(folder) for folder, _ in given]
        rendered, packed = divide(
            config.episodes, rendered_weight, sum(weights), jax.device_count()
        )
        origin: dict[str, Any] = {
            "packed_episodes": packed,
            "datasets": [
                {"name": d.name, "sequences": len(d), "frames": d.frames, "weight": weight}
                for d, weight in zip(datasets, weights, strict=True)
            ],
        }
        part = lambda episodes: dataclasses.replace(config, episodes=episodes)
        recorded = packed_batches(datasets, weights, part(packed))
        if not rendered:
            return recorded, origin
        batches, photographs = self._rendered(part(rendered))
        return joined_batches([batches, recorded]), origin | photographs

    def _rendered(self, config: training.TrainingConfig) -> tuple[training.Batches, dict[str, Any]]:
        bank = load_bank(self._photos_dir.value, "train")
        origin = {"photographs": len(bank.photos), "objects": len(bank.cutouts)}
        return training.rendered_batches(bank, config), origin


def divide(
    episodes: int, rendered_weight: float, packed_weight: float, devices: int
) -> tuple[int, int]:
    """How many episodes of a batch are rendered and how many come from packed data.

    Both are multiples of the number of devices.

    Raises:
        InputError: that is impossible, or one with a weight would get none.
    """
    if episodes % devices:
        raise InputError(
            f"--episodes={episodes} do not divide among {devices} devices: use a multiple"
        )
    share = rendered_weight / (rendered_weight + packed_weight)
    rendered = round(share * episodes / devices) * devices
    if share > 0 and not 0 < rendered < episodes:
        raise InputError(
            f"--episodes={episodes} on {devices} devices are too few for a share of {share:.3g} "
            "rendered: use more, or change --rendered_weight (0 renders none)"
        )
    return rendered, episodes - rendered


def _parse(text: str) -> tuple[str, float]:
    """A folder and its weight."""
    folder, colon, weight = text.rpartition(":")
    if not colon:
        return text, 1.0
    try:
        value = float(weight)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"--datasets: {text!r} must end in a positive weight, as in FOLDER:0.5")
    return folder, value
