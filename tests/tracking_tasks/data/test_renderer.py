import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.constants import with_constants
from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer import (
    RendererConfig,
    casting,
    finish,
    layers,
    motion,
    raster,
    render,
)
from tracking_tasks.data.renderer.dice import Dice
from tracking_tasks.data.renderer.video import subframe_poses

SIDE, PHOTO, TILE = 64, 96, 32
TIMES = jnp.array([0.0, 15.0, 30.0, 45.0])
# A square object of 0.84 of its tile, 16.8 pixels wide in its photograph.
HALF = 10.0

NOTHING = (
    *("movement", "shake", "fast_move", "leave", "scale", "rotation", "tilt", "deformation"),
    *("camera", "appearance", "illumination", "shadow", "grey"),
    *("shutter", "softness", "noise", "compression"),
)
# Nothing happens: the frames of a video are all alike.
STILL = RendererConfig(
    side=SIDE,
    target_size=(0.25, 0.25),
    subframes=2,
    distractors=0,
    occluders=0,
    **dict.fromkeys(NOTHING, 0.0),
)
LIVELY = RendererConfig(side=SIDE, subframes=2, fast_move=0.5, leave=0.5)


def make_bank(objects=3, photos=2):
    """Blue photographs with a red square in the middle, which is also the object."""
    noise = np.random.default_rng(0).integers(0, 60, (photos, PHOTO, PHOTO, 3))
    pictures = noise + np.array([0, 0, 150])
    low, high = round(PHOTO / 2 - 0.84 * HALF), round(PHOTO / 2 + 0.84 * HALF)
    pictures[:, low:high, low:high] = [200, 0, 0]
    tile = np.zeros((objects, TILE, TILE, 4), np.uint8)
    edge = round(0.08 * TILE)
    tile[:, edge:-edge, edge:-edge] = [200, 0, 0, 255]
    return PhotoBank(
        photos=jnp.asarray(pictures, jnp.uint8),
        cutouts=jnp.asarray(tile),
        extent=jnp.full((objects, 2), 0.84),
        category=jnp.full(objects, -1, jnp.int32),
        photo=jnp.zeros(objects, jnp.int32),
        place=jnp.tile(jnp.array([PHOTO / 2, PHOTO / 2, HALF]), (objects, 1)),
        inside=jnp.ones(objects, bool),
    )


@pytest.fixture(scope="module")
def bank():
    return make_bank()


@pytest.fixture(scope="module")
def lively(bank):
    """Eight lively videos."""
    keys = jax.random.split(jax.random.key(0), 8)
    videos = [render(key, bank, LIVELY, TIMES) for key in keys]
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *videos)


def test_shapes_types_and_ranges(lively):
    assert lively.frames.shape == (8, 4, SIDE, SIDE, 3)
    assert lively.frames.dtype == jnp.uint8
    assert lively.boxes.shape == (8, 4, 4)
    assert (lively.boxes[..., 2:] >= 1).all()
    assert (lively.visible >= 0).all()
    assert (lively.visible <= 1).all()
    names = ["IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR"]
    assert sorted(lively.attributes) == sorted(names)
    assert all(flags.shape == (8, 4) for flags in lively.attributes.values())


@pytest.mark.full
def test_vmap_equals_loop_and_no_recompilation(bank):
    keys = jax.random.split(jax.random.key(0), 8)
    together = jax.vmap(lambda key: render(key, bank, LIVELY, TIMES))(keys)
    before = render._cache_size()
    for index, most in ((0, 1), (5, 0)):
        video = render(keys[index], bank, LIVELY, TIMES)
        assert render._cache_size() - before <= most
        before = render._cache_size()
        difference = np.abs(np.asarray(video.frames, int) - np.asarray(together.frames[index], int))
        assert np.mean(difference > 1) < 0.01
        np.testing.assert_allclose(video.boxes, together.boxes[index], atol=1.01)
        np.testing.assert_allclose(video.visible, together.visible[index], atol=0.02)


def test_by_default_the_whole_duration(bank):
    config = dataclasses.replace(STILL, duration=3.0)
    frames = jax.eval_shape(lambda key: render(key, bank, config).frames, jax.random.key(0))
    assert frames.shape == (3, SIDE, SIDE, 3)


def test_same_key_same_video(bank):
    first, again, other = (render(jax.random.key(seed), bank, LIVELY, TIMES) for seed in (3, 3, 4))
    assert (first.frames == again.frames).all()
    assert (first.frames != other.frames).any()


def test_a_frame_does_not_depend_on_the_other_times(bank):
    key = jax.random.key(5)
    video = render(key, bank, LIVELY, TIMES)
    turned = render(key, bank, LIVELY, TIMES[::-1])
    assert (video.frames == turned.frames[::-1]).all()
    assert (video.boxes == turned.boxes[::-1]).all()


