"""U1 of GradNet: from the finer features of an exemplar to the template."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.backbone import Backbone, Features
from models.heads.filter_head import fuse


class TemplateNetwork(nnx.Module):
    """The rest of the backbone, as a copy to be trained, and a linear map of what comes out.

    Untrained, the template is the middle of the fused features, as a Siamese tracker's would be.
    (Li et al., "GradNet: Gradient-Guided Network for Visual Object Tracking", ICCV 2019, eq. 4 and
    section 3.5: its U1 is the last three of five layers.) The linear map compares for both
    branches: a projection A of the template's features and B of the search features act as A'B.

    Args:
        backbone: whose later layers are copied.
        side: of the template in cells, odd.
        middle: the row and column of the exemplar that the template's middle lies on.

    Attributes:
        deeper: the copied layers.
        metric: (c, c), from the identity.
    """

    def __init__(self, backbone: Backbone, side: int, middle: int) -> None:
        self.deeper = backbone.deeper()
        self.metric = nnx.Param(jnp.eye(sum(backbone.channels)))
        self.grid = backbone.grid
        self.side = side
        self.middle = middle

    def __call__(self, exemplar: Float[Array, "e e c8"]) -> Float[Array, "k k c"]:
        """The template; its correlation with fused features like its own is 1."""
        shallow = exemplar[None]
        fused = fuse(Features(shallow, self.deeper(shallow)), self.grid)[0]
        start, stop = self.middle - self.side // 2, self.middle + self.side // 2 + 1
        cut = fused[start:stop, start:stop]
        return cut @ self.metric[...] / (self.side**2 * cut.shape[-1])
