"""Inner optimization loops that can be swapped and differentiated through.

An inner loop fits `params` to a `batch` by minimizing an objective with an inner optimizer:

    result = metaopt.fit(optimizer, objective, params, batch, steps=5)

The outer gradient flows through `fit` into the params' initial values, the optimizer's leaves, the
objective's, and the batch.
"""

from metaopt._adjoints import Adjoint as Adjoint
from metaopt._adjoints import ConvergenceWarning as ConvergenceWarning
from metaopt._adjoints import FirstOrder as FirstOrder
from metaopt._adjoints import Implicit as Implicit
from metaopt._adjoints import SolveReport as SolveReport
from metaopt._adjoints import Truncated as Truncated
from metaopt._adjoints import Unrolled as Unrolled
from metaopt._as_optax import as_optax as as_optax
from metaopt._estimators import Estimator as Estimator
from metaopt._estimators import Evolution as Evolution
from metaopt._estimators import Exact as Exact
from metaopt._estimators import PersistentEvolution as PersistentEvolution
from metaopt._evolution import PersistentState as PersistentState
from metaopt._evolution import evolution_gradient as evolution_gradient
from metaopt._evolution import persistent_evolution_gradient as persistent_evolution_gradient
from metaopt._files import load as load
from metaopt._files import pretrained as pretrained
from metaopt._files import save as save
from metaopt._fit import FitResult as FitResult
from metaopt._fit import fit as fit
from metaopt._fit_until import ConvergedFit as ConvergedFit
from metaopt._fit_until import fit_until as fit_until
from metaopt._objectives import CompositeLoss as CompositeLoss
from metaopt._objectives import CurvedObjective as CurvedObjective
from metaopt._objectives import LeastSquares as LeastSquares
from metaopt._objectives import Objective as Objective
from metaopt._objectives import ScalarLoss as ScalarLoss
from metaopt._outer import OuterState as OuterState
from metaopt._outer import outer_step as outer_step
from metaopt._parallel import distribute as distribute
from metaopt._parallel import episode_mesh as episode_mesh
from metaopt._pytree import static as static
from metaopt._stateful import Stateful as Stateful
from metaopt._version import __version__ as __version__
from metaopt.optimizers import InnerOptimizer as InnerOptimizer
from metaopt.optimizers.active_steps import ActiveSteps as ActiveSteps
from metaopt.optimizers.coordinatewise_rnn import CoordinatewiseRNN as CoordinatewiseRNN
from metaopt.optimizers.gauss_newton import GaussNewton as GaussNewton
from metaopt.optimizers.gradient_descent import GradientDescent as GradientDescent
from metaopt.optimizers.gradient_network import GradientNetwork as GradientNetwork
from metaopt.optimizers.learned_rates import LearnedRates as LearnedRates
from metaopt.optimizers.levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from metaopt.optimizers.orthogonal_mlp import OrthogonalMLP as OrthogonalMLP
from metaopt.optimizers.random_scaling import RandomScaling as RandomScaling
from metaopt.optimizers.steepest_descent import SteepestDescent as SteepestDescent
