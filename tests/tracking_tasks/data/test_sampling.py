"""Clips from packed data sets: which frames are drawn, what is cut from them, in which order."""

import collections
import dataclasses
import io

import grain
import jax
import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data import packed, sampling
from tracking_tasks.data.episodes import Clip, cut_episodes
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.episode import EpisodeConfig

CONFIG = EpisodeConfig(crop_size=32, support=2, query=2, segment=10.0)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_support_comes_from_the_first_half_of_a_segment_and_query_from_the_second():
    starts = collections.Counter()
    for seed in range(400):
        chosen = sampling.choose_frames(generator(seed), np.ones(30, bool), CONFIG)
        support, query = chosen[:2], chosen[2:]
        assert support[0] < support[1] < query[0] < query[1]
        assert query[1] - support[0] < 10 and support[1] - support[0] < 5
        assert query[1] - query[0] < 5
        starts[int(support[0])] += 1
    # 21 segments; the first support frame is at most 3 frames into one.
    assert min(starts) == 0 and max(starts) == 23 and max(starts.values()) < 400 * 2 / 21


def test_a_clip_is_of_frames_in_order_at_equal_distances():
    config = dataclasses.replace(CONFIG, in_order=True, segment=12.0)
    seen = np.arange(40) % 2 == 0
    starts = set()
    for seed in range(100):
        chosen = sampling.choose_frames(generator(seed), seen, config)
        assert seen[chosen].all()
        np.testing.assert_array_equal(np.diff(chosen), 6)  # every third of those that show it
        starts.add(int(chosen[0]))
    assert starts == set(range(0, 18, 2))
    few = sampling.choose_frames(generator(), np.arange(40) < 3, config)
    np.testing.assert_array_equal(few, [0, 0, 1, 2])


def test_only_frames_that_show_the_target_are_drawn():
    for seed in range(100):
        seen = generator(seed).random(25) < 0.3
        if seen.sum() < 2:
            continue
        chosen = sampling.choose_frames(generator(seed), seen, CONFIG)
        assert seen[chosen].all()
        assert chosen[:2].max() <= chosen[2:].min()


@pytest.mark.parametrize(
    ("shown", "count", "support", "query"),
    [
        ([0], 1, {0}, {0}),  # a still
        ([7], 40, {7}, {7}),
        ([3, 30], 40, {3}, {30}),  # too far apart for one segment
        ([0, 1], 2, {0}, {1}),
        ([0, 1, 2], 3, {0, 1}, {1, 2}),
        ([0, 1, 2, 3], 100, {0, 1}, {2, 3}),  # all in the first half of the first segment
    ],
)
def test_few_frames_are_used_as_they_can_be(shown, count, support, query):
    seen = np.isin(np.arange(count), shown)
    drawn = [sampling.choose_frames(generator(seed), seen, CONFIG) for seed in range(50)]
    assert {int(f) for chosen in drawn for f in chosen[:2]} == support
    assert {int(f) for chosen in drawn for f in chosen[2:]} == query


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=95)
    return file.getvalue()


