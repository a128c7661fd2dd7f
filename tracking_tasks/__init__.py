"""Visual object trackers as instantiations of one idea: an inner loop that fits to the target.

tracker = tracking_tasks.load("dimp")
tracker.init(image, box)                    # uint8 (H, W, 3) RGB; x, y, w, h in pixels, 0-based
prediction = tracker.update(next_image)     # .box, .score
"""

from basics.errors import InputError as InputError
from tracking_tasks import evaluation as evaluation
from tracking_tasks.online import OnlineTracker as OnlineTracker
from tracking_tasks.online import load as load
from tracking_tasks.online import shipped_weights as shipped_weights
from tracking_tasks.trackers import TRACKERS as TRACKERS
