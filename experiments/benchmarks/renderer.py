"""The video renderer: frames a second, what its parts cost, and how far that is from the least.

Videos one after the other (`lax.map` over keys, as on a CPU) are compared with all of them at once
(`vmap`, as on a GPU).
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.report import Comparison, Report, plot
from experiments.benchmarks.timing import Measurement, interleaved, read
from tracking_tasks.data.photos import PhotoBank, load_bank
from tracking_tasks.data.renderer import RendererConfig, finish, layers, light, raster, render
from tracking_tasks.data.renderer.casting import random_scene
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.data.renderer.video import subframe_poses, textures

_LARGE = 2**28  # bytes, more than any cache holds
_MATRIX = 1024  # side of the matrices whose product measures arithmetic
# Per sample of a layer: homography 14, deformation 38, texel 10, blending of four channels 12.
_OPERATIONS = 74


@dataclasses.dataclass(frozen=True)
class Case:
    """How much is rendered.

    Attributes:
        videos: keys.
        frames: of each video.
        subframes: samples of an exposure.
        objects: at most that many, the target included.
    """

    videos: int
    frames: int
    subframes: int
    objects: int

    def config(self, side: int) -> RendererConfig:
        """The renderer's default, with that many objects."""
        others = self.objects - 1
        return dataclasses.replace(
            RendererConfig(),
            side=side,
            subframes=self.subframes,
            occluders=min(others, 1),
            distractors=max(others - 1, 0),
        )


@dataclasses.dataclass(frozen=True)
class Preset:
    """The problems; the first case is taken apart.

    Attributes:
        side: of the frames in pixels.
        photo_side: of the photographs.
        cases: how much is rendered.
    """

    side: int
    photo_side: int
    cases: tuple[Case, ...]


PRESETS = {
    "smoke": Preset(64, 96, (Case(2, 2, 1, 1),)),
    "full": Preset(
        192,
        320,
        (
            Case(8, 6, 4, 4),  # as in meta-training: few frames of many videos
            Case(1, 48, 4, 4),
            Case(8, 6, 1, 4),
            Case(8, 6, 8, 4),
            Case(8, 6, 4, 1),
        ),
    ),
}


def run(preset: str, repeats: int) -> Report:
    """Times every case of a preset in both ways, and the parts of the first."""
    sizes = PRESETS[preset]
    bank = load_bank(side=sizes.photo_side)
    calls: dict[Hashable, Callable[[], Any]] = {"bytes": read(_LARGE), "operations": _product()}
    for case in sizes.cases:
        keys = jax.random.split(jax.random.key(0), case.videos)
        times = jnp.linspace(0.0, 59.0, case.frames)
        for way, function in _WAYS.items():
            calls[case, way] = functools.partial(
                function, keys, bank, case.config(sizes.side), times
            )
    parts = _parts(bank, sizes.cases[0].config(sizes.side))
    measured = interleaved(calls | dict(parts), repeats, "renderer")
    bandwidth = _LARGE / measured["bytes"].minimum
    arithmetic = 2 * _MATRIX**3 / measured["operations"].minimum
    rows = [
        _row(case, sizes.side, {way: measured[case, way] for way in _WAYS}, bandwidth, arithmetic)
        for case in sizes.cases
    ]
    whole = sum(measured[name].minimum for name in parts)
    shares = [
        Comparison(
            case={"part": name},
            times={"one frame": measured[name]},
            numbers={"share": measured[name].minimum / whole},
        )
        for name in parts
    ]
    notes = _notes(sizes, bandwidth, arithmetic)
    figures = {
        "times": plot(Report(rows, notes), "Rendering"),
        "parts": plot(Report(shares, notes), "One frame"),
    }
    return Report([*rows, *shares], notes, figures)


def _row(
    case: Case,
    side: int,
    times: dict[str, Measurement],
    bandwidth: float,
    arithmetic: float,
) -> Comparison:
    frames = case.videos * case.frames
    floor = frames * max(
        least_bytes(case, side) / bandwidth, least_operations(case, side) / arithmetic
    )
    one, other = (np.asarray(time.output, int) for time in times.values())
    fastest = min(time.minimum for time in times.values())
    return Comparison(
        case=dataclasses.asdict(case),
        times=times,
        numbers={
            "frames/s": frames / fastest,
            "floor, ms": 1e3 * floor,
            "fastest / floor": fastest / floor,
            "unlike": float(np.mean(np.abs(one - other).max(-1) > 1)),
        },
    )


