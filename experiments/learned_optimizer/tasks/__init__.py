"""Families of random trainings by name: those to meta-train on, and those to be judged on."""

from collections.abc import Callable, Mapping

from experiments.learned_optimizer.tasks import functions, heads, images, text
from experiments.learned_optimizer.tasks.base import Family

TRAINING: Mapping[str, Callable[[], Family]] = {
    "patches": lambda: images.patches(images.TRAINING_PHOTOS, 8, (32,)),
    "patches_layer_norm": lambda: images.patches(
        images.TRAINING_PHOTOS, 8, (32, 32), layer_norm=True
    ),
    "patches_autoencoder": lambda: images.patches_autoencoder(images.TRAINING_PHOTOS, 8, (16,)),
    "topics": text.topics,
    "bumps": lambda: functions.Bumps((24, 24)),
    "dixon_price": functions.DixonPrice,
}

# Other images, or other networks and losses, than any in training. A classifier of digits was seen
# when the rule's constants were chosen by hand, so that these tasks are held out from meta-training
# but digits not from the design.
HELD_OUT: Mapping[str, Callable[[], Family]] = {
    "digits": lambda: images.digits((40, 40)),
    "characters": text.descriptions,
    "other_patches": lambda: images.patches(images.OTHER_PHOTOS, 12, (48, 48), layer_norm=True),
    "digits_autoencoder": lambda: images.digits_autoencoder((32, 8, 32)),
    "sine_waves": functions.SineWaves,
    "roam_head": lambda: heads.ROAMHead(*heads.pooled(images.COLOR_PHOTOS)),
    "dslt_head": lambda: heads.DSLTHead(*heads.pooled(images.COLOR_PHOTOS)),
    "quadratics": functions.Quadratics,
    "rosenbrock": functions.Rosenbrock,
    "digits_convolutional": lambda: images.convolutional_digits((4, 8)),
}
