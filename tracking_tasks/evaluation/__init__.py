"""Scores and one-pass evaluation; boxes are (N, 4) arrays of x, y, width, height.

The plots are in `tracking_tasks.evaluation.plots`, whose import takes matplotlib along.
"""

from tracking_tasks.evaluation.metrics import center_error as center_error
from tracking_tasks.evaluation.metrics import normalized_precision as normalized_precision
from tracking_tasks.evaluation.metrics import (
    normalized_precision_curve as normalized_precision_curve,
)
from tracking_tasks.evaluation.metrics import overlap as overlap
from tracking_tasks.evaluation.metrics import precision as precision
from tracking_tasks.evaluation.metrics import precision_curve as precision_curve
from tracking_tasks.evaluation.metrics import success_auc as success_auc
from tracking_tasks.evaluation.metrics import success_curve as success_curve
from tracking_tasks.evaluation.one_pass import SequenceResult as SequenceResult
from tracking_tasks.evaluation.one_pass import evaluate as evaluate
from tracking_tasks.evaluation.one_pass import summarize as summarize
from tracking_tasks.evaluation.protocols import PROTOCOLS as PROTOCOLS
