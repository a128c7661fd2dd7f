import pytest

from experiments import track
from tests.experiments.programs import run


def flags_of(text):
    """The names of the flags that a help text lists, in order."""
    return [line.strip().partition(":")[0] for line in text.splitlines() if line.startswith("  --")]


def test_help_shows_a_program_s_own_flags_first_and_no_constants(capsys):
    assert run(track, "--help") == 0
    text = capsys.readouterr().out
    listed = flags_of(text)
    assert listed.index("--video") < listed.index("--tracker")
    assert set(listed[: listed.index("--backbone")]) >= {"--box", "--output", "--forms", "--select"}
    assert not [name for name in listed if "." in name]
    assert "constants (--dimp.*): --helpfull shows them." in text


@pytest.mark.parametrize("tracker", [None, "roam"])
def test_helpfull_shows_the_constants_of_the_chosen_tracker_only(capsys, tracker):
    assert run(track, "--helpfull", *([f"--tracker={tracker}"] if tracker else [])) == 0
    listed = flags_of(capsys.readouterr().out)
    assert "--video" in listed
    prefixes = {name.partition(".")[0] for name in listed if "." in name}
    assert prefixes == {f"--{tracker or 'dimp'}"}
