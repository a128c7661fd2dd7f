"""Constants as arguments of a compiled program, which then serves tests of many values."""

import copy


def with_constants(config, values):
    """A frozen dataclass with values in the place of its own, traced ones too."""
    changed = copy.copy(config)
    for name, value in values.items():
        object.__setattr__(changed, name, value)  # the class takes no tracer for a number
    return changed
