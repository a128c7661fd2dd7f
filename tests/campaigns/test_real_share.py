"""What share of real video serves meta-training best: DiMP's filter, by one seed and another.

All that a row trains on beside rendered videos are the 46 targets of the training part of
`data/videos` of METAOPT_DATA; it is judged by `experiments.validate --trials=1` on the 31 others.
The photographs to render from are those of `data/photos`.
"""

import pytest

from tests.campaigns.commands import data, output, results, targets
from tests.campaigns.records import ROOT, Record

SHARES = (0.0, 0.25, 0.5, 1.0)
SEEDS = (0, 1)
COLUMNS = ("share of real video, seed", "val", "val_hard", "AUC - that without any, all 31")
SHARE = Record("real_share", (*COLUMNS, "date", "revision"))
# Without what predicts overlap, which takes longer to learn than the rest together.
TRAINING = (
    "--pool=50 --outer_steps=250 --learning_rate=2e-3 --episode.backwards=0.5 "
    "--episode.mirrored=0.5 --episode.degradation.share=0.6 --dimp.box_estimation=scale_search"
)


def packed(folder):
    """The training part as `experiments.pack` writes it."""
    output(folder / "packed", "pack", f"--dataset_dir={targets(folder / 'train', 'train')}")
    return folder / "packed"


def sources(share, folder):
    """The flags by which a share of the episodes is real."""
    recorded = [f"--datasets={folder}:{share}"] if share else []
    return [*recorded, f"--rendered_weight={1 - share}", f"--photos_dir={data('photos')}"]


@pytest.mark.campaign
def test_shares_of_real_video(tmp_path):
    episodes = packed(tmp_path)
    for seed in SEEDS:
        for share in SHARES:
            trained, judged = (tmp_path / f"{what}-{seed}-{share}" for what in ("train", "judge"))
            flags = [*TRAINING.split(), *sources(share, episodes), f"--seed={seed}"]
            output(trained, "train", *flags)
            checkpoint = f"--checkpoint={trained / 'dimp.safetensors'}"
            given = [f"--videos_dir={data('videos')}", "--trials=1", checkpoint]
            given += [f"--baseline={tmp_path / f'judge-{seed}-0.0'}"] if share else []
            SHARE.add(f"{share}, {seed}", row(results(judged, "validate", *given)))


def test_the_page_prints_the_record():
    SHARE.require_on_page()


def test_the_first_page_says_what_the_shares_bring():
    real, quarter, half = (f"{100 * brought(share):+.1f}" for share in (1.0, 0.25, 0.5))
    said = f"{real} AUC on rendered alone, {quarter} with a quarter, {half} with half"
    assert said in (ROOT / "README.md").read_text()


def brought(share):
    """The difference of AUC to rendered video alone, its mean over seeds."""
    differences = [SHARE.rows()[f"{share}, {seed}"][COLUMNS[3]] for seed in SEEDS]
    return sum(float(text.split()[0]) for text in differences) / len(SEEDS)


def row(found):
    """What `experiments.validate` says of one training."""
    auc = lambda split: f"{found['means'][split]['auc']:.3f}"
    difference = (found["differences"] or {}).get("all")
    text = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*difference["auc"]) if difference else ""
    return dict(zip(COLUMNS[1:], (auc("val"), auc("val_hard"), text), strict=True))
