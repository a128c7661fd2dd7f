"""DSLT_34 and DSLT_35: which features they see, and that their cells lie where they say."""

import jax
import numpy as np
import pytest

from experiments.reproduction.earlier_levels import Levels34, Levels35, pooled
from models import EfficientNetLite0


def test_a_pooled_cell_is_the_mean_around_its_own_place():
    ramp = np.tile(np.arange(8, dtype=np.float32)[None, None, :, None], (1, 8, 1, 1))
    # Cell j of stride 8 lies on cell 2 j + 1 of stride 4; the last has no right neighbour.
    np.testing.assert_allclose(pooled(ramp)[0, 0, :, 0], [1, 3, 5, 6.5])


@pytest.mark.full
@pytest.mark.parametrize(("kind", "level"), [(Levels34, "fine"), (Levels35, "coarse")])
def test_the_earlier_level_stands_in_the_place_of_the_finer(kind, level):
    trunk = EfficientNetLite0.pretrained()
    image = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3)).astype(np.uint8)
    see = jax.jit(lambda trunk, x: (kind(trunk)(x), trunk(x), trunk.shallow(x)))
    found, whole, early = see(trunk, image)
    assert early.shape == (1, 16, 16, 24) and found.fine.shape == (1, 8, 8, 24)
    np.testing.assert_allclose(found.fine[0, 2, 2], early[0, 4:7, 4:7].mean((0, 1)), atol=1e-4)
    np.testing.assert_array_equal(found.coarse, getattr(whole, level))
    assert kind.channels == (24, found.coarse.shape[-1])
    rest = early
    for block in trunk.blocks[3:5]:
        rest = block(rest)
    np.testing.assert_allclose(rest, whole.fine, atol=1e-4)
