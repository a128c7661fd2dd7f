"""The other programs: those that are run whole, and those that are ended as soon as they begin."""

import tracking_tasks
from experiments import (
    benchmark,
    evaluate,
    overlap_quality,
    plot,
    presence,
    render,
    report,
    track,
    validate,
    vot_trackers,
)
from experiments.demo import __main__ as demo
from experiments.few_shot import transfer
from experiments.learned_optimizer import evaluate as rule_evaluate
from experiments.learned_optimizer import train as rule_train
from tests.campaigns.sources import boxes_of, matrix, sequences, split
from tests.experiments import programs


def _follow(folder):
    """The tracker of these programs; a folder that is made tells when it is loaded."""

    def load(*_, **__):
        folder.mkdir(parents=True, exist_ok=True)
        return programs.Follower()

    tracking_tasks.load = load


def _evaluate(folder, resume):
    _follow(folder)
    flags = [f"--dataset_dir={sequences(folder, 'otb', 6)}", f"--output_dir={folder}"]
    return programs.run(evaluate, *flags, *(["--resume"] if resume else []))


def _validate(folder, resume):
    _follow(folder)
    videos = split(sequences(folder, "otb", 24))
    flags = [f"--videos_dir={videos}", "--trials=1", "--frames=8", f"--output_dir={folder}"]
    flags += [f"--frames_dir={folder.parents[1] / 'frames'}"]
    return programs.run(validate, *flags, *(["--resume"] if resume else []))


def _track(folder, resume):
    _follow(folder)
    video = sequences(folder, "otb", 6) / "Ball" / "img"
    flags = [f"--video={video}", "--box=10,15,20,24", f"--output={folder}"]
    return programs.run(track, *flags, *(["--overwrite"] if resume else []))


def _plot(folder, _):
    data = sequences(folder, "otb", 6)
    others = ",".join(str(boxes_of(data, name)) for name in ("one", "two"))
    flags = [f"--dataset_dir={data}", f"--results_dirs={others}", f"--output_dir={folder}"]
    return programs.run(plot, *flags)


def _report(folder, _):
    results, page = matrix(folder), f"--output={folder / 'page.html'}"
    try:
        report.cli.run(report.main, report.FLAGS, ["it", str(results), page], "RESULTS_DIR")
    except SystemExit as exit:
        return exit.code or 0


def _vot_trackers(folder, _):
    _follow(folder)
    return programs.run(vot_trackers, f"--output={folder / 'trackers.ini'}")


def _presence(folder, _):
    _follow(folder)
    return programs.run(presence, "--elsewhere=1")


def _demo(folder, _):
    demo.web.server = lambda *_: folder.mkdir()
    return programs.run(demo, "--noopen_browser")


def _to(module, *flags):
    """A program of which nothing but the beginning is run."""
    return lambda folder, _: programs.run(module, *flags, f"--output_dir={folder}")


# Those that go on, or that may be run again over what they wrote.
WHOLE = {"evaluate": _evaluate, "validate": _validate, "track": _track}
WHOLE |= {"plot": _plot, "report": _report, "vot_trackers": _vot_trackers}
BEGUN = {
    "presence": _presence,
    "demo": _demo,
    "render": _to(render),
    "benchmark": _to(benchmark, "--suite=inner_loop", "--preset=smoke"),
    "overlap_quality": _to(overlap_quality),
    "few_shot.transfer": _to(transfer),
    "learned_optimizer.train": _to(rule_train),
    "learned_optimizer.evaluate": _to(rule_evaluate),
}
