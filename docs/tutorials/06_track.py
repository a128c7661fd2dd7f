# %% [markdown]
# # Track your video
#
# A target is given by its box in the first frame. The sample is a cut-out that moves over a
# photograph of the moon, rendered by this project; put your own file in its place.

# %%
import pathlib

import imageio.v3 as iio
import matplotlib.pyplot as plt

import tracking_tasks

ROOT = pathlib.Path(tracking_tasks.__file__).parents[1]
frames = iio.imread(ROOT / "experiments/demo/sample.mp4", plugin="FFMPEG")[:40]
box = [61, 113, 44, 53]  # x, y, width, height in pixels
tracker = tracking_tasks.load("dimp")  # the shipped weights
boxes, scores = tracker.track(frames, box)
print(boxes.shape, scores.shape)
print("scores", scores.round(2))  # low where something is in front of the target

# %%
figure, all_axes = plt.subplots(1, 4, figsize=(9, 2.6))
for axes, index in zip(all_axes, (0, 13, 26, 39)):
    axes.imshow(frames[index])
    x, y, width, height = boxes[index]
    axes.add_patch(plt.Rectangle((x, y), width, height, fill=False, color="#56B4E9", lw=2))
    axes.set_title(f"frame {index}, score {scores[index]:.2f}", fontsize=9)
    axes.axis("off")

# %% [markdown]
# Frame by frame, as for a camera; `present` is false where the target is lost, hidden or away.

# %%
tracker.init(frames[0], box)
prediction = tracker.update(frames[1])
print(prediction.box, prediction.score, prediction.present)
assert prediction.present

# %% [markdown]
# Several targets, cameras, other formats of results: [tracking](../tracking.md).
