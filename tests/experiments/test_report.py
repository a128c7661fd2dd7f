import base64
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from basics.errors import InputError
from experiments import report
from experiments.command_line import cli
from experiments.matrix import sweep_results
from experiments.pictures import clips
from experiments.report_page import verdict

RULES = ("learned_rates", "steepest_descent")


def cell(tracker, rule, seed):
    random = np.random.default_rng(seed)
    auc = 0.5 + 0.1 * RULES.index(rule) + random.random(5) / 10
    return {
        "tracker": tracker,
        "inner_optimizer": rule,
        "seed": seed,
        "auc": auc.mean(),
        "precision20": 0.8,
        "query_loss": 0.1,
        "update_ms": 2.0 + random.random(),
        "train_steps": 3,
        "sequences": {f"video-{i}": {"auc": value} for i, value in enumerate(auc)},
        "boxes": [[10.0, 12.0, 20.0, 15.0]] * 3,
        "true_boxes": [[2.0, 30.0, 8.0, 8.0], [0.0] * 4, [2.0, 30.0, 8.0, 8.0]],
        "success_curve": np.linspace(1, 0, 21).tolist(),
        "inner_losses": (1 / np.arange(1, 7)).tolist(),
        "query_losses": (2 / np.arange(1, 7)).tolist(),
        "rates": np.linspace(-0.01, 0.1, 41).tolist() if rule == "learned_rates" else None,
        "learned_functions": {"mask": {"x": [0, 1], "initial": [1, 0], "learned": [0.9, 0.1]}}
        if tracker == "dimp"
        else {},
    }


def with_real(trial):
    """The trial, judged on eight real targets too, where the other rule is the better one."""
    auc = np.linspace(0.3, 0.6, 8) + (0.02 if trial["inner_optimizer"] == RULES[0] else 0.0)
    sequences = {f"target-{i}": {"auc": value} for i, value in enumerate(auc)}
    return trial | {"real": {"auc": auc.mean(), "precision20": 0.7, "sequences": sequences}}


def make(folder, seeds=2, real=False):
    heading = {
        "configuration": {"preset": "smoke", "trackers": {"dimp": {"crop_size": 64}}},
        "fairness": "equal <everything>",
        "versions": {"jax": "0.10", "platform": "cpu", "revision": None},
    }
    cells = [cell(t, r, s) for t in ("dimp", "roam") for s in range(seeds) for r in RULES]
    cells = [with_real(each) for each in cells] if real else cells
    sweep_results.write(folder, heading, cells, {"dslt, adam, seed 0": "Traceback: <boom>"})
    frames = [np.full((48, 64, 3), 60 * index, np.uint8) for index in range(3)]
    (folder / "video.webp").write_bytes(clips.encode(frames))


def run(*arguments):
    try:
        cli.run(report.main, report.FLAGS, ["program", *arguments], positional="RESULTS_DIR")
    except SystemExit as exit:
        return exit.code or 0


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    make(folder)
    assert run(str(folder)) == 0
    return (folder / "report.html").read_text()


def test_nothing_is_loaded_from_elsewhere(text):
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text) == []
    assert "@import" not in text and "url(http" not in text


def test_every_figure_is_well_formed_and_follows_the_page(text):
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    # Of each tracker: success, ranks, speed, two losses, rates; of one a learned function.
    assert len(drawings) == 13
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.get("width") is None and root.get("height") is None and root.get("viewBox")
        assert "currentColor" in drawing
    assert "steepest_descent" in drawings[0]  # text stays text


def test_the_numbers_of_the_matrix_are_those_of_the_cells(text):
    auc = np.mean([cell("roam", "steepest_descent", s)["auc"] for s in (0, 1)])
    row = text[text.index("<th>roam</th>") :]
    assert re.findall(r'class="best"[^>]*><span>([\d.]+)', row)[0] == f"{auc:.3f}"


def test_the_first_sentence_says_who_wins_by_how_much_and_how_sure(text):
    first = re.search(r"<strong>(.*?)</strong>", text)[1]
    scores = {rule: np.mean([cell("dimp", rule, seed)["auc"] for seed in (0, 1)]) for rule in RULES}
    ahead = scores["steepest_descent"] - scores["learned_rates"]
    # Five videos: the smallest p-value of the signed-rank test is 2 / 2^5, however sure it looks.
    assert first.startswith(
        "On held-out rendered videos: in dimp steepest_descent has the highest mean, which may be "
        "chance "
        f"({ahead:+.3f} AUC on learned_rates, p = 0.062); in roam "
    )


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.003, "B is best, beyond chance (+0.100"), (0.2, "B has the highest mean, which may be")],
)
def test_beyond_chance_is_a_matter_of_the_test(p, said):
    pair = {"a": "A", "b": "B", "auc_difference": -0.1, "p": p}
    rules = {"A": {"auc": 0.5}, "B": {"auc": 0.6}}
    assert verdict.sentence({"dimp": {"rules": rules, "pairs": [pair]}}).startswith(said)


