"""What DiMP's own analysis varies (Tables 2 and 3): online update, initializer, fine-tuning."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tracking_tasks
from basics.errors import InputError
from basics.leaves import named_leaves
from experiments.meta_training import training
from models import Features, IoUPredictor, Modulation
from models.backbone import CENTERED_GRID, SAME_GRID
from models.heads.filter_head import fuse
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import Tiny, make
from tests.tracking_tasks.trackers.dimp.episodes import batches, small_episode
from tracking_tasks import checkpoints
from tracking_tasks.trackers.base import Adaptation
from tracking_tasks.trackers.dimp.iou import IoURefiner
from tracking_tasks.trackers.dimp.loss import FilterSamples
from tracking_tasks.trackers.dimp.refinement import IoUConfig
from tracking_tasks.trackers.dimp.tracker import DiMP

init = jax.jit(lambda tracker, frame, box: tracker.init(frame, box))
step = jax.jit(lambda tracker, state, frame: tracker.step(state, frame)[0])


def states(tracker, count=3):
    """The online state after the first frame and after each of the next, the target at rest."""
    images, boxes = video(1)
    found = [init(tracker, frame(images[0]), jnp.asarray(boxes[0]))]
    for _ in range(count):
        found.append(step(tracker, found[-1], frame(images[0])))
    return found


@pytest.mark.full
def test_without_update_the_filter_stays_that_of_the_first_frame():
    filters = [state.target_filter for state in states(make(update="none"))]
    assert all(jnp.array_equal(one, filters[0]) for one in filters)


def test_the_fit_updates_at_its_interval():
    filters = [state.target_filter for state in states(make())]
    changed = [bool(jnp.any(a != b)) for a, b in zip(filters[1:], filters[:-1], strict=True)]
    assert changed == [False, True, False]


@pytest.mark.full
def test_averaging_mixes_in_what_the_frame_alone_predicts():
    tracker = make(update="average", learning_rate=0.1)
    first, second = states(tracker, 1)
    stored = states(make(), 1)[1].memory  # the same frame, seen from the same place
    sample = {name: leaf[first.memory.initial] for name, leaf in stored.samples.items()}
    one = FilterSamples(**jax.tree.map(lambda leaf: leaf[None], sample), weights=jnp.ones(1))
    size = jnp.full(2, tracker.config.target_cells)
    box = jnp.concatenate([sample["centers"] - size / 2, size])[None]

    @jax.jit
    def predict(tracker):
        start = tracker.head.initial_filter(one.features, box, one.weights)
        return tracker.fit(start, one, tracker.config.train_steps).params

    predicted = predict(tracker)
    expected = 0.9 * first.target_filter + 0.1 * predicted
    assert jnp.abs(second.target_filter - first.target_filter).max() > 0.01
    np.testing.assert_allclose(second.target_filter, expected, atol=1e-4)


@pytest.mark.full
def test_without_initializer_the_fit_starts_from_zero():
    small = small_episode()
    adapt = jax.jit(lambda tracker: tracker.adapt(small, 1))
    with_zero, with_initial = adapt(make(initializer=False)), adapt(make())

    @jax.jit
    def residuals_of_zero(tracker):
        boxes = tracker.backbone.grid.boxes_to_cells(small.support_boxes)
        features = tracker.head(tracker.backbone(small.support_images))
        samples = FilterSamples(features, boxes[:, :2] + boxes[:, 2:] / 2, small.support_weights)
        return tracker.loss(jnp.zeros((5, 5, 10)), samples)[0]

    residuals = residuals_of_zero(make(initializer=False))
    assert with_zero.inner_losses[0] == pytest.approx(float(0.5 * jnp.sum(residuals**2)), rel=1e-4)
    assert with_zero.inner_losses[1] < with_zero.inner_losses[0]
    assert with_initial.inner_losses[0] != pytest.approx(float(with_zero.inner_losses[0]), rel=1e-3)


@pytest.mark.parametrize("grid", [SAME_GRID, CENTERED_GRID])
def test_both_levels_of_the_fused_grid_see_the_same_place(grid):
    cells = np.arange(16.0)
    coarse = 2 * np.arange(8.0) + grid.coarse_origin  # where its cells lie, in fine cells
    ramp = lambda at: jnp.asarray(np.stack(np.broadcast_arrays(at[:, None], at), -1)[None])
    fused = fuse(Features(ramp(cells), ramp(coarse)), grid)[0]
    inner = slice(1, 15)
    fine, upsampled = (fused[inner, inner, part] for part in (slice(2), slice(2, 4)))
    ratio = upsampled / fine  # both were scaled as a whole
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-5)


class Twice(IoUPredictor):
    """A predictor that likes boxes twice as wide as high, wherever they are."""

    def __init__(self):
        pass

    def modulation(self, reference, box):
        return Modulation(jnp.zeros(1), jnp.zeros(1))

    def query(self, features, modulation):
        return features.fine[..., :1], features.coarse[..., :1]

    def __call__(self, maps, box):
        return -((jnp.log(box[2] / box[3]) - jnp.log(2.0)) ** 2)


@pytest.mark.full
def test_the_box_takes_the_shape_of_largest_predicted_overlap_little_by_little():
    tracker = make(box_estimation="overlap", iou=IoUConfig(size_lr=1.0, aspect_lr=1.0))
    tracker = tracker.replace(refiner=tracker.refiner.replace(predictor=Twice()))
    images, boxes = video(1)
    state = init(tracker, frame(images[0]), jnp.asarray(boxes[0]))
    # It would like the first frame's box so too, which is taken off what it says later.
    np.testing.assert_allclose(state.reference.factor[0] / state.reference.factor[1], 2.0, rtol=0.1)
    state = state.replace(reference=state.reference._replace(factor=jnp.ones(2)))
    sizes = [state.size]
    for _ in range(6):
        state = step(tracker, state, frame(images[0]))
        sizes.append(state.size)
    sizes = np.stack(sizes)
    assert np.abs(np.log(sizes[1:] / sizes[:-1])).max() < np.log(1.2501)
    assert sizes[-1, 0] / sizes[-1, 1] == pytest.approx(2.0, rel=0.1)


# Changed scales are favoured, so that every search over them changes the size.
SEARCH = {"scales": (0.8, 1.0, 1.25), "scale_penalty": 5.0, "scale_lr": 0.5, "scale_interval": 3}


def test_the_scales_are_searched_at_their_interval():
    sizes = [state.size for state in states(make(box_estimation="scale_search", **SEARCH), 6)]
    factors = np.stack(sizes[1:])[:, 0] / np.stack(sizes[:-1])[:, 0]
    np.testing.assert_allclose(factors[[0, 1, 3, 4]], 1, rtol=1e-5)
    changes = np.abs(factors[[2, 5], None] - [0.9, 1.125])
    assert changes.min(1).max() < 1e-5


@pytest.mark.full
def test_a_step_sees_what_following_the_searched_crops_does():
    tracker = make(box_estimation="scale_search", **SEARCH)
    look = lambda tracker, state, frame: tracker.follow(
        state, frame, tracker.backbone(tracker.search(state, frame))
    )
    images, _ = video(2)
    for state in states(tracker, 2)[1:]:  # the second is followed by a search over scales
        crops = jax.jit(look)(tracker, state, frame(images[1]))[0]
        alone = step(tracker, state, frame(images[1]))
        np.testing.assert_allclose(crops.size, alone.size, rtol=1e-5)
        np.testing.assert_allclose(crops.center, alone.center, rtol=1e-5)


@pytest.mark.full
def test_both_take_the_size_from_the_scales_and_the_shape_from_the_predicted_overlap():
    iou = IoUConfig(search="lines", center_lr=0.0, size_lr=0.0, aspect_lr=1.0, calibrations=1)
    tracker = make(box_estimation="both", iou=iou, **SEARCH | {"scale_interval": 1})
    tracker = tracker.replace(refiner=tracker.refiner.replace(predictor=Twice()))
    images, boxes = video(1)
    state = init(tracker, frame(images[0]), jnp.asarray(boxes[0]))
    state = state.replace(reference=state.reference._replace(factor=jnp.ones(2)))
    after = step(tracker, state, frame(images[0]))
    alone = make(box_estimation="scale_search", **SEARCH | {"scale_interval": 1})
    size = states(alone, 1)[1].size
    np.testing.assert_allclose(jnp.prod(after.size), jnp.prod(size), rtol=1e-4)
    assert not np.allclose(size, state.size, rtol=0.05)
    assert after.size[0] / after.size[1] == pytest.approx(1.25**2, rel=1e-3)  # as far as is wise


class Refiner(IoURefiner):
    """Its loss says which frames show the target."""

    def loss(self, frames, true_boxes, seen, key):
        assert len(frames.fine) == len(true_boxes) == 4
        return seen @ jnp.array([1.0, 2.0, 4.0, 8.0])


def test_a_hundredth_of_the_overlap_s_loss_joins_that_of_the_classification(monkeypatch):
    judged = Adaptation(jnp.array([9.0, 7.0]), jnp.array([2.0, 1.0]))
    nothing = Features(jnp.zeros((2, 8, 8, 6)), jnp.zeros((2, 4, 4, 4)))
    monkeypatch.setattr(DiMP, "_adapt", lambda *_: judged)
    monkeypatch.setattr(DiMP, "seen_in", lambda *_: (nothing, nothing))
    half = small_episode().replace(support_weights=jnp.array([1.0, 0.0]))
    tracker = make().replace(refiner=Refiner.__new__(Refiner))
    loss, metrics = tracker.outer_loss(half)
    assert metrics["iou_loss"] == 13.0
    assert loss == pytest.approx(1.5 + 0.13, rel=1e-6)


@pytest.mark.full
def test_the_loss_of_the_overlap_joins_that_of_the_classification():
    tracker, small = make(box_estimation="overlap"), small_episode()
    loss = jax.jit(lambda tracker, episode: tracker.outer_loss(episode))
    joint, metrics = loss(tracker, small)
    alone, without = loss(tracker.replace(refiner=None), small)
    assert "iou_loss" not in without and metrics["iou_loss"] > 0.01
    assert joint - alone == pytest.approx(float(metrics["iou_loss"]) / 100, rel=1e-3)
    unseen = small.replace(support_weights=jnp.zeros(2), query_weights=jnp.zeros(2))
    assert loss(tracker, unseen)[1]["iou_loss"] == 0.0
    levels = {
        name: tracker.backbone(getattr(small, name)) for name in ("support_images", "query_images")
    }
    assert loss(tracker, small.replace(**levels))[0] == pytest.approx(float(joint), rel=1e-4)


@pytest.mark.full
def test_fine_tuning_moves_the_backbone_at_its_own_rate_and_is_saved(tmp_path):
    tracker = make()
    config = training.TrainingConfig(
        outer_steps=2, episodes=2, learning_rate=1e-2, backbone_rate=0.1, frozen=("loss",)
    )
    tuned = training.train(tracker, batches, config)
    before, after = named_leaves(tracker), named_leaves(tuned)
    moved = {name: float(jnp.abs(after[name] - before[name]).max()) for name in before}
    assert all(distance == 0 for name, distance in moved.items() if name.startswith("loss"))
    # The first rate of the schedule is 0, the second the peak; Adam moves by up to the rate.
    assert 0.5e-3 < moved["backbone.fine.kernel"] < 2e-3
    assert 0.5e-2 < moved["head.projection"] < 2e-2

    path = tmp_path / "tuned.safetensors"
    checkpoints.save(path, tuned, "steepest_descent", fine_tuned=True)
    loaded = checkpoints.load(path, "dimp", backbone=Tiny())[0]
    for name, leaf in named_leaves(loaded).items():
        np.testing.assert_array_equal(leaf, after[name])
    checkpoints.save(path, tuned, "steepest_descent")
    loaded = named_leaves(checkpoints.load(path, "dimp", backbone=Tiny())[0])
    np.testing.assert_array_equal(loaded["backbone.fine.kernel"], before["backbone.fine.kernel"])


def test_a_checkpoint_knows_its_backbone(tmp_path):
    path = tmp_path / "tiny.safetensors"
    checkpoints.save(path, make(), "steepest_descent")
    assert checkpoints.read_metadata(path)["backbone"] == "tiny"
    with pytest.raises(InputError, match="trained on the backbone 'tiny', not 'eff"):
        tracking_tasks.load("dimp", checkpoint=path)


@pytest.mark.full  # the contract has every tracker follow on its own
def test_another_backbone_follows_the_target():
    images, boxes = video(8)
    tracker = tracking_tasks.OnlineTracker(make(crop_size=96), "steepest_descent")
    predicted, _ = tracker.track(images, boxes[0])
    assert tracking_tasks.evaluation.overlap(predicted, boxes).min() > 0.5


def test_a_checkpoint_with_a_predictor_serves_a_search_over_scales_too(tmp_path):
    path = tmp_path / "both.safetensors"
    tracker = make(box_estimation="both")
    checkpoints.save(path, tracker, "steepest_descent")
    alone, _ = checkpoints.load(
        path,
        "dimp",
        backbone=Tiny(),
        change=lambda config: dataclasses.replace(config, box_estimation="scale_search"),
    )
    assert alone.refiner is None
    np.testing.assert_array_equal(alone.head.projection, tracker.head.projection)