def slope(width, height):
    """A picture whose red grows with x from 0 to 255 and whose green with y."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 255, width)
    picture[..., 1] = np.linspace(0, 255, height)[:, None]
    return picture


@pytest.mark.parametrize(
    "box", [[40, 30, 16, 9], [300, 100, 60, 80], [0, 0, 20, 10], [5, 5, 500, 400]]
)
def test_the_window_shows_the_target_where_it_says(box):
    width, height = 640, 480
    box = np.float32(box)
    window = sampling.Window(reach=4.0, size=96)
    pixels, extent, moved = window.cut(encoded(slope(width, height)), box)
    assert pixels.shape == (96, 96, 3) and (extent <= 96).all()
    assert not pixels[extent[1] :].any() and not pixels[:, extent[0] :].any()
    x, y = moved[:2] + moved[2:] / 2
    red, green, _ = pixels[int(y), int(x)]
    center = box[:2] + box[2:] / 2
    assert red == pytest.approx(255 * center[0] / width, abs=4)
    assert green == pytest.approx(255 * center[1] / height, abs=4)
    # At most 96 pixels for four roots of the area, and never enlarged.
    scale = np.sqrt(moved[2:].prod() / box[2:].prod())
    assert scale == pytest.approx(min(1.0, 96 / max(extent / scale)), rel=0.02)


def test_the_window_of_a_configuration_holds_its_crops():
    window = sampling.Window.of(EpisodeConfig())
    # The query's crop at two deviations, off by 3/10 of its side on both sides: 5 e^0.5 1.6.
    assert window.reach == pytest.approx(5 * np.exp(0.5) * 1.6)
    assert window.size == 512 and window.size >= window.reach * 192 / 5


def test_episodes_from_windows_are_those_from_whole_frames():
    picture = generator().integers(0, 255, (8, 12, 3), np.uint8)
    frame = np.asarray(Image.fromarray(picture).resize((120, 80), Image.Resampling.BICUBIC))
    boxes = np.float32([[40 + 8 * i, 30, 9, 7] for i in range(4)])
    file = encoded(frame)
    decoded = np.asarray(Image.open(io.BytesIO(file)))
    window = sampling.Window.of(EpisodeConfig(crop_size=64))
    cut = [window.cut(file, box) for box in boxes]
    assert all((extent < (120, 80)).any() for _, extent, _ in cut)

    clip = Clip(*map(np.stack, zip(*cut, strict=True)), np.ones(4, np.float32))
    whole = Clip(np.stack([decoded] * 4), np.int32([[120, 80]] * 4), boxes, clip.visible)
    seeds = np.arange(3, dtype=np.uint32)
    episodes = [
        cut_episodes(seeds, jax.tree.map(lambda leaf: np.stack([leaf] * 3), one), CONFIG)
        for one in (clip, whole)
    ]
    for name in ("support_images", "support_boxes", "query_images", "query_boxes"):
        np.testing.assert_allclose(*(getattr(one, name) for one in episodes), atol=2e-2)
    assert np.abs(episodes[0].query_images[0] - episodes[0].query_images[1]).mean() > 1
    np.testing.assert_allclose(episodes[0].support_weights, 0.5)


def pack(folder, level, count):
    """Packs videos whose grey level says which they are: `level`, `level + 5`, ..."""
    videos = []
    for index in range(count):
        frames = tuple(np.full((30, 40, 3), level + 5 * index, np.uint8) for _ in range(8))
        videos.append(Sequence(str(index), frames, np.float32([[9, 9, 8, 8]] * 8)))
    packed.pack(videos, folder, name=folder.name)
    return packed.PackedDataset(folder)


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    root = tmp_path_factory.mktemp("packed")
    return [pack(root / "dark", 20, 5), pack(root / "light", 150, 3)]


def levels(rows, count):
    return [int(np.rint(rows[i][1].frames[0, :20, :20].mean() / 5)) * 5 for i in range(count)]


def assert_same(left, right):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("backwards", [0.0, 1.0])
def test_a_video_is_played_in_the_direction_asked_for(tmp_path, backwards):
    frames = tuple(np.full((30, 40, 3), 20 + 10 * i, np.uint8) for i in range(8))
    video = Sequence("brightening", frames, np.float32([[9, 9, 8, 8]] * 8))
    packed.pack([video], tmp_path / "one", name="one")
    config = dataclasses.replace(CONFIG, backwards=backwards)
    rows = sampling.clips([packed.PackedDataset(tmp_path / "one")], [1.0], config, seed=0)
    for index in range(10):
        change = np.diff(rows[index][1].frames[:, 0, 0, 0].astype(int))
        assert (change < 0).all() if backwards else (change > 0).all()


def test_every_pass_draws_each_sequence_once_in_another_order(datasets):
    drawn = levels(sampling.clips(datasets[:1], [1.0], CONFIG, seed=0), 30)
    passes = [tuple(drawn[i : i + 5]) for i in range(0, 30, 5)]
    assert all(sorted(one) == [20, 25, 30, 35, 40] for one in passes)
    assert len(set(passes)) > 1


def test_data_sets_take_turns_by_their_weights(datasets):
    drawn = levels(sampling.clips(datasets, [1.5, 0.5], CONFIG, seed=0), 40)
    assert [level < 100 for level in drawn].count(True) == 30
    assert all(5 <= [level < 100 for level in drawn[i : i + 8]].count(True) <= 7 for i in range(32))


def test_a_clip_is_a_function_of_its_number_and_the_seed(datasets):
    rows = sampling.clips(datasets, [1.0, 1.0], CONFIG, seed=3)
    again = sampling.clips(datasets, [1.0, 1.0], CONFIG, seed=3)
    other = sampling.clips(datasets, [1.0, 1.0], CONFIG, seed=4)
    for number in (12, 3, 3, 700):
        assert_same(rows[number], again[number])
    assert [int(rows[i][0]) for i in range(8)] != [int(other[i][0]) for i in range(8)]
    assert len({int(rows[i][0]) for i in range(40)}) == 40
    ahead = grain.ReadOptions(num_threads=3, prefetch_buffer_size=5)
    for number, clip in zip(range(6), rows.to_iter_dataset(ahead), strict=False):
        assert_same(clip, rows[number])


def test_targets_that_are_hardly_seen_count_for_nothing(tmp_path):
    frames = tuple(np.full((30, 40, 3), 80, np.uint8) for _ in range(4))
    visible = np.float32([0.1, 0.2, 0, 0.2])
    videos = [Sequence("a", frames, np.float32([[9, 9, 8, 8]] * 4), visible=visible)]
    packed.pack(videos, tmp_path / "out", name="rare")
    dataset = packed.PackedDataset(tmp_path / "out")
    seed, clip = sampling.clips([dataset], [1.0], CONFIG, seed=0)[0]
    np.testing.assert_allclose(clip.visible, 0.2)
    batch = jax.tree.map(lambda leaf: np.stack([leaf]), (seed, clip))
    np.testing.assert_array_equal(cut_episodes(*batch, CONFIG).query_weights, 0)


def test_damage_met_while_reading_ahead_is_a_sentence(tmp_path):
    dataset = pack(tmp_path / "grey", 50, 2)
    (path,) = (tmp_path / "grey" / "frames").rglob("*array_record*")
    data = bytearray(path.read_bytes())
    data[100:20000] = bytes(19900)
    path.write_bytes(data)
    rows = sampling.clips([dataset], [1.0], CONFIG, seed=0)
    ahead = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    with pytest.raises(InputError, match=r"grey is damaged, record \d+ cannot be read: pack"):
        for _, _ in zip(range(8), rows.to_iter_dataset(ahead), strict=False):
            pass
