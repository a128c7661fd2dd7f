"""The exception for pretrained weights that cannot be used."""


class WeightsError(ValueError):
    """A weights file is missing, damaged, or not what was asked for.

    The message is one sentence that names the file and the remedy.
    """
