"""The trackers, one a folder."""

from tracking_tasks.trackers.base import Adaptation as Adaptation
from tracking_tasks.trackers.base import Tracker as Tracker
from tracking_tasks.trackers.dimp.tracker import DiMP
from tracking_tasks.trackers.dslt.tracker import DSLT
from tracking_tasks.trackers.gradnet.tracker import GradNet
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT
from tracking_tasks.trackers.roam.tracker import ROAM

TRACKERS: dict[str, type[Tracker]] = {
    tracker.name: tracker for tracker in (DiMP, DSLT, GradNet, MetaRTT, ROAM)
}
