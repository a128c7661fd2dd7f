"""A short video whose target is plain to see."""

import jax.numpy as jnp
import numpy as np

from tracking_tasks.episode import Frame

SIZE = 128


def video(frames=4, speed=3):
    """A striped square that moves to the right over noise; the boxes that hold it."""
    random = np.random.default_rng(0)
    background = random.integers(90, 140, (SIZE, SIZE, 3)).astype(np.uint8)
    target = np.zeros((24, 24, 3), np.uint8)
    target[::4] = target[1::4] = (250, 220, 20)
    images, boxes = [], []
    for index in range(frames):
        image = background.copy()
        x = 30 + speed * index
        image[40:64, x : x + 24] = target
        images.append(image)
        boxes.append([x, 40, 24, 24])
    return images, np.array(boxes, np.float32)


def frame(image):
    return Frame(jnp.asarray(image), jnp.array(image.shape[1::-1]))
