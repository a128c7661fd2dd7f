"""Adjoints, one a file: how the outer gradient passes through a fit."""

from metaopt._adjoints._base import Adjoint as Adjoint
from metaopt._adjoints._base import Carry as Carry
from metaopt._adjoints._base import Loop as Loop
from metaopt._adjoints._minimizer import ConvergenceWarning as ConvergenceWarning
from metaopt._adjoints.first_order import FirstOrder as FirstOrder
from metaopt._adjoints.implicit import Implicit as Implicit
from metaopt._adjoints.truncated import Truncated as Truncated
from metaopt._adjoints.unrolled import Unrolled as Unrolled
from metaopt._solvers import SolveReport as SolveReport
