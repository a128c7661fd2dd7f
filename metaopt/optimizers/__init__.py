"""The inner optimizers, one a file; a new file here appears in every tracker and program."""

import importlib
import pkgutil

from metaopt.optimizers._base import InnerOptimizer as InnerOptimizer
from metaopt.optimizers._base import make as make
from metaopt.optimizers._base import names as names
from metaopt.optimizers._base import register as register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
