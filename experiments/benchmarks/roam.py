"""ROAM: what a step of its meta-training takes, in memory too, and an online update."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import metaopt
from basics.leaves import is_part, named_leaves, with_leaves
from experiments.benchmarks.noise import started_on_noise
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved
from experiments.meta_training.policies import policy_of
from models import Features
from models.backbone import STRIDE
from tracking_tasks.episode import Episode
from tracking_tasks.trackers.roam.config import ROAMConfig
from tracking_tasks.trackers.roam.model import ResizableConfig
from tracking_tasks.trackers.roam.tracker import ROAM


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is measured.

    Attributes:
        clips: of a step of meta-training; each of `blocks * block` frames and one.
        trackers: configs, of meta-training and of the online update.
    """

    clips: int
    trackers: tuple[ROAMConfig, ...]


_PAPER = ResizableConfig(channels=80, filter_size=21, support=31)  # 200,000 coordinates
_TINY = ResizableConfig(channels=2, filter_size=3, support=3)
PRESETS = {
    "smoke": Preset(2, (ROAMConfig(crop_size=64, model=_TINY, blocks=2, block=1),)),
    "full": Preset(4, (ROAMConfig(blocks=6, block=5), ROAMConfig(model=_PAPER, blocks=6, block=5))),
}


def run(preset: str, repeats: int) -> Report:
    """Measures the trackers of a preset."""
    chosen = PRESETS[preset]
    rows = [row for config in chosen.trackers for row in _measure(config, chosen.clips, repeats)]
    return Report(rows, ["memory: arguments, result, and what XLA sets aside for the call."])


def _measure(config: ROAMConfig, clips: int, repeats: int) -> list[Comparison]:
    tracker = ROAM.create(config=config)
    coordinates = sum(leaf.size for leaf in jax.tree.leaves(tracker.initial))
    step, state = _outer_step(tracker)
    episodes = random_episodes(tracker, clips)
    frames = 1 + config.blocks * config.block
    programs = {
        f"outer step, {clips} clips of {frames} frames": _compiled(step, tracker, state, episodes),
        f"online update, {config.update_steps} steps": _compiled(
            ROAM.update, tracker, _tracking(tracker)
        ),
    }
    calls = {name: functools.partial(program, *flat) for name, (program, flat) in programs.items()}
    measured = interleaved(calls, repeats, f"{coordinates} coordinates")
    return [
        Comparison(
            {"coordinates": coordinates, "computation": name},
            {"time": measured[name]},
            {"memory, MB": memory(program) / 1e6},
        )
        for name, (program, _) in programs.items()
    ]


def _compiled(
    function: Callable[..., Any], *arguments: Any
) -> tuple[jax.stages.Compiled, list[jax.Array]]:
    """A program and the leaves that it takes."""
    flat, structure = jax.tree.flatten(arguments)
    program = jax.jit(lambda *leaves: function(*jax.tree.unflatten(structure, leaves)))
    return program.lower(*flat).compile(), flat


def memory(program: jax.stages.Compiled) -> int:
    """The bytes of a call: arguments, result, and what is set aside."""
    analysis = program.memory_analysis()
    assert analysis is not None  # every backend of ours has one
    return (
        analysis.temp_size_in_bytes
        + analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
    )


def _outer_step(tracker: ROAM):
    """A step of meta-training and the state that it starts from."""
    transformation, at_once = optax.adam(1e-3), policy_of(tracker.name).microbatch
    leaves = named_leaves(tracker)
    learned = {name: leaf for name, leaf in leaves.items() if not is_part(name, ("backbone",))}

    def step(tracker: ROAM, state: metaopt.OuterState, episodes: Episode):
        loss = lambda learned, episode: with_leaves(tracker, learned).outer_loss(episode)
        return metaopt.outer_step(loss, transformation, state, episodes, at_once)

    return step, metaopt.OuterState.create(learned, transformation)


def random_episodes(tracker: ROAM, count: int) -> Episode:
    """Clips of noise in place of the backbone's features, with the target in the middle."""
    config = tracker.config
    cells, side = config.crop_size // STRIDE, config.crop_size / config.search_factor
    box = jnp.array([(config.crop_size - side) / 2] * 2 + [side] * 2)
    keys = jax.random.split(jax.random.key(0))

    def part(key: jax.Array, frames: int) -> tuple[Features, jax.Array, jax.Array]:
        fine, coarse = tracker.backbone.channels
        return (
            Features(
                jax.random.normal(key, (count, frames, cells, cells, fine)),
                jax.random.normal(key, (count, frames, cells // 2, cells // 2, coarse)),
            ),
            jnp.broadcast_to(box, (count, frames, 4)),
            jnp.full((count, frames), 1 / frames),
        )

    return Episode(
        *part(keys[0], len(config.views)),
        *part(keys[1], config.blocks * config.block),
        jax.random.split(keys[0], count),
    )


def _tracking(tracker: ROAM):
    """An online state with a full memory, on noise."""
    state, _ = started_on_noise(tracker)
    memory = state.memory
    return state.replace(memory=memory.replace(stored=jnp.array(len(memory.samples["boxes"]))))
