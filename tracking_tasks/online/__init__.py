"""What a user meets: trackers of one target or several, with `init`, `update` and `track`."""

from tracking_tasks.online.frames import padded as padded
from tracking_tasks.online.frames import padded_size as padded_size
from tracking_tasks.online.many import MultiTracker as MultiTracker
from tracking_tasks.online.tracker import OnlineTracker as OnlineTracker
from tracking_tasks.online.tracker import load as load
from tracking_tasks.online.tracker import shipped_weights as shipped_weights
