"""What every program shares: errors in one line, and flags."""

import sys

from basics import plugins
from basics.errors import InputError

try:
    plugins.load()  # before flags list what there is to choose from
except InputError as error:
    sys.exit(f"error: {error}")
