"""Constants that several trackers have reach what they are constants of."""

import dataclasses

import jax.numpy as jnp
import pytest

from tests.products import chosen
from tests.tracking_tasks.trackers.small import SMALL, make
from tests.tracking_tasks.trackers.spies import spied, traced
from tracking_tasks import boxes, peaks
from tracking_tasks.trackers import TRACKERS


def changed(name, **changes):
    made = make(name, TRACKERS[name].default_rule, stand_in=True)
    return made.replace(config=dataclasses.replace(SMALL[name], **changes))


@pytest.mark.parametrize(("name",), chosen(zip(TRACKERS), [("gradnet",), ("meta_rtt",)]))
def test_a_share_of_the_box_stays_inside_the_frame(monkeypatch, name):
    calls = spied(monkeypatch, boxes, "bounded")
    traced(changed(name, min_inside=0.37))
    assert [call[-1] for call in calls] == [0.37]


@pytest.mark.parametrize(("name",), chosen(zip(("dimp", "dslt", "gradnet")), [("gradnet",)]))
def test_a_changed_scale_is_penalized_by_the_trackers_own_factor(monkeypatch, name):
    calls = spied(monkeypatch, peaks, "scale_penalties")
    traced(changed(name, scale_penalty=0.77))
    assert [call[-1] for call in calls] == [0.77]


@pytest.mark.parametrize("name", TRACKERS)
def test_the_search_region_is_so_many_times_the_target(name):
    one = changed(name, search_factor=3.5)
    assert one.search_side(jnp.array([9.0, 16.0])) == pytest.approx(3.5 * 12)
    assert one.config.target_cells == pytest.approx(SMALL[name].crop_size / 3.5 / 8)
    shape = one.config.target_shape(jnp.array([9.0, 16.0]))
    assert shape.tolist() == pytest.approx(
        [0.75 * one.config.target_cells, 4 / 3 * one.config.target_cells]
    )
    cut = one.episode_config
    assert (cut.crop_size, cut.search_factor) == (SMALL[name].crop_size, 3.5)


@pytest.mark.parametrize("name", TRACKERS)
def test_inner_steps_are_constants_of_the_tracker(name):
    config = TRACKERS[name].config_type()
    assert "train_steps" in config.inner_steps
    assert all(type(getattr(config, steps)) is int for steps in config.inner_steps)
    made = changed(name, **dict.fromkeys(config.inner_steps, 1))
    assert all(getattr(made.config, steps) == 1 for steps in config.inner_steps)
