"""The exception for what a user can put right, under the name that callers of this package know."""

from basics.errors import InputError as InputError
