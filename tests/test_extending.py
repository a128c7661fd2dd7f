"""docs/extending.md keeps its word: two modules in a package of one's own, and no other file."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib

import jax
import numpy as np
import pytest
from PIL import Image

import metaopt
from tests.tracking_tasks.striped import video
from tracking_tasks import evaluation

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
TRACKER, RULE = "single_filter", "clipped_descent"
CONTRACT = "tests/metaopt/test_contract.py", "tests/tracking_tasks/trackers/test_contract.py"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of processes with the package of the page installed beside the repository."""
    site = tmp_path_factory.mktemp("site")
    for program in blocks("python"):
        name = re.match(r'"""(\w+\.py):', program)[1]
        (site / name).write_text(program)
    metadata = site / "my_package-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    (page,) = blocks("toml")
    groups = tomllib.loads(page)["project"]["entry-points"]
    lines = [
        line
        for group, names in groups.items()
        for line in (f"[{group}]", *(f"{name} = {module}" for name, module in names.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return os.environ | {
        "PYTHONPATH": str(site),
        "JAX_COMPILATION_CACHE_DIR": jax.config.values["jax_compilation_cache_dir"],
    }


def python(environment, *arguments, **options):
    """Runs it in the repository."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, **options,
    )  # fmt: skip


def run_all(environment, *commands):
    """What programs print, one after the other in one process."""
    process = python(environment, "tests.in_one_process", input=json.dumps(commands))
    assert process.returncode == 0, process.stderr
    statuses, outputs = zip(*json.loads(process.stdout), strict=True)
    assert not any(statuses), process.stderr
    return outputs


@pytest.fixture(scope="module")
def known(environment):
    """The help of a program, and the contract tests."""
    return run_all(
        environment,
        ["experiments.sweep", "--helpfull"],
        ["pytest", "-n", "0", "-p", "no:cacheprovider", "--collect-only",
         "-W", "ignore::pytest.PytestAssertRewriteWarning", *CONTRACT],
    )  # fmt: skip


def test_both_are_in_the_flags_with_their_meaning(known):
    for line in (
        rf"--inner_optimizers: .*\b{RULE}\b",
        rf"--trackers: .*\b{TRACKER}\b",
        rf"--{TRACKER}\.filter_size: side of the filter in cells, odd\.\s+\(default: '5'\)",
    ):
        assert re.search(line, known[0], re.S), line


@pytest.mark.full
def test_both_are_in_the_matrix_and_follow_a_target_in_a_video(environment, tmp_path):
    images, boxes = video(8)
    frames, folder = tmp_path / "frames", tmp_path / "sweep"
    frames.mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(frames / f"{index:04d}.png")
    run_all(
        environment,
        ["experiments.sweep", "--preset=smoke", f"--trackers={TRACKER}",
         f"--inner_optimizers={RULE}", f"--{TRACKER}.filter_size=3", f"--{TRACKER}.crop_size=96",
         f"--output_dir={folder}"],
        ["experiments.track", f"--tracker={TRACKER}", f"--video={frames}",
         f"--checkpoint={folder / TRACKER / 'checkpoints' / f'{RULE}-0.safetensors'}",
         f"--box={','.join(map(str, boxes[0]))}", f"--output={tmp_path / 'tracked'}"],
    )  # fmt: skip
    (trial,) = json.loads((folder / "results.json").read_text())["cells"]
    assert (trial["tracker"], trial["inner_optimizer"]) == (TRACKER, RULE)
    assert 0 < trial["query_losses"][-1] < trial["query_losses"][0]  # the rule fits the filter
    configuration = json.loads((folder / "run.json").read_text())["configuration"]
    assert configuration["trackers"][TRACKER]["filter_size"] == 3
    found = np.loadtxt(tmp_path / "tracked" / "boxes.txt", delimiter=",")
    assert evaluation.overlap(found, boxes).min() > 0.6


OF_BOTH = {
    f"test_untrained_it_descends_and_along_the_meta_gradient_it_gets_faster[{RULE}-quadratic]",
    f"test_jit_vmap_and_grad_agree_with_a_loop_of_plain_steps[{RULE}]",
    f"test_the_default_rule_follows_a_plain_target[{TRACKER}-True]",
    f"test_a_blank_frame_and_a_vanished_target_do_no_harm[{TRACKER}-True]",
}


def test_the_contract_tests_take_both_up(known):
    assert set(re.findall(r"^tests/.*::(\S+)", known[1], re.M)) > OF_BOTH


def passed(environment, *arguments):
    """What passes of the contract tests."""
    done = python(
        environment, "pytest", "-n", "0", "-p", "no:cacheprovider", "-rp", *arguments, *CONTRACT
    )
    assert done.returncode == 0, done.stdout
    return set(re.findall(r"^PASSED .*::(\S+)", done.stdout, re.M))


@pytest.mark.full
def test_both_pass_the_contract_tests(environment):
    assert passed(environment, "-k", f"{RULE} or {TRACKER}") > OF_BOTH


@pytest.mark.full
def test_the_tracker_is_fitted_by_every_rule(environment):
    tracked = {
        name for name in passed(environment, "-m", "not slow", "-k", TRACKER) if "nan" in name
    }
    assert tracked == {
        f"test_every_rule_tracks_without_nan[{TRACKER}-{rule}]"
        for rule in (*metaopt.optimizers.names(), RULE)
    }
