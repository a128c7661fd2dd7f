"""Every rule in every tracker online, at its rates and at 3, 10 and 30 times them.

Whatever the rate, boxes, scores and what the tracker knows stay finite, and updates that are not
finite are undone and counted. On the small constants of the tests, untrained, on a backbone of two
convolutions: what diverges there need not with the weights that are shipped, and the other way
round. The numbers go to docs/records/divergence.json.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.leaves import is_part, named_leaves, with_leaves
from tests.campaigns.records import Record
from tests.tracking_tasks.striped import video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import RULES, SMALL
from tracking_tasks.evaluation import overlap
from tracking_tasks.online import OnlineTracker
from tracking_tasks.trackers import TRACKERS

FACTORS = (1, 3, 10, 30)
FRAMES = 13
COLUMNS = [f"undone x{factor}" for factor in FACTORS] + [f"overlap x{f}" for f in (1, 30)]
RECORD = Record("divergence", ("tracker, rule", *COLUMNS, "not finite"))
PAIRS = [(name, rule) for name in sorted(TRACKERS) for rule in RULES]


def every_frame(config):
    """Constants with which a tracker learns from every frame."""
    always = {"update_interval": 1, "update_threshold": 0.0, "online_update": True}
    known = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(config, **{k: v for k, v in always.items() if k in known})


def scaled(tracker, factor):
    """The tracker with every number of its rules times a factor; their logarithms moved by its."""
    parts = type(tracker).optimizers
    leaves = {
        name: leaf + np.log(factor) if "log" in name else leaf * factor
        for name, leaf in named_leaves(tracker).items()
        if is_part(name, parts) and jnp.issubdtype(leaf.dtype, jnp.floating)
    }
    return with_leaves(tracker, leaves)


def follow(tracker, rule):
    """Updates undone, numbers not finite, and the mean overlap, over a short video.

    Where the fit to the first frame is not finite, nothing before it is known, and what the tracker
    knows does not count; what it says does.
    """
    images, truth = video(FRAMES)
    online = OnlineTracker(tracker, rule)
    online.init(images[0], truth[0])
    begun = not _spoilt(online.state)
    found = [online.update(image) for image in images[1:]]
    boxes = np.stack([prediction.box for prediction in found])
    scores = np.float32([prediction.score for prediction in found])
    undone = sum(bool(prediction.undone) for prediction in found)
    assert begun or undone == len(found)
    spoilt = _spoilt((boxes, scores)) + begun * _spoilt(online.state)
    return undone, spoilt, float(overlap(boxes, truth[1:]).mean())


def _spoilt(tree):
    """How many numbers are not finite."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return sum(int((~np.isfinite(np.asarray(x, np.float32))).sum()) for x in leaves)


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "rule"), PAIRS)
def test_no_rate_spoils_what_a_tracker_says_or_knows(name, rule):
    tracker = TRACKERS[name].create(rule, every_frame(SMALL[name]), Tiny())
    found = {factor: follow(scaled(tracker, factor), rule) for factor in FACTORS}
    row = {f"undone x{factor}": found[factor][0] for factor in FACTORS}
    row |= {f"overlap x{factor}": found[factor][2] for factor in (1, 30)}
    spoilt = sum(each[1] for each in found.values())
    RECORD.add(f"{name}, {rule}", row | {"not finite": spoilt})
    assert not spoilt


def test_the_page_has_the_record():
    rows = RECORD.rows()
    assert set(rows) == {f"{name}, {rule}" for name, rule in PAIRS}
    assert not any(row["not finite"] for row in rows.values())
    RECORD.require_on_page()
