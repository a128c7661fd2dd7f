"""The trackers, one a file."""

from tracking_tasks.trackers._base import Adaptation as Adaptation
from tracking_tasks.trackers._base import Episode as Episode
from tracking_tasks.trackers._base import EpisodeConfig as EpisodeConfig
from tracking_tasks.trackers._base import Frame as Frame
from tracking_tasks.trackers._base import Prediction as Prediction
from tracking_tasks.trackers._base import Tracker as Tracker
from tracking_tasks.trackers.dimp import DiMP
from tracking_tasks.trackers.dslt import DSLT
from tracking_tasks.trackers.gradnet import GradNet
from tracking_tasks.trackers.meta_rtt import MetaRTT
from tracking_tasks.trackers.roam import ROAM

TRACKERS: dict[str, type[Tracker]] = {
    tracker.name: tracker for tracker in (DiMP, DSLT, GradNet, MetaRTT, ROAM)
}