@pytest.mark.parametrize("in_place", [0.0, pytest.param(1.0, marks=pytest.mark.full)])
def test_box_is_the_extent_of_what_is_seen(bank, in_place):
    config = dataclasses.replace(STILL, in_place=in_place)
    bank = bank.replace(photos=bank.photos if in_place else bank.photos.at[..., 0].set(0))
    for seed in range(3):
        video = render(jax.random.key(seed), bank, config, TIMES)
        frame = np.asarray(video.frames[0], int)
        red = frame[..., 0] > frame[..., 2]
        rows, columns = (np.flatnonzero(red.any(axis)) for axis in (1, 0))
        seen = [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
        np.testing.assert_allclose(video.boxes[0], seen, atol=1.01)
        if not in_place:
            np.testing.assert_allclose(video.boxes[0], [24, 24, 16, 16], atol=1.01)
        np.testing.assert_allclose(video.visible, 1.0, atol=0.02)
        assert (video.frames == video.frames[:1]).all()
        active = {name for name, flags in video.attributes.items() if flags.any()}
        # There are two photographs: a cut-out may happen to lie over its own.
        assert {"LR"} <= active <= ({"LR"} if in_place else {"LR", "BC"})


@pytest.mark.full
def test_visible_is_the_share_inside_the_frame(bank):
    config = dataclasses.replace(STILL, in_place=0.0, leave=1.0)
    times = jnp.linspace(0.0, 60.0, 31)
    shares = []
    for seed in range(4):
        video = render(jax.random.key(seed), bank, config, times)
        low, high = video.boxes[:, :2], video.boxes[:, :2] + video.boxes[:, 2:]
        sides = jnp.clip(high, 0, SIDE) - jnp.clip(low, 0, SIDE)
        share = sides.prod(-1) / video.boxes[:, 2:].prod(-1)
        np.testing.assert_allclose(video.visible, share, atol=0.1)
        assert (video.attributes["OV"] == (video.visible < 0.99)).all()
        shares.append(np.asarray(share))
    assert np.min(shares) == 0
    assert np.max(shares) == 1


def test_attributes_agree_with_the_boxes(lively):
    area = lively.boxes[..., 2] * lively.boxes[..., 3]
    assert (lively.attributes["LR"] == (area < 400)).all()
    ratio = np.abs(np.log(area / area[:, :1]))
    assert (lively.attributes["SV"] == (ratio > np.log(2))).all()
    centre = lively.boxes[..., :2] + lively.boxes[..., 2:] / 2
    gone = ((centre < -40) | (centre > SIDE + 40)).any(-1)
    assert (lively.visible[gone] == 0).all()


def test_pyramid_levels_are_means():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 4), np.uint8)
    atlas = raster.pyramid(jnp.asarray(image))
    points = raster.pixel_centres(4)
    texels = (points[0] * 4, points[1] * 4)
    quarter = raster.read(atlas, raster.texel_index(16, texels, jnp.asarray(2)))
    means = image.reshape(4, 4, 4, 4, 4).mean((1, 3))
    for index in range(4):
        np.testing.assert_allclose(raster.channel(quarter, index), means[..., index], atol=1.01)


@pytest.mark.parametrize("centre", [(20.0, 14.0), (1.0, 30.0)])  # within the frame, and across it
def test_a_bent_and_tilted_tile_equals_a_reading_in_float64(centre):
    tile = np.random.default_rng(0).integers(1, 256, (16, 16, 4), np.uint8)
    plane = motion.plane(jnp.array(centre), *map(jnp.asarray, (9.0, 0.4, 0.5, -0.3)))
    bend = np.random.default_rng(1).uniform(-0.25, 0.25, (5, 2)).astype(np.float32)
    warp = raster.Warp(motion.invert(plane), jnp.asarray(bend), jnp.asarray(0), jnp.asarray(1.0))
    index = raster.tile_index(16, warp, raster.pixel_centres(32))
    drawn = np.asarray(raster.read(raster.pyramid(jnp.asarray(tile)), index))

    x, y = np.meshgrid(*2 * [np.arange(32) + 0.5])
    x, y, depth = np.einsum(
        "ij,jhw->ihw", np.linalg.inv(np.asarray(plane, float)), np.stack([x, y, np.ones_like(x)])
    )
    x, y = x / depth, y / depth
    terms = np.stack([x * x, y * y, x * y, x * (x * x - 1), y * (y * y - 1)])
    fade = np.maximum(0, 1 - (x * x + y * y) / 6) ** 2
    x, y = np.stack([x, y]) + fade * np.einsum("ta,thw->ahw", bend.astype(float), terms)
    inside = (np.abs(x) < 1) & (np.abs(y) < 1)
    column, row = (np.clip(np.floor((line + 1) * 8), 0, 15).astype(int) for line in (x, y))
    wanted = np.where(inside, tile.view(np.uint32)[..., 0][row, column], 0)
    assert 100 < inside.sum() < 500
    assert np.mean(drawn != wanted) < 0.01  # some lie on the line between two pixels


