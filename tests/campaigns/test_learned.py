"""What learning brings: trackers beside themselves with nothing learned, and with rates by hand.

Every row is `experiments.validate --trials=1`: one pass through the videos of 31 real targets that
nothing was trained on. It needs `data/videos` of METAOPT_DATA.
"""

import pytest

import tracking_tasks
from tests.campaigns.commands import data, results
from tests.campaigns.records import ROOT, Record
from tracking_tasks import checkpoints
from tracking_tasks.trackers import TRACKERS

COLUMNS = ("tracker", "val", "val_hard", "AUC - the learned one's, all 31", "flags")
LEARNED = Record("learned", (*COLUMNS, "date", "revision"))
UNTRAINED = "nothing learned"
# The rates, a factor of about three apart, around the one that learned rates start from.
RATES = {
    "dimp": (0.01, 0.03, 0.1, 0.3),
    "gradnet": (0.15, 0.5, 1.5),
    "meta_rtt": (0.03, 0.1, 0.3, 1.0),
    "roam": (0.06, 0.2, 0.4),
}
# ROAM has weights of its own for gradient descent; here it takes those of the LSTM.
_STARTS = {"roam": "--checkpoint=tracking_tasks/weights/roam.safetensors "}


def rows(tracker):
    """Flags by the name of the row; the first is the learned one."""
    if tracker == "dslt":  # Adam is the paper's rule, and has learned nothing
        rule = "--tracker=dslt --inner_optimizer=steepest_descent"
        return {
            "**DSLT, 5 steps**": rule,
            "DSLT, Adam": "--tracker=dslt",
            f"DSLT, 5 steps, {UNTRAINED}": rule,
        }
    name, own = TRACKERS[tracker].__name__, f"--tracker={tracker}"
    # What is predicted of overlap says nothing before it is learned.
    box = " --dimp.box_estimation=scale_search" if tracker == "dimp" else ""
    descent = f"{own} {_STARTS.get(tracker, '')}--inner_optimizer=gradient_descent"
    return {f"**{name}**": own, f"{name}, {UNTRAINED}": own + box} | {
        f"{name}, gradient descent, {rate}": f"{descent} --{tracker}.initial_lr={rate}"
        for rate in RATES[tracker]
    }


def untrained(tracker, folder):
    """The flag of a checkpoint with the constants that are shipped, and nothing learned."""
    rule = "steepest_descent" if tracker == "dslt" else None
    path = tracking_tasks.shipped_weights(tracker, rule)
    shipped, rule = checkpoints.load(path, tracker, rule)
    fresh = TRACKERS[tracker].create(rule, shipped.config, shipped.backbone)
    checkpoints.save(folder / "untrained.safetensors", fresh, rule, fine_tuned=False)
    return f"--checkpoint={folder / 'untrained.safetensors'}"


def row(found, flags):
    """What `experiments.validate` says of one tracker."""
    auc = lambda split: f"{found['means'][split]['auc']:.3f}"
    difference = (found["differences"] or {}).get("all")
    text = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*difference["auc"]) if difference else ""
    return dict(zip(COLUMNS[1:], (auc("val"), auc("val_hard"), text, f"`{flags}`"), strict=True))


@pytest.mark.campaign
@pytest.mark.parametrize("tracker", sorted(TRACKERS))
def test_what_is_learned_is_better_than_nothing_learned(tracker, tmp_path):
    common = f"--videos_dir={data('videos')}", "--trials=1"
    (learned, own), *others = rows(tracker).items()
    LEARNED.add(learned, row(results(tmp_path / "learned", "validate", *common, *own.split()), own))
    baseline = f"--baseline={tmp_path / 'learned'}"
    for index, (name, flags) in enumerate(others):
        given = [*common, *flags.split(), baseline]
        given += [untrained(tracker, tmp_path)] if UNTRAINED in name else []
        found = results(tmp_path / str(index), "validate", *given)
        LEARNED.add(name, row(found, flags))
        assert UNTRAINED not in name or found["differences"]["all"]["auc"][0] < 0


def test_the_page_prints_the_record():
    LEARNED.require_on_page()


def test_the_first_page_says_what_learning_brings():
    said = (ROOT / "README.md").read_text()
    for tracker in TRACKERS.keys() - {"dslt"}:
        name = TRACKERS[tracker].__name__
        brings = -float(LEARNED.rows()[f"{name}, {UNTRAINED}"][COLUMNS[3]].split()[0])
        assert f"+{100 * brings:.1f}" in said.split(f" to {name}")[0].split(",")[-1]


def test_every_tracker_has_its_rows():
    names = [name for tracker in TRACKERS for name in rows(tracker)]
    assert len(set(names)) == len(names) == 25
    assert list(LEARNED.rows()) == names
