"""Annotations are checked in the tests: a shape that is not the annotated one ends a call."""

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from tracking_tasks import boxes
from tracking_tasks.trackers.meta_rtt.box_sampling import Spread


def test_a_wrong_shape_or_type_ends_a_call_and_a_right_one_does_not():
    with pytest.raises(jaxtyping.TypeCheckError, match="center"):
        boxes.from_center(np.zeros(3), np.zeros(2))
    np.testing.assert_array_equal(boxes.from_center(jnp.ones(2), np.ones(2)), [0.5, 0.5, 1, 1])
    with pytest.raises(jaxtyping.TypeCheckError, match="shift"):
        Spread("wide", 1.0)