@pytest.fixture(scope="module")
def still_life(bank):
    """What `draw_layers` takes for a target and an occluder, the former of 1, the latter of 2."""
    config = dataclasses.replace(STILL, occluders=1, occluder=1.0, in_place=0.0)
    scene = jax.jit(lambda key: casting.random_scene(Dice(key), bank, config))(jax.random.key(0))
    photo = raster.pyramid(jnp.full((PHOTO, PHOTO, 4), 3, jnp.uint8))
    fill = lambda value: raster.pyramid(jnp.full((TILE, TILE, 4), value, jnp.uint8))
    place = jax.jit(subframe_poses, static_argnums=2)
    poses, spots = place(scene, jnp.asarray(0.0), 3, scene.meeting[1])
    atlases = jnp.stack([fill(1), fill(2)])
    return scene, photo, atlases, poses, spots, raster.pixel_centres(SIDE)


def test_every_layer_shows_its_own_texture_where_it_is(still_life):
    scene, *others = still_life
    poses = others[2]
    photo, objects = jax.jit(layers.draw_layers)(*still_life)
    assert (photo == 0x03030303).all()
    for number, word in enumerate((0x01010101, 0x02020202)):
        layer = np.asarray(objects[:, number])
        assert set(np.unique(layer)) == {0, word}
        area = (2 * poses.scale[:, number]) ** 2
        np.testing.assert_allclose((layer > 0).sum((1, 2)), area, rtol=0.1)
    alone = dataclasses.replace(scene, present=jnp.array([True, False]))
    _, without = jax.jit(layers.draw_layers)(alone, *others)
    assert (without[:, 0] == objects[:, 0]).all()
    assert (without[:, 1] == 0).all()


def test_compositing_closed_form(still_life):
    """A half-transparent occluder over the left half of an opaque target over white."""
    scene = still_life[0]
    white = jnp.full((1, 4, 4), 0xFFFFFFFF, jnp.uint32)
    zero, full = jnp.zeros((4, 4)), jnp.full((4, 4), 255.0)
    target = raster.pack([full, zero, zero, full])
    left = jnp.where(jnp.arange(4) < 2, jnp.full((4, 4), 51.0), 0.0)
    occluder = raster.pack([zero, zero, left, left])
    red, green, blue, mask = layers.composite(scene, white, jnp.stack([target, occluder])[None])
    np.testing.assert_allclose(mask[0], [0.8, 0.8, 1, 1], atol=1e-6)
    np.testing.assert_allclose(red[0], [0.8, 0.8, 1, 1], atol=1e-6)
    np.testing.assert_allclose(green, 0, atol=1e-6)
    np.testing.assert_allclose(blue[0], [0.2, 0.2, 0, 0], atol=1e-6)


def test_no_gather_is_fused_with_what_leads_to_its_indices(still_life):
    leaves, tree = jax.tree.flatten(still_life)
    draw = jax.jit(lambda *leaves: layers.draw_layers(*jax.tree.unflatten(tree, leaves)))
    computations = draw.lower(*leaves).compile().as_text().split("\n\n")
    fused = [part for part in computations if "fused" in part.partition("(")[0]]
    gathers = [part for part in fused if " gather(" in part]
    assert gathers
    assert any(" multiply(" in part for part in fused)
    assert not any(" multiply(" in part for part in gathers)


def test_homography_and_its_inverse():
    matrix = motion.plane(
        jnp.array([30.0, 20.0]), *(jnp.asarray(v) for v in (12.0, 0.4, 0.5, -0.3))
    )
    np.testing.assert_allclose(motion.project(matrix, jnp.zeros(2)), [30, 20], rtol=1e-6)
    point = jnp.array([0.3, -0.7])
    back = motion.project(motion.invert(matrix), motion.project(matrix, point))
    np.testing.assert_allclose(back, point, atol=1e-5)


def test_curves_stay_within_one_and_are_smooth():
    curve = motion.random_curve(Dice(jax.random.key(0)), (50,))
    values = jax.vmap(curve)(jnp.arange(0.0, 300.0))
    assert jnp.abs(values).max() <= 1
    assert jnp.ptp(values, axis=0).mean() > 0.5
    assert jnp.abs(jnp.diff(values, axis=0)).max() < 2 * jnp.pi / 25


