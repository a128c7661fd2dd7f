"""The families of tasks, one a file."""

import inspect
from typing import Any

from basics.errors import InputError
from experiments.few_shot.tasks.base import Episode, Samples, Task
from experiments.few_shot.tasks.digits import Digits
from experiments.few_shot.tasks.mini_imagenet import MiniImageNet
from experiments.few_shot.tasks.omniglot import Omniglot
from experiments.few_shot.tasks.omniglot_challenge import OmniglotSmall1, OmniglotSmall2
from experiments.few_shot.tasks.sinusoid import Sinusoid

TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (Sinusoid, Omniglot, OmniglotSmall1, OmniglotSmall2, Digits, MiniImageNet)
}


def create(name: str, **options: Any) -> Task:
    """A task by its name.

    Args:
        name: one of `TASKS`.
        **options: of its `create`; those that are None count as not given.

    Raises:
        InputError: if the task has no such option, or its data cannot be used.
    """
    given = {option: value for option, value in options.items() if value is not None}
    known = inspect.signature(TASKS[name].create).parameters
    for option in given:
        if option not in known:
            raise InputError(f"the task {name} takes no --{option}: leave it out")
    return TASKS[name].create(**given)


__all__ = ["TASKS", "Episode", "Samples", "Task", "create"]
