"""What a meta-training leaves on disk while it runs: states to resume from, and metrics."""

import json
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from tensorboardX import SummaryWriter

import metaopt
from basics.errors import InputError, said_by
from basics.files import parse_json, write_atomic


class TrainingFolder:
    """Checkpoints by Orbax in `state/`, TensorBoard `events/`, and `metrics.jsonl`.

    Args:
        folder: made if it does not exist.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager((folder / "state").absolute(), options=options)
        self._metrics = folder / "metrics.jsonl"
        self._events = folder / "events"
        self._writer: SummaryWriter | None = None

    def save(self, state: metaopt.OuterState) -> None:
        """Writes a state; after a kill it is there whole or not at all.

        Raises:
            InputError: if it cannot be written; earlier states stay.
        """
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        step = int(state.step)
        try:
            self._manager.save(step, args=ocp.args.StandardSave(leaves), force=True)
        except (ValueError, OSError) as error:  # a full disk is a ValueError to Orbax
            raise InputError(
                f"{self._manager.directory}: the state of step {step} cannot be written "
                f"({said_by(error)}): make room, and go on with --resume"
            ) from error

    def restore(self, state: metaopt.OuterState) -> metaopt.OuterState:
        """The newest state, or the given one if there is none; later metrics are forgotten.

        Raises:
            InputError: if the newest state is damaged or of another run.
        """
        newest = self._manager.latest_step()
        if newest is None and any(
            path.name.isdigit() for path in self._manager.directory.iterdir()
        ):
            raise self._unusable()
        self._forget_metrics_after(newest or 0)
        if newest is None:
            return state
        leaves, structure = jax.tree.flatten(state)
        target = [np.asarray(leaf) for leaf in leaves]
        try:
            saved = self._manager.restore(newest, args=ocp.args.StandardRestore(target))
        except Exception as error:  # Orbax reports damage by many types
            raise self._unusable() from error
        return jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in saved])

    def _unusable(self) -> InputError:
        return InputError(
            f"{self._manager.directory}: its state is damaged or of another run; "
            "train into an empty folder"
        )

    def log(self, step: int, values: dict[str, float]) -> None:
        """Appends the metrics of a step."""
        if self._writer is None:
            self._writer = SummaryWriter(str(self._events))
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with open(self._metrics, "a") as file:
            file.write(json.dumps({"step": step, **finite}) + "\n")

    def close(self) -> None:
        """Flushes the events."""
        if self._writer is not None:
            self._writer.close()

    def _forget_metrics_after(self, step: int) -> None:
        """Drops the lines that a resumed run will write again, and a line cut by a kill."""
        if self._metrics.exists():
            write_atomic(self._metrics, metrics_until(self._metrics.read_bytes(), step))


def metrics_until(lines: bytes, step: int) -> bytes:
    """The lines of a `metrics.jsonl` up to a step; those that cannot be read are left out."""
    kept = []
    for line in lines.splitlines():
        try:
            if parse_json(line)["step"] <= step:
                kept.append(line + b"\n")
        except (ValueError, KeyError, TypeError):
            continue
    return b"".join(kept)
