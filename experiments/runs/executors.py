"""Where jobs run: in this process, in several, or on a Ray cluster."""

import concurrent.futures
import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from absl import logging

from basics.compilation import keep_compiled_programs, let_go_of_programs
from basics.errors import InputError

EXECUTORS = ("local", "ray")

Job = TypeVar("Job")
Run = Callable[[Job], Any]
Outcome = tuple[Job, Any, str | None]  # a job, what it gave, and why it failed

_run: Callable[[Any], Any] | None = None  # of this process


def run(
    make: Callable[[], Run[Job]],
    jobs: Sequence[Job],
    executor: str = "local",
    workers: int = 1,
) -> Iterator[Outcome[Job]]:
    """Runs jobs and yields each as it ends; one that fails does not stop the others.

    Args:
        make: makes, once in each process, the function that runs a job.
        jobs: in this order, as far as the workers leave one.
        executor: one of `EXECUTORS`.
        workers: processes on this machine; for "ray", as many as the cluster has room for.

    Raises:
        InputError: Ray is not installed.
    """
    if executor == "ray":
        return _on_ray(make, jobs)
    if workers > 1:
        return _in_processes(make, jobs, workers)
    function = make()
    return (_attempt(function, job) for job in jobs)


def _attempt(function: Run[Job], job: Job) -> Outcome[Job]:
    let_go_of_programs()  # of the jobs before
    try:
        return job, function(job), None
    except (InputError, OSError) as error:  # what a user can put right
        return job, None, str(error)
    except Exception as error:  # a job's defect is reported, and the others go on
        return job, None, "".join(traceback.format_exception(error)).strip()


def _in_processes(
    make: Callable[[], Run[Job]], jobs: Sequence[Job], workers: int
) -> Iterator[Outcome[Job]]:
    left = list(jobs)
    while left:
        interrupted = yield from _in_a_pool(make, left, workers)
        # One killed process ends its pool. Jobs are begun in order: the first were at work.
        for job in interrupted[:workers]:
            yield job, None, "its process, or one beside it, was killed, perhaps for want of memory"
        left = interrupted[workers:]


def _in_a_pool(
    make: Callable[[], Run[Job]], jobs: Sequence[Job], workers: int
) -> Generator[Outcome[Job], None, list[Job]]:
    """Runs jobs until all have ended or a process is killed; returns those that have not ended."""
    # Forked processes would share JAX's threads, which do not survive it.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(make,)
    )
    waiting: dict[concurrent.futures.Future[Outcome[Job]], int] = {}
    interrupted = []
    try:
        for index, job in enumerate(jobs):
            try:
                waiting[pool.submit(_run_here, job)] = index
            except BrokenProcessPool:
                interrupted.append(index)
        for future in concurrent.futures.as_completed(waiting):
            try:
                yield future.result()
            except BrokenProcessPool:
                interrupted.append(waiting[future])
    finally:
        pool.shutdown(cancel_futures=True)
    return [jobs[index] for index in sorted(interrupted)]


def _on_ray(make: Callable[[], Run[Job]], jobs: Sequence[Job]) -> Iterator[Outcome[Job]]:
    try:
        import ray
    except ImportError:
        raise InputError(
            "--executor=ray needs Ray: pip install 'metaopt-jax[ray]', or use --executor=local"
        ) from None
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
        ray.init(log_to_driver=False)

    @ray.remote
    def task(make: Callable[[], Run[Job]], job: Job) -> Outcome[Job]:
        if _run is None:
            _start(make)
        return _run_here(job)

    shared = ray.put(make)
    waiting: dict[Any, Job] = {task.remote(shared, job): job for job in jobs}
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        job = waiting.pop(ready)
        try:
            yield ray.get(ready)
        except ray.exceptions.RayError as error:
            yield job, None, str(error)


def _start_worker(make: Callable[[], Run[Any]]) -> None:
    # A killed process releases its folder: its workers must not write there any longer.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _start(make)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _start(make: Callable[[], Run[Any]]) -> None:
    global _run
    logging.set_verbosity(logging.WARNING)
    keep_compiled_programs()
    _run = make()


def _run_here(job: Job) -> Outcome[Job]:
    assert _run is not None
    return _attempt(_run, job)
