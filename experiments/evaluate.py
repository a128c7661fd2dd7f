r"""Evaluates a tracker on annotated sequences, in one pass.

The tracker starts from the first true box of each sequence and is never restarted. The given box
counts as the prediction of the first frame, as in the Object Tracking Benchmark.

Examples:
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=results
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=results --resume
    python -m experiments.evaluate --dataset_dir=GOT-10k --dataset_format=got10k \
        --dataset_split=val --output_dir=val
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=sre --start=sre
    python -m experiments.evaluate --dataset_dir=OTB100 --output_dir=more --parallel_videos=8 \
        --sequences=Couple,Jogging.1 --inner_optimizer=gradient_descent

Writes to the output folder, the boxes of each sequence as soon as it ends:
    boxes/<sequence>.txt      x,y,w,h in pixels from 0, a line a frame, the given box first
    scores/<sequence>.txt     the tracker's confidence in each box, 1 for the given one
    times/<sequence>.txt      seconds that each update took, from the second frame on
    run.json                  what ran: tracker, inner optimizer, checkpoint (its SHA-256), format
    results.json              the scores of the protocol (for otb: auc of 21 thresholds, precision20
                              with centre errors of at most 20 pixels, success50), mean_overlap, and
                              fps: updates a second, without the first update of a sequence, which
                              compiles; over all sequences, for each, and by attribute. Computed
                              from the files above
    success.png, precision.png, normalized_precision.png
    attributes.png            if the sequences have attributes
    forms/<form>/             with --forms=otb: boxes as OTB's toolkit reads them; README.txt in it
                              says which form that is
    submission.zip            where the truth is withheld (test sets of GOT-10k and TrackingNet), in
                              place of scores and plots: what the server of the benchmark takes
experiments.plot puts several such folders, and those of other people's trackers, into one plot.

--resume tracks only the sequences that have no boxes yet, or damaged ones, and refuses a folder
that another tracker, checkpoint, format or start filled. Without it a folder that holds results is
refused: nothing is ever overwritten or mixed.

--skip_broken reports a sequence that cannot be read, leaves it out of all scores, says so in
results.json (skipped), and goes on; without it such a sequence ends the evaluation.

--parallel_videos=N tracks N videos side by side, for a whole benchmark in less time. On the CPU the
boxes are the same to the last bit; on other devices they agree to rounding.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from basics.errors import InputError
from experiments.analysis import evaluation_results
from experiments.analysis.evaluation_folder import EvaluationFolder
from experiments.command_line import cli, dataset_flags, shared_flags, tracker_flags
from experiments.command_line.output_folder import OutputFolder
from experiments.reproduction import benchmarks
from tracking_tasks import evaluation
from tracking_tasks.evaluation import otb_starts, results_folder

_DEFAULT_PROTOCOL = "otb"

FLAGS = flags.FlagValues()
_TRACKER = tracker_flags.LoadedTracker(FLAGS)
_DATASET = dataset_flags.Dataset(FLAGS)
_SEQUENCES = shared_flags.sequences_flag(FLAGS)
_PROTOCOL = flags.DEFINE_enum(
    "protocol",
    None,
    list(evaluation.PROTOCOLS),
    "How boxes are scored; by default as the data set's own toolkit does, or as otb.",
    flag_values=FLAGS,
)
_PAPER = benchmarks.paper_flag(FLAGS)
_START = dataset_flags.start_flag(FLAGS)
_PARALLEL_VIDEOS = flags.DEFINE_integer(
    "parallel_videos", 1, "How many videos are tracked side by side.", 1, flag_values=FLAGS
)
_FORMS = flags.DEFINE_multi_enum(
    "forms",
    [],
    list(results_folder.TEXT_FORMS),
    "Write the boxes in another form too: counted from zero or from one, or as the toolkits of otb "
    "and lasot read them.",
    flag_values=FLAGS,
)
_SKIP_BROKEN = flags.DEFINE_bool(
    "skip_broken",
    False,
    "Report a sequence that cannot be read, and go on with the others.",
    flag_values=FLAGS,
)
_OUTPUT = OutputFolder(FLAGS, resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    path = _OUTPUT.path
    broken: dict[str, str] = {}
    report = _reporter(broken) if _SKIP_BROKEN.value else None
    chosen = otb_starts.expand(_START.value, _DATASET.read(_SEQUENCES.value, report))
    tracker = _TRACKER.load()
    metadata = _TRACKER.metadata(tracker)
    settings = {name: FLAGS[name].value for name in ("dataset_format", "dataset_split", "start")}
    identity = metadata | {"checkpoint": _TRACKER.digest()} | settings
    folder = EvaluationFolder(path, identity, _OUTPUT.resumed)
    missing = [sequence for sequence in chosen if folder.load(sequence) is None]
    if len(missing) < len(chosen):
        print(f"{len(chosen) - len(missing)} of {len(chosen)} sequences are done already")
    evaluation.evaluate(
        tracker,
        missing,
        parallel_videos=_PARALLEL_VIDEOS.value,
        keep=folder.save,
        broken=report,
    )
    chosen = [sequence for sequence in chosen if sequence.name not in broken]
    if not chosen:
        raise InputError("every sequence is broken: nothing was evaluated")
    results = [result for sequence in chosen if (result := folder.load(sequence))]
    metadata |= _undone(results)
    for form in _FORMS.value:
        results_folder.write_text_form(path / "forms" / form, form, results)
    dataset_format = settings["dataset_format"]
    protocol = _PROTOCOL.value or (
        dataset_format if dataset_format in evaluation.PROTOCOLS else _DEFAULT_PROTOCOL
    )
    if not any(sequence.annotated[1:].any() for sequence in chosen):
        print(f"the truth is withheld: wrote boxes to {path}, and no scores")
        if protocol in results_folder.SUBMISSIONS:
            results_folder.write_submission(path / "submission.zip", protocol, results)
            print(f"submit {path / 'submission.zip'} to the server of the benchmark")
        _print_paper({})
        return
    found = evaluation_results.report(protocol, results, chosen)
    metadata |= {"protocol": protocol} | ({"skipped": broken} if broken else {})
    evaluation_results.save(path, metadata, results, found)
    print(evaluation_results.table(found))
    _print_paper(found)
    print(f"written to {path}")


def _print_paper(found: Mapping[str, Any]) -> None:
    if _PAPER.value:
        print(benchmarks.BENCHMARKS[_PAPER.value].beside(found))


def _undone(results: Sequence[evaluation.SequenceResult]) -> dict[str, Any]:
    """How many updates were not finite, by sequence; says so, for their scores mean little."""
    counts = {result.name: result.undone for result in results if result.undone}
    if not counts:
        return {}
    print(
        f"note: {sum(counts.values())} updates of the tracker were not finite and were undone, in "
        f"{', '.join(counts)}: its rule diverges there",
        file=sys.stderr,
    )
    return {"updates_undone": counts}


def _reporter(broken: dict[str, str]) -> Callable[[str, InputError], None]:
    """Notes in `broken` which sequences were left out and why, and says so."""

    def report(name: str, error: InputError) -> None:
        broken[name] = str(error)
        print(f"skipped {name}: {error}", file=sys.stderr)

    return report


if __name__ == "__main__":
    cli.run(main, FLAGS)
