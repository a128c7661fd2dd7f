# %% [markdown]
# # A sweep and its report
#
# `--preset=smoke` runs each cell in seconds and says nothing of which rule is better; it shows what
# comes out. For an answer take `--preset=quick` and three seeds or more.

# %%
import json
import pathlib
import subprocess
import sys
import tempfile

import tracking_tasks

ROOT = pathlib.Path(tracking_tasks.__file__).parents[1]
OUT = pathlib.Path(tempfile.mkdtemp()) / "sweep"


def run(program, *arguments):
    command = [sys.executable, "-m", f"experiments.{program}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


print(
    run(
        "sweep",
        "--preset=smoke",
        "--trackers=dimp",
        "--inner_optimizers=none,steepest_descent",
        "--seeds=1",
        "--dimp.crop_size=96",
        f"--output_dir={OUT}",
    )[-1500:]
)

# %% [markdown]
# All numbers, with every trial's curves, are in `results.json`; the page is made of it.

# %%
results = json.loads((OUT / "results.json").read_text())
for trial in results["cells"]:
    print(trial["tracker"], trial["inner_optimizer"], f"AUC {trial['auc']:.3f}")
print(run("report", OUT))
page = (OUT / "report.html").read_text()
print(f"{len(page) / 1024:.0f} KiB, without anything from elsewhere")

# %% [markdown]
# What the page shows, and what is made equal between rules: [comparing](../comparing.md).
