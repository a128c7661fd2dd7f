"""The kinds of input that runs leave and take: weights, configurations, results, metrics."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags

import metaopt
from basics.errors import InputError
from basics.files import parse_json
from basics.leaves import named_leaves
from experiments import report
from experiments.analysis import published_results, validation_results
from experiments.analysis.evaluation_folder import EvaluationFolder
from experiments.command_line import cli, dataset_flags, tracker_flags
from experiments.meta_training.training_folder import TrainingFolder, metrics_until
from experiments.pictures import vot_plots
from experiments.runs import run_lock, trials
from models import WeightsError, load_state_dict
from tests.campaigns import sources
from tests.campaigns.inputs import Subject
from tests.models.backbones import torch_files
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.tiny import make as make_tracker
from tracking_tasks import checkpoints
from tracking_tasks.adapters.vot import add_to_registry
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import SequenceResult, vot_anchor, vot_files
from tracking_tasks.trackers import TRACKERS

BOXES = np.float32([[index + 1, 1, 4, 3] for index in range(4)])
SEQUENCE = Sequence(
    "a", (np.zeros((6, 8, 3), np.uint8),) * 4, BOXES, anchors=np.array([1, 0, 0, 0])
)
FLAGS = """--dimp.crop_size=64
--dimp.search_factor=5.0
--dimp.box_estimation=scale_search
--dimp.scales=(0.96,1.0,1.04)
--dimp.iou.width=8
--roam.train_steps=2
--meta_rtt.initial_lr=0.1
--gradnet.online_update=False
"""


def put(name, data):
    """Writes one file, and damages it."""

    def write(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return [path]

    return write


def finite(tree):
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


@functools.cache
def tracker():
    return make_tracker()


def write_checkpoint(folder):
    checkpoints.save(folder / "a.safetensors", tracker(), "steepest_descent", seed=1)
    return [folder / "a.safetensors"]


def read_checkpoint(folder):
    loaded, _ = checkpoints.load(folder / "a.safetensors", "dimp", backbone=Tiny())
    return named_leaves(loaded)


def write_constants(folder):
    write_checkpoint(folder)
    text = checkpoints.read_metadata(folder / "a.safetensors")["config"]
    (folder / "a.safetensors").unlink()
    return put("config.json", text)(folder)


def read_constants(folder):
    """The constants of a checkpoint whose JSON is the file."""
    text = (folder / "config.json").read_bytes().decode(errors="replace")
    metadata = {"tracker": "dimp", "format": "metaopt tracker 2", "config": text}
    return checkpoints._constants("a.safetensors", metadata)


@functools.cache
def registry():
    values = flags.FlagValues()
    return values, tracker_flags.Constants(values)


def read_flags(folder):
    values, constants = registry()
    lines = (folder / "flags.txt").read_bytes().decode(errors="surrogateescape").splitlines()
    # Those of absl's own flags that read files or end the process are no constants.
    given = [line for line in lines if line.startswith("--") and "flagfile" not in line]
    cli.parse(values, ["it", *given])
    return {
        name: constants.apply(name, cls.config_type())
        for name, cls in TRACKERS.items()
        if constants._flags[name].given
    }


def write_rule(folder):
    rule = metaopt.optimizers.make("learned_rates", jnp.zeros(3), steps=2, rate=0.1)
    metaopt.save(folder / "rule.safetensors", rule)
    return [folder / "rule.safetensors"]


def write_torch(legacy):
    numbers = np.arange(12, dtype=np.float32)
    stored = torch_files.storage("FloatStorage", "0", 12, legacy)
    body = torch_files.dictionary(
        whole=torch_files.tensor(stored, 0, (3, 4), (4, 1)),
        part=torch_files.tensor(stored, 5, (2, 2), (1, 4)),
    )
    return put("net.pth", torch_files.checkpoint(body, {"0": numbers}, legacy))


def state(step):
    params = {"a": jnp.full(3, float(step))}
    return metaopt.OuterState.create(params, optax.sgd(0.1)).replace(step=jnp.int32(step))


def write_state(folder):
    TrainingFolder(folder).save(state(4))
    return sorted(path for path in (folder / "state").rglob("*") if path.is_file())


def state_is_that_of_step_4(restored):
    """Its numbers may be others, which nothing says; it must not be that of the start."""
    return finite(restored) and int(restored.step) == 4


METRICS = "".join(json.dumps({"step": step, "loss": 0.5 / step}) + "\n" for step in range(1, 7))


def metrics_sound(kept):
    return all(parse_json(line)["step"] <= 5 for line in kept.splitlines())


def write_matrix(folder):
    sources.write_matrix(folder)
    for path in folder.iterdir():
        if path.name != "results.json":
            path.unlink()
    return [folder / "results.json"]


VOT = {
    "challenge": "vot2018", "accuracy": 0.6, "robustness": 0.2, "eao": 0.3, "sequences": {"a": {}},
    "interval": [1, 3], "expected_overlap": [1.0, 0.7, 0.5, 0.4],
}  # fmt: skip


def read_vot_results(folder):
    found = vot_plots.read(folder)
    if found:
        vot_plots.save(folder / "plots", {"a": found})
    return found


def trial_row(number):
    found = {"target": "a", "number": number, "split": "val", "kind": "clean"}
    return found | {"auc": 0.5, "precision20": 0.7}


ROWS = [trial_row(0), trial_row(1)]


def read_validation(folder):
    rows = validation_results.read(folder)
    return validation_results.means(rows), validation_results.differences(rows, rows)


def read_lock(folder):
    return run_lock.lock(folder, {"tracker": "dimp"}, taken=True, resume=True)


def write_lock(folder):
    run_lock.lock(folder, {"tracker": "dimp"}, taken=False, resume=False)
    return [folder / "run.json"]


def write_evaluation(folder):
    found = SequenceResult("a", BOXES, BOXES, np.ones(3), np.ones(4, np.float32), 2)
    EvaluationFolder(folder, {}, resume=False).save(found)
    return sorted(path for path in folder.rglob("*.txt"))


def read_evaluation(folder):
    return EvaluationFolder(folder, {}, resume=True).load(SEQUENCE)


def write_vot(folder):
    run = vot_anchor.scored(SEQUENCE, 0, False, BOXES, np.ones(4))
    vot_files.write_anchored(folder, "a", [run])
    return sorted(path for path in folder.rglob("*") if path.is_file())


def vot_sound(found):
    return found is None or all(len(run.boxes) == len(run.seconds) == 4 for run in found)


def write_registry(folder):
    add_to_registry(folder / "trackers.ini", "dimp", {"tracker": "dimp"})
    return [folder / "trackers.ini"]


def any_result(_):
    return True


SUBJECTS = [
    Subject("checkpoints", write_checkpoint, read_checkpoint, finite, 1500),
    Subject("constants of checkpoints", write_constants, read_constants, any_result, 1500),
    Subject(
        "constants as flags", put("flags.txt", FLAGS), read_flags, any_result, 400,
        (InputError, flags.Error),
    ),
    Subject(
        "rules", write_rule, lambda folder: metaopt.load(folder / "rule.safetensors"), any_result,
        1000, (ValueError,),
    ),
    *(
        Subject(
            f"PyTorch files, {name}", write_torch(legacy),
            lambda folder: load_state_dict(folder / "net.pth"), any_result, 1000, (WeightsError,),
        )
        for name, legacy in (("zip", False), ("legacy", True))
    ),
    Subject(
        "states of trainings", write_state,
        lambda folder: TrainingFolder(folder).restore(state(0)), state_is_that_of_step_4, 150,
    ),
    Subject(
        "metrics.jsonl", put("metrics.jsonl", METRICS),
        lambda folder: metrics_until((folder / "metrics.jsonl").read_bytes(), 5), metrics_sound,
        1000,
    ),
    Subject("results.json of a matrix", write_matrix, report.page_of, any_result, 150),
    Subject(
        "results.json of VOT", put("results.json", json.dumps(VOT)), read_vot_results, any_result,
        150,
    ),
    Subject(
        "results.json of validation", put("results.json", json.dumps({"trials": ROWS})),
        read_validation, any_result, 800,
    ),
    Subject(
        "trials", put("cells/a-0.json", json.dumps({"auc": 0.5})),
        lambda folder: trials.load(folder, "a", 0), any_result, 500,
    ),
    Subject(
        "split.json", put("split.json", json.dumps({"train": ["a", "b"], "val": ["c"]})),
        lambda folder: dataset_flags.targets_of(folder, "val"),
        lambda names: all(isinstance(name, str) for name in names), 500,
    ),
    Subject("run.json", write_lock, read_lock, any_result, 500),
    Subject(
        "boxes, scores and times", write_evaluation, read_evaluation,
        lambda found: found is None or len(found.boxes) == 4, 800,
    ),
    Subject(
        "boxes of others", put("a.txt", "2,2,4,3\n3,2,4,3\n4,2,4,3\n5,2,4,3\n"),
        lambda folder: published_results.read_published(folder / "a.txt", SEQUENCE),
        lambda boxes: boxes.shape == (4, 4), 500,
    ),
    Subject(
        "runs of VOT", write_vot, lambda folder: vot_files.read_anchored(folder, SEQUENCE),
        vot_sound, 500,
    ),
    Subject(
        "trackers.ini", write_registry,
        lambda folder: add_to_registry(folder / "trackers.ini", "dimp", {}), any_result, 300,
    ),
]  # fmt: skip
