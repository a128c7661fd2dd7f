"""The exception for pretrained weights that cannot be used."""

from basics.errors import InputError


class WeightsError(InputError):
    """A weights file is missing, damaged, or not what was asked for.

    The message is one sentence that names the file and the remedy.
    """
