"""The tables that can be reproduced: every module here that has `TABLES` adds them."""

import importlib
import pkgutil

from experiments.reproduction.paper_table import Table


def load_tables() -> dict[str, Table]:
    """All tables by name, in the order of the modules' names.

    Raises:
        ValueError: two tables share a name.
    """
    tables: dict[str, Table] = {}
    for module in pkgutil.iter_modules(__path__):
        for table in getattr(importlib.import_module(f"{__name__}.{module.name}"), "TABLES", ()):
            if table.name in tables:
                raise ValueError(f"there are two tables {table.name!r}")
            tables[table.name] = table
    return tables
