"""--output_dir and --resume, and lists of names, as all programs have them."""

import pytest
from absl import flags

from basics.errors import InputError
from experiments.command_line.choices import choose
from experiments.command_line.output_folder import OptionalOutputFolder, OutputFolder
from experiments.runs import claims


def parsed(make, *arguments):
    registry = flags.FlagValues()
    output = make(registry)
    registry(["program", *arguments])
    return output


@pytest.fixture(autouse=True)
def released():
    yield
    claims.release()


def test_a_folder_has_a_default_or_is_required(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with_default = parsed(lambda registry: OutputFolder(registry, "runs/it"))
    assert str(with_default.path) == "runs/it" and not with_default.resumed
    assert parsed(OutputFolder, f"--output_dir={tmp_path}").path == tmp_path
    with pytest.raises(flags.IllegalFlagValueError, match="output_dir"):
        parsed(OutputFolder)
    assert parsed(OptionalOutputFolder).path is None
    assert parsed(OptionalOutputFolder, f"--output_dir={tmp_path}").path == tmp_path


def test_only_a_run_that_can_be_stopped_resumes(tmp_path):
    with pytest.raises(flags.UnrecognizedFlagError):
        parsed(OutputFolder, f"--output_dir={tmp_path}", "--resume")
    resumable = lambda registry: OutputFolder(registry, resumable=True)
    fresh, resumed = (
        parsed(resumable, f"--output_dir={tmp_path}", *more) for more in ([], ["--resume"])
    )
    fresh.lock({"size": 1}, taken=False)
    with pytest.raises(InputError, match="--resume"):
        fresh.lock({"size": 1}, taken=True)
    resumed.lock({"size": 1}, taken=True)
    with pytest.raises(InputError, match="size 1, not 2"):
        resumed.lock({"size": 2}, taken=True)


@pytest.mark.parametrize("make", [OutputFolder, OptionalOutputFolder])
def test_a_file_in_the_way_is_named(make, tmp_path):
    (tmp_path / "file").write_text("")
    output = parsed(make, f"--output_dir={tmp_path / 'file' / 'folder'}")
    with pytest.raises(InputError, match="file is a file"):
        _ = output.path


def test_names_are_chosen_once_each_or_all():
    known = ("b", "a", "c")
    assert choose(["all"], known, "rule") == ["b", "a", "c"]
    assert choose(["c", "b", "c"], known, "rule") == ["c", "b"]
    with pytest.raises(InputError, match="unknown rule 'd': known are b, a, c"):
        choose(["a", "d"], known, "rule")
    with pytest.raises(InputError, match="no rule is named"):
        choose([], known, "rule")
