"""The meta-gradient: its memory and time by adjoint and number of steps."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import optax
from jaxtyping import PyTree
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from tqdm import tqdm

import metaopt
from experiments.benchmarks.meta_problems import Problem, Sizes, problems
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved

ADJOINTS = {
    "unrolled": metaopt.Unrolled(),
    "unrolled, mixed mode": metaopt.Unrolled(mixed_mode=True),
    "unrolled, no remat": metaopt.Unrolled(remat=False),
    "truncated to 4": metaopt.Truncated(4),
    "first order": metaopt.FirstOrder(),
    "implicit": metaopt.Implicit(damping=1.0, max_iterations=10, unconverged="ignore"),
}


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is measured.

    Attributes:
        sizes: of the problems.
        steps: numbers of inner steps.
    """

    sizes: Sizes
    steps: tuple[int, ...]


PRESETS = {
    "smoke": Preset(Sizes(8, 2, 4, 1, 6, (2, 4), (3, 2)), (2,)),
    "full": Preset(
        Sizes(28, 4, 64, 15, 18, (15, 256), (11, 32)),
        tuple(2**power for power in range(8)),
    ),
}


def run(preset: str, repeats: int) -> Report:
    """Measures all problems by all adjoints."""
    chosen = PRESETS[preset]
    rows = [
        row
        for name, problem in problems(chosen.sizes).items()
        for row in scaling(name, problem, chosen.steps, repeats)
    ]
    return Report(rows, notes(rows), {"meta_gradient": _figure(rows)})


def compiled(problem: Problem, adjoint: metaopt.Adjoint, steps: int) -> jax.stages.Compiled:
    """Compiles the norm of the meta-gradient, a function of the meta-parameters and the episode."""
    fit = functools.partial(metaopt.fit, steps=steps, adjoint=adjoint)

    def norm(meta: PyTree, episode: PyTree) -> jax.Array:
        return optax.tree.norm(jax.grad(problem.loss)(meta, episode, fit))

    return jax.jit(norm).lower(problem.meta, problem.episode).compile()


def memory(program: jax.stages.Compiled) -> int:
    """The bytes that a call takes beside its arguments and its result."""
    analysis = program.memory_analysis()
    assert analysis is not None  # every backend of ours has one
    return analysis.temp_size_in_bytes


def scaling(name: str, problem: Problem, steps: Sequence[int], repeats: int) -> list[Comparison]:
    """A problem by all adjoints and numbers of steps."""
    rows = [row for count in steps for row in _side_by_side(name, problem, count, repeats)]
    order = list(ADJOINTS)
    return sorted(rows, key=lambda row: order.index(str(row.case["adjoint"])))


def _side_by_side(name: str, problem: Problem, steps: int, repeats: int) -> list[Comparison]:
    """All adjoints at one number of steps.

    Programs of more step counts are not kept at once: unrolled ones have so many memory mappings
    that the kernel's limit on them (65,530) is met.
    """
    label = f"{name}, {steps} steps"
    programs = {
        adjoint: compiled(problem, ADJOINTS[adjoint], steps)
        for adjoint in tqdm(ADJOINTS, f"compiling {label}", unit="program")
    }
    calls = {
        adjoint: functools.partial(program, problem.meta, problem.episode)
        for adjoint, program in programs.items()
    }
    measured = interleaved(calls, repeats, label)
    return [
        Comparison(
            case={"problem": name, "adjoint": adjoint, "steps": steps},
            times={"meta-gradient": measured[adjoint]},
            numbers={
                "memory, MB": memory(program) / 1e6,
                "gradient norm": float(measured[adjoint].output),
            },
        )
        for adjoint, program in programs.items()
    ]


def notes(rows: Sequence[Comparison]) -> list[str]:
    """What the columns mean, and by how much memory grows."""
    lines = [
        "memory: what XLA sets aside for one call beside arguments and result.",
        "implicit: 10 iterations of conjugate gradients, damped by 1; its gradient, as that of the "
        "two adjoints before it, is another one.",
    ]
    megabytes = {tuple(row.case.values()): row.numbers["memory, MB"] for row in rows}
    for name in dict.fromkeys(row.case["problem"] for row in rows):
        few, many = (megabytes.get((name, "unrolled", steps)) for steps in (4, 64))
        if few and many:
            ratio = f"{many / few:.2f} times that at 4 (wanted: at most 3)"
            lines.append(f"{name}: with rematerialization, memory at 64 steps is {ratio}.")
    peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    return [*lines, f"Peak of the device in this run: {peak / 1e6:.0f} MB."] if peak else lines


def _figure(rows: Sequence[Comparison]) -> Figure:
    """Memory above, time below, against the number of steps; a column for each problem."""
    names = list(dict.fromkeys(row.case["problem"] for row in rows))
    figure = Figure(figsize=(4 * len(names), 7), layout="constrained")
    axes = figure.subplots(2, len(names), sharex=True, squeeze=False)
    for column, name in enumerate(names):
        for adjoint in ADJOINTS:
            line = [r for r in rows if r.case["problem"] == name and r.case["adjoint"] == adjoint]
            steps = [row.case["steps"] for row in line]
            axes[0, column].plot(steps, [row.numbers["memory, MB"] for row in line], "o-", ms=3)
            times = [1e3 * row.times["meta-gradient"].median for row in line]
            axes[1, column].plot(steps, times, "o-", ms=3, label=adjoint)
        axes[0, column].set(title=name)
        axes[1, column].set(xlabel="inner steps")
        for axis in axes[:, column]:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_minor_formatter(NullFormatter())
        axes[1, column].set_xscale("log", base=2)
        axes[1, column].set_xticks(steps, map(str, steps))
    axes[0, 0].set_ylabel("memory (MB)")
    axes[1, 0].set_ylabel("median time (ms)")
    handles, names = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure
