"""Names that a list flag may hold."""

from collections.abc import Collection, Sequence

from basics.errors import InputError


def choose(names: Sequence[str], known: Collection[str], kind: str) -> list[str]:
    """The names that a flag gives, each once; all that are known for "all".

    Args:
        names: of the flag.
        known: in the order of "all".
        kind: what they are, in the singular.

    Raises:
        InputError: a name is unknown, or there is none.
    """
    chosen = list(known) if list(names) == ["all"] else list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}: known are {', '.join(known)}, and all")
    if not chosen:
        raise InputError(f"no {kind} is named: known are {', '.join(known)}, and all")
    return chosen
