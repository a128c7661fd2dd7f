"""What `import tracking_tasks` takes along: no tracker, until one is asked for."""

import subprocess
import sys

import pytest

import tracking_tasks
from tracking_tasks import online, trackers

_REPORT = "print(*(m for m in sys.modules if m.count('.') > 1))"


def imported(*statements):
    """The modules of this project that a fresh interpreter has after each statement."""
    program = "; ".join(["import sys", *(f"{each}; {_REPORT}" for each in statements)])
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    return [[name for name in line.split() if name.startswith("tracking_tasks.")] for line in lines]


def of_trackers(names):
    return [name for name in names if name.startswith("tracking_tasks.trackers.")]


def test_a_reader_of_data_imports_no_tracker():
    (names,) = imported("import tracking_tasks.data.formats.otb, tracking_tasks.data.episodes")
    assert "tracking_tasks.data.formats.otb" in names and not of_trackers(names)


@pytest.mark.full
def test_scores_and_their_evaluation_import_no_tracker_but_the_base():
    before, after = imported(
        "import tracking_tasks.evaluation", "import tracking_tasks; tracking_tasks.TRACKERS['dimp']"
    )
    assert set(of_trackers(before)) <= {
        "tracking_tasks.trackers.base",
        "tracking_tasks.trackers.history",
        "tracking_tasks.trackers.ranges",
        "tracking_tasks.trackers.registry",
        "tracking_tasks.trackers.soundness",
        "tracking_tasks.trackers.usual_score",
    }
    assert "tracking_tasks.trackers.roam.tracker" in after


@pytest.mark.full
def test_trackers_take_no_transform_of_scipy_along():
    program = "import sys, tracking_tasks; tracking_tasks.TRACKERS['dimp']; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "tracking_tasks.trackers.roam.tracker" in run.stdout.split()
    assert "scipy.fft" not in run.stdout.split()


def test_the_public_names_are_those_of_their_modules():
    assert tracking_tasks.load is online.load
    assert tracking_tasks.OnlineTracker is online.OnlineTracker
    assert tracking_tasks.TRACKERS is trackers.TRACKERS
    assert {"load", "OnlineTracker", "TRACKERS", "evaluation"} <= set(dir(tracking_tasks))
    with pytest.raises(AttributeError, match="'kcf'"):
        _ = tracking_tasks.kcf
