"""The rows of docs/results that a command prints: each is run, and kept with what made it.

The rows on real video need `data/sequences` of METAOPT_DATA, the matrix those targets of
`data/videos` that nothing is trained on, those of few-shot learning `data/omniglot`. Weights and
seeds are fixed: what changes is the code.
"""

import pytest

import metaopt
from tests.campaigns.commands import data, results, targets
from tests.campaigns.records import ROOT, Record

MADE = ("flags", "date", "revision")
SCORES = {"AUC": "auc", "precision": "precision20", "outer loss": "query_loss"}
SCORES |= {"AUC - steepest descent": "auc_difference"}
MAIN = Record("main_job", ("inner optimizer", *SCORES, "date", "revision"))
REAL = Record("real_video", ("tracker", "AUC", "precision", "frames/s", *MADE))
RULES = metaopt.optimizers.names()
MATRIX = Record("quick_matrix", ("tracker, judged on", *RULES, "date", "revision"))
FEW_SHOT = Record("few_shot", ("trained on, judged on", "score (%)", "+-", "minutes", *MADE))

TRACKERS = {
    "**DiMP**": "--tracker=dimp",
    "DiMP, predicted overlap alone": "--tracker=dimp --dimp.box_estimation=overlap",
    "DiMP, search over scales": "--tracker=dimp --dimp.box_estimation=scale_search",
    "**DSLT**, Adam until convergence": "--tracker=dslt",
    "DSLT, 5 meta-learned steps": "--tracker=dslt --inner_optimizer=steepest_descent",
    "**GradNet**": "--tracker=gradnet",
    "GradNet without the filter over scales": "--tracker=gradnet "
    "--gradnet.scale_filter.enabled=False",
    "SiamFC, on the features of GradNet": "--tracker=gradnet --inner_optimizer=none",
    "**ROAM++**": "--tracker=roam",
    "ROAM++ without the filter over scales": "--tracker=roam --roam.scale_filter.enabled=False",
    "ROAM++, gradient descent": "--tracker=roam --inner_optimizer=gradient_descent",
    "ROAM": "--tracker=roam --roam.search.boxes=scales --roam.search.size_lr=0.8",
    "**MetaRTT**": "--tracker=meta_rtt",
    "MetaRTT without the look all over the frame": "--tracker=meta_rtt --redetect=False",
    "MetaRTT without the filter over scales": "--tracker=meta_rtt --redetect=False "
    "--meta_rtt.scale_filter.enabled=False",
}
LEARNERS = {
    f"small1, new characters of small2, {ways}-way: {method}": f"--task=omniglot --ways={ways} "
    f"--inner_optimizer={method} --outer_steps=500"
    for ways in (5, 20)
    for method in ("maml", "ridge")
} | {
    f"{small}, its twenty runs: ridge": f"--task=omniglot_{small} --inner_optimizer=ridge "
    "--outer_steps=1500"
    for small in ("small1", "small2")
}


def main_job_row(summary):
    """What the main job says of one rule: means and 95 % intervals over seeds."""
    cell = lambda score: f"{score['mean']:.4f} ± {score['interval']:.4f}"
    return {name: cell(summary[key]) for name, key in SCORES.items()}


@pytest.mark.campaign
def test_the_main_job(tmp_path):
    summary = results(tmp_path / "run", "compare")["summary"]
    for rule, scores in summary.items():
        MAIN.add(rule, main_job_row(scores))
    means = [summary[rule]["auc"]["mean"] for rule in ("none", "learned_rates", "steepest_descent")]
    assert means == sorted(means)  # the order of DiMP's Table 1


def matrix_rows(summary):
    """AUC of every tracker by its rule, on rendered and on real targets; the best is bold."""
    for tracker, rendered in summary.items():
        for judged, rules in {"rendered": rendered, "real": rendered["real"]}.items():
            scores = {rule: each["auc"] for rule, each in rules["rules"].items()}
            best = max(scores.values())
            text = {rule: f"{auc:.3f}" for rule, auc in scores.items()}
            text |= {rule: f"**{text[rule]}**" for rule, auc in scores.items() if auc == best}
            yield f"{tracker}, {judged}", text


@pytest.mark.campaign
def test_the_quick_matrix(tmp_path):
    real = f"--dataset_dir={targets(tmp_path / 'real', 'val', 'val_hard')}"
    wanted = "--preset=quick", "--seeds=1", "--inner_optimizers=all", "--workers=2", real
    found = results(tmp_path / "run", "sweep", *wanted)
    assert not found["failures"] and len(found["cells"]) == 5 * len(RULES)
    for name, scores in matrix_rows(found["summary"]):
        MATRIX.add(name, scores)


@pytest.mark.campaign
@pytest.mark.parametrize("name", TRACKERS)
def test_a_shipped_tracker_on_seven_real_targets(name, tmp_path):
    dataset = f"--dataset_dir={data('sequences')}"
    found = results(tmp_path / "run", "evaluate", dataset, *TRACKERS[name].split())
    row = {"AUC": found["auc"], "precision": found["precision20"]}
    REAL.add(name, row | {"frames/s": round(found["fps"]), "flags": f"`{TRACKERS[name]}`"})
    assert len(found["sequences"]) == 7
    assert found["auc"] > 0.5


@pytest.mark.campaign
@pytest.mark.parametrize("name", LEARNERS)
def test_characters_told_after_few_drawings(name, tmp_path):
    dataset = f"--data_dir={data('omniglot')}"
    found = results(tmp_path / "run", "few_shot", dataset, *LEARNERS[name].split())
    (method,) = found["methods"].values()
    score = {"score (%)": 100 * method["score"]["mean"], "+-": 100 * method["score"]["interval"]}
    FEW_SHOT.add(name, score | {"minutes": method["minutes"], "flags": f"`{LEARNERS[name]}`"})
    # Where nothing but the start is learned and 20 are to be told apart, it is 0.66.
    assert method["score"]["mean"] > (0.6 if name.endswith("20-way: maml") else 0.7)


@pytest.mark.parametrize("record", [MAIN, MATRIX, REAL, FEW_SHOT], ids=lambda record: record.name)
def test_the_page_prints_the_record(record):
    record.require_on_page()


def test_the_first_page_prints_the_shipped_trackers():
    lines = (ROOT / "README.md").read_text().splitlines()
    shipped = {name: row for name, row in REAL.rows().items() if name.startswith("**")}
    assert len(shipped) == 5
    for name, row in shipped.items():
        tracker = TRACKERS[name].removeprefix("--tracker=")
        (line,) = [line for line in lines if line.startswith(f"| `{tracker}` |")]
        scores = f"{row['AUC']:.3f} | {row['precision']:.3f} | {row['frames/s']}"
        assert f"| {scores} |" in line


def test_the_first_page_prints_the_main_job():
    text = (ROOT / "README.md").read_text()
    for row in MAIN.rows().values():
        auc, difference = (
            " ± ".join(f"{float(number):.3f}" for number in row[column].split(" ± "))
            for column in ("AUC", "AUC - steepest descent")
        )
        assert f"| {auc} | {'' if float(difference.split()[0]) == 0 else difference + ' '}|" in text
