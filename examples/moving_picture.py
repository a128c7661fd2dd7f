"""The moving picture of the README: three rules fit to one target, and follow it."""

import io
import pathlib

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import tracking_tasks
from basics.figures import line_style
from experiments.demo.inner_losses import inner_losses
from experiments.pictures import clips
from tracking_tasks.data.videos import read_video

ROOT = pathlib.Path(__file__).parents[1]
RULES = ("steepest_descent", "gradient_descent", "adam")
BOX = np.float32([61, 113, 44, 53])
frames = list(read_video(ROOT / "experiments/demo/sample.mp4"))[:60:2]
trackers = [tracking_tasks.load("dimp", inner_optimizer=rule) for rule in RULES]
losses = [inner_losses(tracker, frames[0], BOX) for tracker in trackers]
tracks = [tracker.track(frames, BOX)[0] for tracker in trackers]
pictures = []
for index, frame in enumerate(frames):
    figure = Figure(figsize=(6.4, 3), layout="constrained")
    seen, curve = figure.subplots(1, 2, width_ratios=(1, 1.1))
    seen.imshow(frame)
    seen.set(xticks=[], yticks=[], autoscale_on=False)
    shown = max(1, round(len(losses[0]) * min(1, 2 * (index + 1) / len(frames))))
    for number, (rule, track, values) in enumerate(zip(RULES, tracks, losses, strict=True)):
        x, y, width, height = track[index]
        xs, ys = x + width * np.array([0, 1, 1, 0, 0]), y + height * np.array([0, 0, 1, 1, 0])
        seen.plot(xs, ys, linewidth=2, **line_style(number))
        curve.semilogy(values[:shown], marker="o", **line_style(number), label=rule)
    curve.set(xlabel="inner step", title="inner loss", xlim=(-0.2, len(losses[0]) - 0.8))
    curve.set_ylim(0.7 * np.min(losses), 20 * np.max(losses))  # with room for the key
    curve.legend(loc="upper right")
    figure.savefig(buffer := io.BytesIO(), dpi=100)
    pictures.append(np.asarray(Image.open(buffer).convert("RGB")))
(ROOT / "docs/moving_picture.webp").write_bytes(clips.encode(pictures))
