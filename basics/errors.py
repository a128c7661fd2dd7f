"""The one exception type for what a user can put right."""


class InputError(ValueError):
    """A file, a flag or a value that the user gave cannot be used.

    The message is one sentence that names the culprit and the remedy; programs print it alone,
    without a traceback, and exit with a non-zero status.
    """


def said_by(error: Exception) -> str:
    """What an error of a library says, in a line of at most 250 characters.

    Some repeat the whole of a damaged file.
    """
    return " ".join(str(error).split())[:250]
