"""New processes are started with an empty cache and with the one that they filled."""

import pathlib

import pytest

from basics.errors import InputError
from experiments.benchmarks import start


def test_each_tracker_starts_twice_a_round_with_one_cache(monkeypatch):
    seen, rounds = [], iter([[1, 2, 3, 4, 9], [0.1, 0.2, 0.3, 0.4, 0.9], [2, 2, 2, 2, 7], [1] * 5])

    def started(load, cache):
        seen.append((load, cache, list(pathlib.Path(cache).iterdir())))
        pathlib.Path(cache, "program").touch()
        return next(rounds)

    monkeypatch.setattr(start, "_started", started)
    monkeypatch.setitem(start.PRESETS, "smoke", start.Preset({"dimp": "load('dimp')"}))
    empty, full = start.run("smoke", 2).comparisons
    assert empty.case == {"tracker": "dimp", "cache": "empty"}
    assert full.case == {"tracker": "dimp", "cache": "full"}
    minima = {name: time.minimum for name, time in empty.times.items()}
    assert minima == {
        "import": 1, "load": 2, "first frame": 2, "next frame": 2, "all": 8, "processor time": 7
    }  # fmt: skip
    assert empty.times["all"].median == 9
    assert full.times["all"].minimum == pytest.approx(1.0)
    assert [len(files) for _, _, files in seen] == [0, 1, 0, 1]
    caches = [cache for _, cache, _ in seen]
    assert caches[0] == caches[1] != caches[2] == caches[3]


def test_a_process_that_fails_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(start, "_PROGRAM", "tracker = {load}")  # imports nothing
    with pytest.raises(InputError, match="a new process fails: NameError: name 'nothing'"):
        start._started("nothing", str(tmp_path))


@pytest.mark.full
def test_a_new_process_tracks_and_fills_the_cache(tmp_path):
    kept = lambda: {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*[0-9a-f]")}
    cold, before = start._started(start._SMALL, str(tmp_path)), kept()
    warm = start._started(start._SMALL, str(tmp_path))
    assert len(cold) == len(warm) == 5 and min(cold) > 0
    assert len(list(tmp_path.glob("jit_*-cache"))) >= 2
    assert len(list((tmp_path / "traces").iterdir())) == 2
    assert kept() == before  # nothing was traced or compiled again
    assert warm[4] < cold[4]