def least_bytes(case: Case, side: int) -> int:
    """Bytes that any renderer of this kind moves for a frame: samples read once, pixels written."""
    samples = case.subframes * (1 + case.objects) * side**2
    return 4 * samples + 3 * side**2


def least_operations(case: Case, side: int) -> int:
    """Operations in floating point for a frame: where each sample lies, and its blending."""
    return _OPERATIONS * case.subframes * (1 + case.objects) * side**2


def _one_by_one(keys: Any, bank: PhotoBank, config: RendererConfig, times: Any) -> Any:
    return jax.lax.map(lambda key: render(key, bank, config, times).frames, keys)


def _at_once(keys: Any, bank: PhotoBank, config: RendererConfig, times: Any) -> Any:
    return jax.vmap(lambda key: render(key, bank, config, times).frames)(keys)


_WAYS = {
    "one by one": jax.jit(_one_by_one, static_argnames="config"),
    "at once": jax.jit(_at_once, static_argnames="config"),
}


def _parts(bank: PhotoBank, config: RendererConfig) -> dict[str, Callable[[], Any]]:
    """Each part of a frame on its own; the first is done once a video."""
    time = jnp.asarray(30.0)
    points = raster.pixel_centres(config.side)

    @jax.jit
    def cast(key: Any, bank: PhotoBank) -> Any:
        dice = Dice(key)
        scene = random_scene(dice, bank, config)
        shining = light.random_light(dice, scene, config)
        sensor = finish.random_sensor(dice, key, scene.photo, config)
        return scene, shining, sensor, textures(scene)

    scene, shining, sensor, (photo, atlases) = cast(jax.random.key(1), bank)
    place = jax.jit(subframe_poses, static_argnums=2)
    poses, spots = place(scene, sensor.shutter, config.subframes, time)
    drawn = jax.jit(layers.draw_layers)(scene, photo, atlases, poses, spots, points)
    image = jnp.stack(jax.jit(layers.composite)(scene, *drawn)[:3])
    measure = jax.jit(layers.extent, static_argnums=3)
    shine = jax.jit(light.illumination, static_argnums=2)
    return {
        "scene (once a video)": functools.partial(cast, jax.random.key(1), bank),
        "poses": functools.partial(place, scene, sensor.shutter, config.subframes, time),
        "recolour": functools.partial(jax.jit(light.recolour), shining, atlases, time),
        "draw layers": functools.partial(
            jax.jit(layers.draw_layers), scene, photo, atlases, poses, spots, points
        ),
        "composite": functools.partial(jax.jit(layers.composite), scene, *drawn),
        "light": functools.partial(shine, shining, points, config.side, time),
        "box, visible share": functools.partial(
            measure, scene, atlases[scene.target], spots, config.side, time
        ),
        "blur, noise, compression": functools.partial(jax.jit(finish.expose), sensor, image, time),
    }


def _product() -> Callable[[], jax.Array]:
    matrix = jnp.ones((_MATRIX, _MATRIX))
    multiply = jax.jit(lambda a: jnp.dot(a, a, precision="highest"))
    return lambda: multiply(matrix)


def _notes(sizes: Preset, bandwidth: float, arithmetic: float) -> list[str]:
    return [
        f"Frames of {sizes.side}x{sizes.side}; the photographs of scikit-image; ratios and "
        "frames/s are of the faster way's minimum.",
        f"floor: the larger of bytes / {bandwidth / 1e9:.3g} GB/s (every sample of every layer "
        f"read once, every pixel written) and operations / {arithmetic / 1e9:.4g} GFLOP/s "
        f"({_OPERATIONS} a sample); both rates measured here.",
        "unlike: share of pixels by which the two ways differ by more than one grey level.",
        "parts: one frame of the first case, each part compiled by itself, so that what XLA would "
        "fuse is written and read again.",
    ]
