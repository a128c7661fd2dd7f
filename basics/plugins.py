"""Modules of a user's own that bring inner optimizers and trackers with them."""

import importlib
import os

from basics.errors import InputError

VARIABLE = "METAOPT_PLUGINS"


def load() -> None:
    """Imports the modules that the environment variable METAOPT_PLUGINS names, commas between.

    Each registers what it brings when it is imported, so that flags and tables have it too:

        METAOPT_PLUGINS=my_rules,my_package.my_tracker python -m experiments.sweep --preset=smoke

    Raises:
        InputError: if there is no such module.
    """
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, and lacks something else
            raise InputError(
                f"{VARIABLE}: no module {name!r}; put its folder on PYTHONPATH or take it out"
            ) from error
