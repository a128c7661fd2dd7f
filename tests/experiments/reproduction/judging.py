"""What a table's measurement of a tracker must come to."""

import tracking_tasks
from tests.tracking_tasks.striped import video
from tracking_tasks.data.sequences import Sequence


def sequence(frames=5):
    images, boxes = video(frames)
    return Sequence(name="one", frames=tuple(images), boxes=boxes)


def auc(tracker, sequence):
    """Of one pass, by the class that a user meets."""
    online = tracking_tasks.OnlineTracker(tracker, "any")
    boxes, _ = online.track(sequence.frames, sequence.boxes[0])
    return tracking_tasks.evaluation.success_auc(boxes, sequence.boxes)
