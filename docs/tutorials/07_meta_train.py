# %% [markdown]
# # Meta-train a tracker
#
# The program with its smallest sizes: a few outer steps on rendered videos, on DiMP. It shows the
# way, not what can be reached; for that leave the sizes out.

# %%
import pathlib
import subprocess
import sys
import tempfile

import tracking_tasks

ROOT = pathlib.Path(tracking_tasks.__file__).parents[1]
OUT = pathlib.Path(tempfile.mkdtemp()) / "dimp"
command = [
    sys.executable,
    "-m",
    "experiments.train",
    "--tracker=dimp",
    f"--output_dir={OUT}",
    "--outer_steps=4",
    "--episodes=2",
    "--dimp.crop_size=96",
]
done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
print(done.stdout[-800:])
assert done.returncode == 0, done.stderr[-2000:]

# %%
for path in sorted(OUT.rglob("*")):
    if path.is_file():
        print(f"{path.stat().st_size:9,} bytes  {path.relative_to(OUT)}")

# %% [markdown]
# The checkpoint is one file, which `tracking_tasks.load("dimp", checkpoint=...)` and
# `--checkpoint=` of every program take. Your own data sets: [data](../data.md).
