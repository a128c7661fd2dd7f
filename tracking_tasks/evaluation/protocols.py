"""The one-pass protocols by name."""

from collections.abc import Callable

from tracking_tasks.evaluation.got10k import got10k
from tracking_tasks.evaluation.lasot import lasot
from tracking_tasks.evaluation.otb import otb, uav123
from tracking_tasks.evaluation.reports import Report, Results, Sequences
from tracking_tasks.evaluation.trackingnet import trackingnet

# Each turns results, and the sequences they are of, into `scores`, `sequences` (the scores of each
# by name) and `attributes` (scores over the sequences that have one).
PROTOCOLS: dict[str, Callable[[Results, Sequences], Report]] = {
    "otb": otb,
    "uav123": uav123,
    "lasot": lasot,
    "trackingnet": trackingnet,
    "got10k": got10k,
}
