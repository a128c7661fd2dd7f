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


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Runs Python in the repository, with the package of the page installed beside it."""
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
    environment = os.environ | {
        "PYTHONPATH": str(site),
        "JAX_COMPILATION_CACHE_DIR": jax.config.values["jax_compilation_cache_dir"],
    }

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT, env=environment, capture_output=True, text=True,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def swept(python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    done = python(
        "experiments.sweep", "--preset=smoke", f"--trackers={TRACKER}",
        f"--inner_optimizers={RULE}", f"--{TRACKER}.filter_size=3", f"--{TRACKER}.crop_size=96",
        f"--output_dir={folder}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_both_are_in_the_flags_with_their_meaning(python):
    shown = python("experiments.sweep", "--helpfull").stdout
    for line in (
        rf"--inner_optimizers: .*\b{RULE}\b",
        rf"--trackers: .*\b{TRACKER}\b",
        rf"--{TRACKER}\.filter_size: side of the filter in cells, odd\.\s+\(default: '5'\)",
    ):
        assert re.search(line, shown, re.S), line


def test_both_are_in_the_matrix(swept):
    (trial,) = json.loads((swept / "results.json").read_text())["cells"]
    assert (trial["tracker"], trial["inner_optimizer"]) == (TRACKER, RULE)
    assert 0 < trial["query_losses"][-1] < trial["query_losses"][0]  # the rule fits the filter
    configuration = json.loads((swept / "run.json").read_text())["configuration"]
    assert configuration["trackers"][TRACKER]["filter_size"] == 3


def test_both_follow_a_target_in_a_video(python, swept, tmp_path):
    images, boxes = video(8)
    (tmp_path / "frames").mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "frames" / f"{index:04d}.png")
    done = python(
        "experiments.track", f"--tracker={TRACKER}", f"--video={tmp_path / 'frames'}",
        f"--checkpoint={swept / TRACKER / 'checkpoints' / f'{RULE}-0.safetensors'}",
        f"--box={','.join(map(str, boxes[0]))}", f"--output={tmp_path / 'tracked'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = np.loadtxt(tmp_path / "tracked" / "boxes.txt", delimiter=",")
    assert evaluation.overlap(found, boxes).min() > 0.6


def passed(python, *arguments):
    """What passes of the contract tests."""
    done = python(
        "pytest", "-n", "0", "-p", "no:cacheprovider", "-rp", *arguments,
        "tests/metaopt/test_contract.py", "tests/tracking_tasks/trackers/test_contract.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return set(re.findall(r"^PASSED .*::(\S+)", done.stdout, re.M))


def test_both_pass_the_contract_tests(python):
    assert passed(python, "-k", f"{RULE} or {TRACKER}") > {
        f"test_untrained_it_descends_and_along_the_meta_gradient_it_gets_faster[{RULE}-quadratic]",
        f"test_jit_vmap_and_grad_agree_with_a_loop_of_plain_steps[{RULE}]",
        f"test_the_default_rule_follows_a_plain_target[{TRACKER}]",
        f"test_a_blank_frame_and_a_vanished_target_do_no_harm[{TRACKER}]",
    }


@pytest.mark.full
def test_the_tracker_is_fitted_by_every_rule(python):
    tracked = {name for name in passed(python, "-m", "not slow", "-k", TRACKER) if "nan" in name}
    assert tracked == {
        f"test_every_rule_tracks_without_nan[{TRACKER}-{rule}]"
        for rule in (*metaopt.optimizers.names(), RULE)
    }
