"""The packing program: what it packs is what the reader of the format returns; its bad input."""

import pytest

from experiments import pack
from tests.experiments import programs
from tests.experiments.programs import TRUTH, make_frames
from tracking_tasks.data.packed import PackedDataset


@pytest.fixture
def dataset(tmp_path):
    """Two sequences of OTB."""
    for name in ("Ball", "Cup"):
        make_frames(tmp_path / "data" / name / "img")
        lines = [f"{x + 1:.0f},{y + 1:.0f},{w:.0f},{h:.0f}" for x, y, w, h in TRUTH]
        (tmp_path / "data" / name / "groundtruth_rect.txt").write_text("\n".join(lines))
    return tmp_path / "data"


def run(dataset, folder, *more):
    return programs.run(pack, f"--dataset_dir={dataset}", f"--output_dir={folder}", *more)


def test_sequences_are_packed(dataset, tmp_path, capsys):
    assert run(dataset, tmp_path / "out", "--longest_side=40") == 0
    packed = PackedDataset(tmp_path / "out")
    assert (packed.name, packed.frames) == ("otb", 8)
    assert [packed[index].name for index in range(2)] == ["Ball", "Cup"]
    assert (packed[1].boxes == TRUTH / 2).all()
    said = capsys.readouterr().out
    assert said == f"2 sequences, 8 frames of otb packed in {tmp_path / 'out'}\n"


def test_a_packed_folder_is_not_overwritten(dataset, tmp_path, capsys):
    assert run(dataset, tmp_path / "out") == 0
    before = PackedDataset(tmp_path / "out").image(0)
    assert run(dataset, tmp_path / "out") == 1
    assert "out exists already" in programs.error_line(capsys)
    assert PackedDataset(tmp_path / "out").image(0) == before


def test_bad_input_is_one_line_and_leaves_nothing(dataset, tmp_path, capsys):
    (dataset / "Cup" / "img" / "0003.png").write_bytes(b"no image")
    assert run(dataset, tmp_path / "out") == 1
    assert "0003.png" in programs.error_line(capsys)
    assert run(tmp_path / "absent", tmp_path / "out") == 1
    assert "absent" in programs.error_line(capsys)
    assert run(dataset, tmp_path / "out", "--longest_side=0") == 2
    assert "longest_side" in programs.error_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