def test_what_one_seed_cannot_say_is_marked(text, tmp_path):
    assert "One seed" not in text
    make(tmp_path, seeds=1)
    assert run(str(tmp_path)) == 0
    assert "One seed: intervals" in (tmp_path / "report.html").read_text()


def test_real_targets_have_their_own_matrix_tests_and_sentence(text, tmp_path):
    make(tmp_path, real=True)
    of_real = json.loads((tmp_path / "results.json").read_text())["summary"]["roam"]["real"]
    rules = {rule: each["auc"] for rule, each in of_real["rules"].items()}
    assert rules == pytest.approx({"learned_rates": 0.47, "steepest_descent": 0.45})
    # All eight differences have one sign, so p is 2 / 2^8.
    assert of_real["pairs"][0]["auc_difference"] == pytest.approx(0.02)
    assert of_real["pairs"][0]["p"] == pytest.approx(2**-7)
    assert of_real["ranking"]["ranks"] == {"learned_rates": 1, "steepest_descent": 2}

    table = (tmp_path / "table.txt").read_text()
    on_rendered, on_real = table.split("AUC on held-out rendered videos")
    assert "0.450" in on_real and "AUC on real targets" in on_real and "0.450" not in on_rendered

    assert run(str(tmp_path)) == 0
    page = (tmp_path / "report.html").read_text()
    sentences = re.findall(r"<strong>(.*?)</strong>", page)
    assert sentences[0] == re.search(r"<strong>(.*?)</strong>", text)[1]
    best = "learned_rates is best, beyond chance (+0.020 AUC on steepest_descent, p = 0.0078)"
    assert sentences[1] == f"On real targets: in dimp {best}; in roam {best}."
    assert "and on 8 real target(s)" in page and "real target" not in text
    assert page.count("<svg") == text.count("<svg") + 2  # ranks of each tracker
    assert "Paired tests between rules on real targets" in page


def test_rules_that_were_not_all_judged_on_real_targets_are_not_compared_there():
    trials = [cell("dimp", rule, 0) for rule in RULES]
    by_rule = {rule: [trial] for rule, trial in zip(RULES, trials, strict=True)}
    by_rule[RULES[0]] = [with_real(trials[0])]
    assert sweep_results.summarize(by_rule)["real"] is None


def test_text_is_large_enough_for_a_phone(text):
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", text)]
    assert len(sizes) > 50 and min(sizes) >= 10  # of 331 across, shown 300 or more pixels wide


def test_what_users_wrote_is_escaped_and_failures_are_shown(text):
    assert "Equal &lt;everything&gt;" in text
    assert "dslt, adam, seed 0" in text and "&lt;boom&gt;" in text


def test_clips_show_the_boxes(text):
    data = re.search(r'src="data:image/webp;base64,([^"]*)"', text)[1]
    frames = clips.decode(base64.b64decode(data))
    assert len(frames) == 3 and frames[0].shape == (96, 128, 3)
    # The last rule's box, drawn at twice the size, on black: vermilion, the second colour.
    assert np.abs(frames[0][24, 30].astype(int) - (213, 94, 0)).max() < 60
    assert frames[0][60:76, 4].min() > 150  # the truth in white


def test_one_cell_is_enough(tmp_path):
    make(tmp_path, seeds=1)
    results = json.loads((tmp_path / "results.json").read_text())
    results["cells"] = results["cells"][:1]
    (tmp_path / "results.json").write_text(json.dumps(results))
    (tmp_path / "video.webp").unlink()
    assert run(str(tmp_path), f"--output={tmp_path / 'page.html'}") == 0
    assert "<svg" in (tmp_path / "page.html").read_text()


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "content", [None, "{", "[]", DEEP, '{"cells": []}', '{"cells": [{}]}', '{"cells": {"a": 1}}']
)
def test_bad_input_is_one_line(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    assert run(str(tmp_path)) == 1
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(
    ("key", "value"), [("update_ms", "fast"), ("sequences", 3), ("boxes", [[1.0]]), ("seed", [])]
)
def test_a_trial_of_another_form_is_one_line(tmp_path, capsys, key, value):
    make(tmp_path, seeds=1)
    results = json.loads((tmp_path / "results.json").read_text())
    results["cells"] = results["cells"][:1]
    results["cells"][0][key] = value
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert run(str(tmp_path)) == 1
    assert "damaged, or not of experiments.sweep" in capsys.readouterr().err


@pytest.mark.parametrize("data", [b"", b"RIFF", b"no picture"])
def test_a_damaged_clip_is_a_sentence(data):
    with pytest.raises(InputError, match="the clip is damaged"):
        clips.decode(data)


def test_the_folder_has_to_be_named(capsys):
    assert run() == 2
    assert "RESULTS_DIR is missing" in capsys.readouterr().err
