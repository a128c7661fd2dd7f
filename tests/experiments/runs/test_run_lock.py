"""A folder belongs to one run: what is refused, and what is not."""

import dataclasses
import json

import pytest

from basics.errors import InputError
from experiments.runs.run_lock import lock


@dataclasses.dataclass
class Constants:
    scales: tuple[float, ...] = (0.9, 1.0)


CONFIGURATION = {"rule": "adam", "constants": dataclasses.asdict(Constants())}


def test_the_same_run_goes_on_and_says_what_it_is(tmp_path):
    folder = tmp_path / "new"
    lock(folder, CONFIGURATION, taken=False, resume=False, versions={"jax": "1"})
    lock(folder, CONFIGURATION, taken=True, resume=True, versions={"jax": "2"})
    found = json.loads((folder / "run.json").read_text())
    assert found["versions"] == {"jax": "2"}
    assert found["configuration"] == {"rule": "adam", "constants": {"scales": [0.9, 1.0]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "lstm"}, "was made with rule adam, not lstm"),
        ({"constants": {"scales": [0.9] * 20}}, "was made with other constants"),
        ({"more": 1}, "was made with more None, not 1"),
        ({"rule": "lstm", "a digest of it": "1"}, "was made with rule adam, not lstm"),
    ],
)
def test_another_run_is_refused_and_the_file_kept(tmp_path, changes, message):
    lock(tmp_path, CONFIGURATION, taken=False, resume=False)
    before = (tmp_path / "run.json").read_text()
    with pytest.raises(InputError, match=message):
        lock(tmp_path, CONFIGURATION | changes, taken=True, resume=True)
    with pytest.raises(InputError, match="holds a run already: pass --resume"):
        lock(tmp_path, CONFIGURATION, taken=True, resume=False)
    assert (tmp_path / "run.json").read_text() == before


@pytest.mark.parametrize("damage", [None, "{", "[1]", "{}", '{"configuration": 3}'])
def test_results_of_unknown_origin_are_not_mixed(tmp_path, damage):
    if damage is not None:
        (tmp_path / "run.json").write_text(damage)
    with pytest.raises(InputError, match="does not say what made the results beside it"):
        lock(tmp_path, CONFIGURATION, taken=True, resume=True)
