"""The leaves of a tracker by name, under the name that callers of this package know."""

from basics.leaves import is_part as is_part
from basics.leaves import named_leaves as named_leaves
from basics.leaves import with_leaves as with_leaves