def test_dice():
    dice = Dice(jax.random.key(0))
    normal = dice.normal((4000,))
    np.testing.assert_allclose([normal.mean(), normal.std()], [0, 1], atol=0.05)
    chosen = dice.choose(jnp.array([0.0, 1.0, 0.0, 3.0, 0.0]), (4000,))
    counts = np.bincount(chosen, minlength=5)
    assert counts[[0, 2, 4]].sum() == 0
    np.testing.assert_allclose(counts[3] / 4000, 0.75, atol=0.03)
    assert set(np.asarray(dice.index(3, (100,)))) == {0, 1, 2}


def test_grain_is_white_with_unit_variance():
    grain = np.asarray(finish.grain(jax.random.key(0), 64, 64)).astype(float)
    np.testing.assert_allclose([grain.mean(), grain.std()], [0, 1], atol=0.03)
    assert abs(np.mean(grain[:, :, 1:] * grain[:, :, :-1])) < 0.03
    assert abs(np.mean(grain[0] * grain[1])) < 0.05


def test_softening_keeps_the_mean_and_spreads():
    image = jnp.zeros((1, 32, 32)).at[0, 16, 16].set(1.0)
    soft = finish.soften(image, jnp.asarray(1.2))[0]
    np.testing.assert_allclose(soft.sum(), 1.0, rtol=1e-5)
    offsets = jnp.arange(32) - 16.0
    np.testing.assert_allclose((soft.sum(0) * offsets**2).sum(), 1.2**2, rtol=0.03)


def test_compression_keeps_luma_at_step_zero_and_loses_detail_after():
    image = jax.random.uniform(jax.random.key(0), (3, 16, 16)) * 255
    np.testing.assert_allclose(
        finish.luma(finish.compress(image, jnp.asarray(0.0))), finish.luma(image), atol=0.1
    )
    coarse = finish.luma(finish.compress(image, jnp.asarray(5000.0)))
    blocks = np.asarray(coarse).reshape(2, 8, 2, 8)
    np.testing.assert_allclose(np.ptp(blocks, axis=(1, 3)), 0, atol=1e-2)


# Each strength, and the attributes that it may bring about; the first it must.
CAUSES = {
    "illumination": ["IV"],
    "shadow": ["IV"],
    "appearance": ["IV"],
    "scale": ["SV", "LR"],
    "occluder": ["OCC"],
    "deformation": ["DEF"],
    "movement": ["MB", "FM", "OV"],
    "fast_move": ["FM", "MB", "OV"],
    "rotation": ["IPR"],
    "tilt": ["OPR", "SV", "LR"],
    "leave": ["OV", "FM", "MB"],
    "clutter": ["BC"],
    "distractor": ["BC"],
}


@pytest.fixture(scope="module")
def shares(bank):
    """Of composed videos, the share of frames with each attribute, as strengths are raised."""
    # The other photograph is the one that no object comes from.
    bank = bank.replace(photo=jnp.ones(len(bank.photo), jnp.int32))
    base = dataclasses.replace(STILL, in_place=0.0, shutter=1.0, distractors=1, occluders=1)
    base = dataclasses.replace(base, target_size=(0.4, 0.4))

    @jax.jit
    def measure(strengths):
        # Strengths are static in `render`; traced ones need one compilation for all.
        config = with_constants(base, strengths)
        keys = jax.random.split(jax.random.key(0), 12)
        times = jnp.arange(0.0, 60.0, 3.0)
        draw = lambda key: render.__wrapped__(key, bank, config, times).attributes
        return jax.tree.map(jnp.mean, jax.lax.map(draw, keys))

    none = dict.fromkeys(CAUSES, 0.0)
    raised = {name: measure(none | {name: 1.0}) for name in CAUSES}
    return {"nothing": measure(none), **raised}


@pytest.mark.full
@pytest.mark.parametrize("strength", CAUSES)
def test_each_strength_brings_its_attributes(shares, strength):
    # With all strengths at zero there is BC where a photograph happens to be the object's own.
    added = {
        name for name, share in shares[strength].items() if share > shares["nothing"][name] + 1e-6
    }
    assert CAUSES[strength][0] in added
    assert added <= set(CAUSES[strength])


@pytest.mark.full
def test_without_strengths_only_a_shared_photograph_is_cluttered(shares):
    holds = {name for name, share in shares["nothing"].items() if share > 0}
    assert holds <= {"BC"}
    assert shares["nothing"]["BC"] < 1
    assert shares["clutter"]["BC"] == 1
