"""The layers between a backbone's levels, and the templates that their copy makes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import VGG16, EfficientNetLite0, Features, ResNet18, TemplateNetwork, correlate
from models.heads.filter_head import fuse
from tests.models.backbones.random_resnet import state_dict as resnet_weights
from tests.models.backbones.random_vgg import state_dict as vgg_weights
from tests.products import chosen
from tests.tracking_tasks.tiny import Tiny

BACKBONES = {
    "efficientnet": EfficientNetLite0.pretrained,
    "resnet": lambda: ResNet18(resnet_weights("resnet18")),
    "vgg": lambda: VGG16(vgg_weights(thinner=16)),
}


@pytest.mark.parametrize(("name",), chosen(zip(BACKBONES), [("resnet",), ("vgg",)]))
def test_the_deeper_layers_make_the_coarser_level_of_the_finer(name):
    backbone = BACKBONES[name]()
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3)).astype(np.uint8)
    levels, deeper = jax.jit(lambda net, rest, x: (net(x), rest(net(x).fine)))(
        backbone, backbone.deeper(), image
    )
    np.testing.assert_allclose(deeper, levels.coarse, rtol=1e-4, atol=1e-5)


def test_the_copy_shares_nothing_with_the_backbone():
    backbone = EfficientNetLite0.pretrained()
    copy = backbone.deeper()
    kernel = copy.layers[0].project.kernel
    kernel[...] = jnp.zeros_like(kernel[...])
    assert jnp.abs(backbone.blocks[5].project.kernel[...]).max() > 0


def test_an_untrained_template_is_the_middle_of_the_fused_features():
    network = TemplateNetwork(Tiny(), side=3, middle=4)
    exemplar = jax.random.normal(jax.random.key(0), (8, 8, 6))
    called = jax.jit(lambda network, exemplar: network(exemplar))
    both = jax.jit(lambda exemplar: Features(exemplar[None], network.deeper(exemplar[None])))
    fused = jax.jit(lambda levels: fuse(levels, network.grid))(both(exemplar))
    template = called(network, exemplar)
    np.testing.assert_allclose(template, fused[0, 3:6, 3:6] / (9 * 10), rtol=1e-5)
    response = jax.jit(correlate)(fused, template)[0]
    expected = jnp.mean(fused[0, 3:6, 3:6] ** 2)
    np.testing.assert_allclose(response[4, 4], expected, rtol=1e-5)
    network.metric[...] = 2 * jnp.eye(10)
    np.testing.assert_allclose(called(network, exemplar), 2 * template, rtol=1e-6)
