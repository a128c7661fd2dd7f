"""The trackers that suites measure."""

import tracking_tasks
from tracking_tasks.trackers import Tracker


def shipped() -> dict[str, Tracker]:
    """All with their shipped weights, by name."""
    return {name: tracking_tasks.load(name).tracker for name in tracking_tasks.TRACKERS}


def small() -> dict[str, Tracker]:
    """One that compiles in seconds."""
    kind = tracking_tasks.TRACKERS["gradnet"]
    return {kind.name: kind.create(config=kind.config_type.small())}
