"""The page: one HTML file that needs nothing else, for any width and for light and dark."""

import base64
import html
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_hex

from experiments.matrix.sweep_results import judged_on, of_tracker, summarize
from experiments.pictures import clips
from experiments.report_page import figures, verdict

_STYLE = pathlib.Path(__file__).with_name("page.css")


def build(results: Mapping[str, Any], folder: pathlib.Path) -> str:
    """The page of a sweep or comparison.

    Args:
        results: what its `results.json` holds.
        folder: where it lies, with `video.webp` beside it.
    """
    trials = results["cells"]
    trackers = list(dict.fromkeys(trial["tracker"] for trial in trials))
    rules = list(dict.fromkeys(trial["inner_optimizer"] for trial in trials))
    lines = figures.styles(rules)
    summary = {tracker: summarize(of_tracker(trials, tracker)) for tracker in trackers}
    links = "".join(f'<a href="#{_text(name)}">{_text(name)}</a>' for name in trackers)
    parts = [
        "<h1>Inner optimizers compared</h1>",
        *(_verdict(what, each) for what, each in judged_on(summary).items()),
        _one_seed(trials),
        _introduction(results, trials),
        f"<nav>{links}</nav>" if len(trackers) > 1 else "",
        *(_matrix(what, each, rules) for what, each in judged_on(summary).items()),
        *(_tracker(name, trials, summary[name], lines, folder) for name in trackers),
        _failures(results.get("failures", {})),
        _configuration(results),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Inner optimizers compared</title><style>{_STYLE.read_text()}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _verdict(what: str, summary: Mapping[str, Mapping[str, Any]]) -> str:
    said = verdict.sentence(summary)
    return f"<p><strong>On {_text(what)}: {_text(said[0].lower() + said[1:])}</strong></p>"


def _one_seed(trials: Sequence[Mapping[str, Any]]) -> str:
    """What one seed cannot say."""
    if len({trial["seed"] for trial in trials}) > 1:
        return ""
    return (
        '<p class="note">One seed: intervals and tests here are over videos alone. How far another '
        "meta-training would move a rule is not known, so no rule is shown to be better in "
        "general; <code>--seeds=3</code> says more.</p>"
    )


def _introduction(results: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> str:
    seeds = len({trial["seed"] for trial in trials})
    videos = len(trials[0]["sequences"])
    real = len(trials[0].get("real", {"sequences": ()})["sequences"])
    also = f" and on {real} real target(s)" if real else ""
    versions = results["versions"]
    revision = str(versions.get("revision") or "unknown")[:12]
    return (
        f"<p>{len(trials)} trials, each one tracker whose inner loop is run by one rule, "
        f"meta-trained on rendered videos with {seeds} seed(s) and judged on {videos} held-out "
        f"rendered video(s){also}. {_text(results['fairness'].capitalize())}. Preset "
        f"{_text(results['configuration']['preset'])}, jax {_text(versions['jax'])} on "
        f"{_text(versions['platform'])}, revision {_text(revision)}.</p>"
    )


def _matrix(what: str, summary: Mapping[str, Mapping[str, Any]], rules: Sequence[str]) -> str:
    """The matrix as a heat map: darker is better within a tracker."""
    head = "".join(f"<th>{_text(rule)}</th>" for rule in rules)
    rows = []
    for tracker, each in summary.items():
        scores = [row["auc"] for row in each["rules"].values()]
        low, span = min(scores), max(max(scores) - min(scores), 1e-9)
        columns = []
        for rule in rules:
            row = each["rules"].get(rule)
            if row is None:
                columns.append(f'<td data-rule="{_text(rule)}">&ndash;</td>')
                continue
            share = round(70 * (row["auc"] - low) / span)
            best = ' class="best"' if row["auc"] == max(scores) else ""
            color = f"background:color-mix(in srgb, var(--accent) {share}%, transparent)"
            interval = f"<small>{row['low']:.3f}&ndash;{row['high']:.3f}</small>"
            columns.append(
                f'<td{best} data-rule="{_text(rule)}" style="{color}">'
                f"<span>{row['auc']:.3f}{interval}</span></td>"
            )
        rows.append(f"<tr><th>{_text(tracker)}</th>{''.join(columns)}</tr>")
    return (
        f"<h2>Area under the success curve, {_text(what)}</h2>"
        f'<div class="scroll"><table class="matrix"><tr class="head"><th>tracker</th>{head}</tr>'
        f"{''.join(rows)}</table></div>"
        "<p>With the 95 % interval over seeds and sequences (bootstrap). The best rule of a "
        "tracker is framed; colours compare the rules of one tracker.</p>"
    )


def _tracker(
    name: str,
    trials: Sequence[Mapping[str, Any]],
    summary: Mapping[str, Any],
    lines: Mapping[str, dict[str, Any]],
    folder: pathlib.Path,
) -> str:
    by_rule = of_tracker(trials, name)
    panels = [
        (figures.success(by_rule, lines), "Success on held-out videos, mean over seeds"),
        (figures.speed(by_rule, lines), "What an update costs and what it gives"),
        (
            figures.losses(by_rule, lines, "inner_losses", "inner loss"),
            "The loss that the rule minimizes, on the support; dots: the trained number of steps",
        ),
        (
            figures.losses(by_rule, lines, "query_losses", "query loss"),
            "The same iterates judged on the query: fewer and more steps than were trained for",
        ),
        (figures.rates(by_rule.get("learned_rates", [])), "Rates that were learned"),
    ]
    learned = figures.learned_functions(by_rule, lines)
    panels += [(figure, f"Learned {function}") for function, figure in learned.items()]
    judged = {what: each[name] for what, each in judged_on({name: summary}).items()}
    for place, (what, each) in enumerate(judged.items(), start=1):
        if each["ranking"]:
            difference = each["ranking"]["critical_difference"]
            caption = f"Mean ranks over {what}; a grey bar joins rules within {difference:.2f}"
            panels.insert(place, (figures.ranks(each["ranking"]), caption))
    drawn = [_figure(figures.svg(figure), caption) for figure, caption in panels if figure]
    clip = _clip(by_rule, lines, folder)
    return (
        f'<h2 id="{_text(name)}">{_text(name)}</h2><div class="grid">{"".join(drawn)}{clip}</div>'
        + "".join(_pairs(what, each["pairs"]) for what, each in judged.items())
    )


def _clip(
    by_rule: Mapping[str, Sequence[Mapping[str, Any]]],
    lines: Mapping[str, dict[str, Any]],
    folder: pathlib.Path,
) -> str:
    path = folder / "video.webp"
    boxes = {rule: np.array(trials[0]["boxes"]) for rule, trials in by_rule.items()}
    if not path.is_file():
        return ""
    truth = np.array(next(iter(by_rule.values()))[0]["true_boxes"])
    frames = clips.decode(path.read_bytes())[: len(truth)]
    colors = {"truth": "#ffffff"} | {rule: to_hex(lines[rule]["color"]) for rule in boxes}
    boxes = {"truth": truth} | boxes
    data = base64.b64encode(clips.draw(frames, boxes, colors)).decode()
    key = "".join(
        f'<span><i style="background:{colors[rule]}"></i>{_text(rule)}</span> ' for rule in boxes
    )
    caption = f'The first held-out video, first seed. <span class="key">{key}</span>'
    image = f'<img alt="the boxes of each rule on one video" src="data:image/webp;base64,{data}">'
    return f"<figure><figcaption>{caption}</figcaption>{image}</figure>"


def _pairs(what: str, pairs: Sequence[Mapping[str, Any]]) -> str:
    if not pairs:
        return ""
    rows = "".join(
        f"<tr><th>{_text(pair['a'])} &minus; {_text(pair['b'])}</th>"
        f"<td>{pair['auc_difference']:+.3f}</td><td>{pair['p']:.3g}</td></tr>"
        for pair in sorted(pairs, key=lambda pair: pair["p"])
    )
    return (
        f"<details><summary>Paired tests between rules on {_text(what)}</summary>"
        '<div class="scroll"><table><tr><th>difference in AUC</th><th>mean</th><th>p</th></tr>'
        f"{rows}</table></div><p>Wilcoxon's signed-rank test on the sequences, corrected for the "
        "number of pairs (Holm).</p></details>"
    )


def _failures(failures: Mapping[str, str]) -> str:
    if not failures:
        return ""
    entries = "".join(
        f"<details><summary>{_text(trial)}</summary><pre>{_text(why)}</pre></details>"
        for trial, why in failures.items()
    )
    return f"<h2>Trials that failed</h2>{entries}"


def _configuration(results: Mapping[str, Any]) -> str:
    constants = results["configuration"]["trackers"]
    entries = "".join(
        f"<details><summary>{_text(tracker)}</summary><pre>"
        + _text("\n".join(f"{name} = {value}" for name, value in values.items()))
        + "</pre></details>"
        for tracker, values in constants.items()
    )
    return f"<h2>Constants</h2>{entries}"


def _figure(drawing: str, caption: str) -> str:
    return f"<figure><figcaption>{_text(caption)}</figcaption>{drawing}</figure>"


def _text(value: object) -> str:
    return html.escape(str(value))
