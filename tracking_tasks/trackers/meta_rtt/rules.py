"""The inner optimizers of MetaRTT's two fits."""

import metaopt
from basics.errors import InputError
from models import MLP
from tracking_tasks.trackers.meta_rtt.config import MetaRTTConfig

# Rules with parameters for each coordinate or channel of what they fit.
_SIZED = (metaopt.CoordinatewiseRNN, metaopt.GradientNetwork)


def make_rule(
    rule: str, classifier: MLP, config: MetaRTTConfig, steps: int
) -> metaopt.InnerOptimizer:
    """The rule of that name for a fit of `steps` steps; learned rates as fine as the config says.

    Raises:
        InputError: if channels are to be pruned, and the rule is made for all of them.
    """
    made = metaopt.optimizers.make(rule, classifier, steps=steps, rate=config.initial_rate)
    learned_rates = isinstance(made, metaopt.LearnedRates)
    sized = isinstance(made, _SIZED) or (learned_rates and config.granularity == "parameter")
    if config.kept < 1 and sized:
        raise InputError(
            f"meta_rtt: {rule} is made for all channels and cannot fit what is left of them: with "
            "--meta_rtt.kept below 1 choose another rule, or --meta_rtt.granularity=tensor"
        )
    if not learned_rates:
        return made
    return metaopt.LearnedRates(
        classifier,
        steps=steps if config.rate_sets == "step" else 1,
        granularity=config.granularity,
        initial_rate=config.initial_rate,
    )
