"""Curves equal plain loops of optax; scores where they are known."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

import metaopt
from experiments.learned_optimizer import evaluate, evaluation, report
from experiments.learned_optimizer.contenders import CONTENDERS
from experiments.learned_optimizer.tasks.functions import Quadratics
from metaopt.optimizers.orthogonal_mlp import OrthogonalMLP
from tests.experiments import programs
from tests.products import chosen

FAMILY = Quadratics(rows=8, shape=(4, 2))


@pytest.mark.parametrize(
    ("name",), chosen(zip(("Adam", "Adam, cosine", "AdamW, schedule-free")), [("Adam, cosine",)])
)
def test_a_curve_is_that_of_a_plain_loop(name):
    contender, steps, key = CONTENDERS[name], 6, jax.random.key(2)
    schedule = optax.cosine_decay_schedule(0.1, steps)
    makes = {
        "Adam": optax.adam(0.1),
        "Adam, cosine": optax.adam(schedule),
        "AdamW, schedule-free": optax.contrib.schedule_free_adamw(0.1),
    }
    plain = makes[name]
    curves = evaluation.curves(contender, FAMILY, key[None], jnp.array([0.1]), steps)[0, 0]
    problem_key, batch_key = jax.random.split(key)
    params, context = jax.jit(FAMILY.sample)(problem_key)
    loss = jax.jit(lambda state, p: FAMILY.loss(contender.judged(state, p), FAMILY.whole(context)))

    @jax.jit
    def step(params, state, index):
        batch = FAMILY.batch(context, jax.random.fold_in(batch_key, index))
        updates, state = plain.update(jax.grad(FAMILY.loss)(params, batch), state, params)
        return optax.apply_updates(params, updates), state

    state, found = jax.jit(plain.init)(params), []
    for index in range(steps):
        found.append(loss(state, params))
        params, state = step(params, state, index)
    found.append(loss(state, params))
    np.testing.assert_array_equal(evaluation.RECORDED[:4], [0, 2, 4, 6])
    np.testing.assert_allclose(curves[:4], found[::2], rtol=1e-4)
    np.testing.assert_array_equal(curves[4:], curves[3])  # at rest beyond


def test_records_end_at_the_horizons():
    recorded = evaluation.RECORDED
    assert [recorded[50], recorded[100], recorded[150]] == list(evaluation.HORIZONS)
    curves = np.arange(151.0)[None]
    assert [evaluation.final_losses(curves, steps)[0] for steps in (100, 500, 2000)] == [
        50,
        100,
        150,
    ]


@pytest.mark.full
def test_the_learned_one_starts_where_the_others_do():
    keys = jax.random.split(jax.random.key(0), 2)
    rule = OrthogonalMLP(20.0)
    learned = evaluation.learned_curves(rule, FAMILY, keys, 20)
    adam = evaluation.curves(CONTENDERS["Adam"], FAMILY, keys, jnp.array([0.1]), 20)[0]
    np.testing.assert_allclose(learned[:, 0], adam[:, 0], rtol=1e-6)
    assert (learned[:, 10] < learned[:, 0]).all()
    one = evaluation.curve(evaluation.Rule(rule.init, rule.step), FAMILY, keys[1], 20)
    np.testing.assert_allclose(one, learned[1], rtol=1e-3)


def test_the_best_rate_is_that_of_the_lowest_finite_mean():
    curves = np.full((3, 2, 151), 1.0)
    curves[1, :, 100:] = 0.1
    curves[2, 0, 100:], curves[2, 1, 100:] = 1e-9, np.nan
    assert evaluation.best(curves, 500) == 1
    assert evaluation.best(curves[:1], 100) == 0


def test_speed_up():
    curve = np.linspace(1, 0, 151)
    goal = float(curve[25])  # after 50 steps
    assert evaluation.speed_up(curve, goal, 100) == 2.0
    assert evaluation.speed_up(curve, -1.0, 2000) == 0.0
    assert evaluation.speed_up(curve, float(curve[120]), 500) == 0.0  # reached, but later


def test_the_interquartile_mean_is_scipys_and_its_interval_holds_it():
    rng = np.random.default_rng(1)
    scores = {"a": rng.lognormal(size=8), "b": rng.lognormal(size=8)}
    mean, low, high = evaluation.interquartile_mean(scores)
    np.testing.assert_allclose(
        mean, scipy.stats.trim_mean(np.concatenate([*scores.values()]), 0.25)
    )
    assert low < mean < high
    same = {"a": np.full(8, 2.0), "b": np.full(8, 2.0)}
    assert evaluation.interquartile_mean(same) == (2.0, 2.0, 2.0)


def found(loss):
    curves = [[[2.0] * records + [loss] for _ in range(2)] for records in (50, 100, 150)]
    steps = [str(steps) for steps in evaluation.HORIZONS]
    return {"curves": dict(zip(steps, curves, strict=True)), "rates": dict.fromkeys(steps, 0.1)}


def test_the_table_compares_with_adam():
    results = {"task": {"Adam": found(0.4), "better": found(0.1), "worse": found(4.0)}}
    record = report.record(results)
    assert report.ratios(record, "better", 500)["task"].tolist() == [4.0, 4.0]
    document = {"tasks": record, "milliseconds a step": {"Adam": 2.0, "better": 5.0}}
    rows = [line.split() for line in report.table(document, ["better"]).splitlines()]
    assert ["better", "4.00", "[4.00,", "4.00]", "1.00", "[1.00,", "1.00]", "0"] in rows
    assert ["worse", "0.10", "[0.10,", "0.10]", "0.00", "[0.00,", "0.00]", "2"] in rows
    assert ["better", "5.00", "2.50"] in rows
    page = report.page(document, ["better"]).splitlines()
    assert page.count("| worse | 0.10 [0.10, 0.10] | 0.00 [0.00, 0.00] | 2 |") == 3
    assert "| task | 4 | 4 | 4 |" in page and "| better | 5.00 | 2.50 |" in page


def test_a_record_is_of_the_curves_within_the_number_of_steps():
    adam, ours = found(0.5), found(0.25)
    ours["curves"]["500"][1][20] = 0.123456789  # after step 40
    ours["curves"]["500"][0][-1] = float("nan")
    record = report.record({"task": {"Adam": adam, "ours": ours}})
    assert report.ratios(record, "ours", 500)["task"].tolist() == [0.0, 2.0]
    assert record["task"]["ours"]["500"] == {
        "rate": 0.1,
        "losses": [None, 0.25],
        "speed_ups": [0.0, 500 / 40],
        "diverged": 1,
    }


@pytest.mark.parametrize("name", ["Adam", "orthogonal_mlp"])
def test_a_rule_in_a_folder_of_another_row_s_name_is_refused(name, tmp_path, capsys):
    flags = f"--rule={tmp_path / name / 'rule.safetensors'}", f"--output_dir={tmp_path / 'table'}"
    assert programs.run(evaluate, *flags) == 1
    assert f"{name} is another row: rename its folder" in capsys.readouterr().err
    assert not (tmp_path / "table").exists()


@pytest.mark.full
def test_the_program_judges_a_saved_rule_and_keeps_what_is_finished(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "_NETWORK", "smoke")
    monkeypatch.setattr(evaluate, "_ROUNDS", 1)
    adam = dataclasses.replace(CONTENDERS["Adam"], rates=np.array([1e-4, 0.03]))
    monkeypatch.setattr(evaluate, "CONTENDERS", {"Adam": adam})
    monkeypatch.setitem(evaluate.HELD_OUT, "quadratics", lambda: FAMILY)
    monkeypatch.setitem(evaluate.TRAINING, "bumps", lambda: FAMILY)  # may be named as well
    saved = tmp_path / "learned" / "rule.safetensors"  # whose folder's name is that of the row
    saved.parent.mkdir()
    metaopt.save(saved, OrthogonalMLP(9.0, rate=0.05))
    folder = tmp_path / "table"
    flags = [f"--rule={saved}", "--tasks=quadratics,bumps", "--seeds=2"]
    assert programs.run(evaluate, f"--output_dir={folder}", *flags) == 0
    results = json.loads((folder / "record.json").read_text())
    kept = results["tasks"]["quadratics"]
    assert results["tasks"] == {"quadratics": kept, "bumps": kept}
    assert {outcome["rate"] for outcome in kept["Adam"].values()} == {0.03}
    assert set(results["milliseconds a step"]) == {"Adam", "orthogonal_mlp", "learned", "LSTM"}
    keys = jax.random.split(jax.random.key(1), 2)
    shipped = metaopt.pretrained("orthogonal_mlp").replace(steps=100.0)
    rules = {"orthogonal_mlp": shipped, "learned": OrthogonalMLP(100.0, rate=0.05)}
    for name, rule in rules.items():
        plain = evaluation.learned_curves(rule, FAMILY, keys, 100)
        np.testing.assert_allclose(kept[name]["100"]["losses"], plain[:, 50], rtol=1e-3)
    assert (folder / "quadratics.png").exists() and (folder / "table.txt").exists()
    assert "100 steps: interquartile means" in capsys.readouterr().out
    monkeypatch.setattr(evaluation, "curves", None)  # finished trainings are not repeated
    assert programs.run(evaluate, f"--output_dir={folder}", "--resume", *flags) == 0
    assert json.loads((folder / "record.json").read_text())["tasks"] == results["tasks"]
