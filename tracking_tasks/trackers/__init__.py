"""The trackers, one a folder; a new folder here appears in every program."""

from tracking_tasks.trackers.base import Adaptation as Adaptation
from tracking_tasks.trackers.base import Tracker as Tracker
from tracking_tasks.trackers.registry import TRACKERS as TRACKERS
from tracking_tasks.trackers.registry import register as register
