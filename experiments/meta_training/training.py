"""Meta-training of a tracker on rendered episodes: the loop around `metaopt.outer_step`."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import jax
import optax
from jax.sharding import Mesh, PartitionSpec

import metaopt
from basics.errors import InputError
from basics.leaves import is_part, with_leaves
from experiments.meta_training import outer_loop
from experiments.meta_training.outer_loop import LoopConfig
from experiments.meta_training.policies import policy_of
from tracking_tasks.data.episodes import sample_episodes
from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.episode import Episode, EpisodeConfig
from tracking_tasks.trackers import Tracker


@dataclasses.dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """The constants of a tracker's meta-training, beside those of any outer loop.

    Attributes:
        episodes: episodes a step.
        learning_rate: peak of Adam's rate; linear warm-up over a twentieth of the steps, then
            half a cosine down to a hundredth.
        backbone_rate: share of the rate at which the backbone is fine-tuned, unless it is frozen
            (here; the published DiMP's ratio lies between 0.4 and 4, over weeks of video).
        clip: largest global norm of the outer gradient.
        accumulate: outer steps whose mean gradient makes one update of the parameters.
        seed: of the episodes.
        frozen: parts of the tracker that stay as they are, by name: a leaf such as
            "loss.label", or all in a part such as "head".
        episode: how episodes are cut: the `episode_config` of the tracker.
        renderer: how videos look.
    """

    episodes: int = 8
    learning_rate: float = 1e-3
    backbone_rate: float = 0.01
    clip: float = 1.0
    accumulate: int = 1
    seed: int = 0
    frozen: tuple[str, ...] = ("backbone",)
    episode: EpisodeConfig = EpisodeConfig()
    renderer: RendererConfig = RendererConfig(side=288, target_size=(0.12, 0.22))


Batches = Callable[[int], Episode]
LossAndMetrics = tuple[jax.Array, dict[str, jax.Array]]
OuterLoss = Callable[[Tracker, Episode], LossAndMetrics]


def rendered_batches(bank: PhotoBank, config: TrainingConfig) -> Batches:
    """The batch of episodes of each outer step: a pure function of the seed and the step.

    Each device renders its share.

    Raises:
        InputError: if the episodes of a batch do not divide among the devices.
    """
    mesh = metaopt.episode_mesh()
    if config.episodes % mesh.size:
        raise InputError(
            f"--episodes={config.episodes} do not divide among {mesh.size} devices: use a multiple"
        )
    key = jax.random.key(config.seed)
    render = _renderer(mesh, config.episode, config.renderer)

    def batch(index: int) -> Episode:
        keys = jax.random.split(jax.random.fold_in(key, index), config.episodes)
        bank_everywhere, keys = metaopt.distribute(mesh, bank, keys)
        return render(keys, bank_everywhere)

    return batch


def rendered_once(bank: PhotoBank, config: TrainingConfig) -> Batches:
    """The same batches, kept after their first rendering for the runs that come after."""
    render = rendered_batches(bank, config)
    # A long run would not fit into memory; rendering again gives the same episodes.
    return functools.cache(render) if config.outer_steps * config.episodes <= 1000 else render


@functools.cache
def _renderer(
    mesh: Mesh, episode: EpisodeConfig, renderer: RendererConfig
) -> Callable[[jax.Array, PhotoBank], Episode]:
    """Renders an episode for each key, every device its share; one compilation per setting."""
    sample = functools.partial(sample_episodes, config=episode, renderer=renderer)
    dealt_out, everywhere = PartitionSpec("episodes"), PartitionSpec()
    return jax.jit(
        jax.shard_map(
            sample,
            mesh=mesh,
            in_specs=(dealt_out, everywhere),
            out_specs=dealt_out,
            check_vma=False,
        )
    )


def train(
    tracker: Tracker,
    batches: Batches,
    config: TrainingConfig,
    folder: pathlib.Path | None = None,
    resume: bool = False,
    label: str = "meta-training",
    loss: OuterLoss | None = None,
) -> Tracker:
    """Meta-trains all leaves of a tracker but the frozen ones.

    A resumed run sees the batches that it would have seen, and ends with the same parameters.

    Args:
        tracker: where to start from.
        batches: the batch of each step.
        config: constants.
        folder: where checkpoints (`state/`), TensorBoard events and `metrics.jsonl` go; nothing is
            written without one.
        resume: go on from the newest checkpoint in `folder`, if there is one.
        label: of the progress bar.
        loss: in the place of the tracker's own outer loss; hashable.

    Raises:
        InputError: if the loss is not finite for `config.patience` steps in a row.
    """
    transformation, advance = steps(tracker, batches, config, loss)
    return outer_loop.meta_train(
        tracker,
        transformation,
        advance,
        config,
        folder,
        frozen=config.frozen,
        resume=resume,
        label=label,
    )


def steps(
    tracker: Tracker, batches: Batches, config: TrainingConfig, loss: OuterLoss | None = None
) -> tuple[optax.GradientTransformation, outer_loop.Advance]:
    """The outer optimizer of `train`, and what takes one of its steps; likewise the arguments."""
    transformation = _transformation(
        config.outer_steps,
        config.learning_rate,
        config.backbone_rate,
        config.clip,
        policy_of(tracker.name).clip_elements,
        config.accumulate,
    )
    return transformation, lambda state, index: _step(
        transformation, loss, state, tracker, batches(index)
    )


@functools.cache
def _transformation(
    steps: int,
    rate: float,
    backbone_rate: float,
    clip: float,
    clip_elements: float | None,
    accumulate: int,
) -> optax.GradientTransformation:
    """The outer optimizer; one object per setting, so that `_step` compiles once per setting."""
    updates = max(steps // accumulate, 1)
    warm_up = max(updates // 20, 1)
    decay = max(updates, warm_up + 1)
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warm_up, decay, rate / 100)
    in_backbone = lambda leaves: {name: is_part(name, ("backbone",)) for name in leaves}
    first = optax.identity() if clip_elements is None else optax.clip(clip_elements)
    single = optax.chain(
        first,
        optax.clip_by_global_norm(clip),
        optax.adam(schedule),
        optax.masked(optax.scale(backbone_rate), in_backbone),
    )
    if accumulate == 1:
        return single
    return optax.MultiSteps(single, accumulate).gradient_transformation()


@functools.partial(
    jax.jit, static_argnames=("transformation", "outer_loss"), donate_argnames="state"
)
def _step(
    transformation: optax.GradientTransformation,
    outer_loss: OuterLoss | None,
    state: metaopt.OuterState,
    tracker: Tracker,
    episodes: Episode,
) -> tuple[metaopt.OuterState, dict[str, jax.Array]]:
    def loss(learned: dict[str, jax.Array], episode: Episode) -> LossAndMetrics:
        candidate = with_leaves(tracker, learned)
        return outer_loss(candidate, episode) if outer_loss else candidate.outer_loss(episode)

    alone = jax.device_count() == 1 and jax.default_backend() == "cpu"
    at_once = policy_of(tracker.name).microbatch if alone else None
    return metaopt.outer_step(loss, transformation, state, tracker.mix(episodes), at_once)
