"""The inner optimizers of MetaRTT's two fits."""

import metaopt
from basics.errors import InputError
from models import MLP
from tracking_tasks.trackers.meta_rtt.config import MetaRTTConfig


def make_rule(
    rule: str, classifier: MLP, config: MetaRTTConfig, steps: int
) -> metaopt.InnerOptimizer:
    """The rule of that name for a fit of `steps` steps; learned rates as fine as the config says.

    Raises:
        InputError: if channels are to be pruned, and the rule is made for all of them.
    """
    sets = steps if config.rate_sets == "step" else 1
    made = metaopt.optimizers.make(rule, classifier, steps=sets, rate=config.initial_lr)
    made = made.with_granularity(config.granularity)
    if config.kept < 1 and not made.fits_any_shapes:
        raise InputError(
            f"meta_rtt: {rule} is made for all channels and cannot fit what is left of them: with "
            "--meta_rtt.kept below 1 choose another rule, or --meta_rtt.granularity=tensor"
        )
    return made
