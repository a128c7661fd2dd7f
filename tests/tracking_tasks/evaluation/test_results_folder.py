import types
import zipfile

import numpy as np
import pytest

from basics.errors import InputError
from tracking_tasks.evaluation import results_folder


def make(name="a", **fields):
    boxes = np.float32([[1, 2, 30, 40], [1.0004, 2.25, 30, 40]])
    return types.SimpleNamespace(name=name, boxes=boxes, seconds=np.array([0.25]), **fields)


def test_the_layout_of_got10k(tmp_path):
    results_folder.write_got10k(tmp_path, "dimp", [make()])
    folder = tmp_path / "GOT-10k" / "dimp" / "a"
    assert (folder / "a_001.txt").read_text() == (
        "1.000,2.000,30.000,40.000\n1.000,2.250,30.000,40.000\n"
    )
    assert (folder / "a_time.txt").read_text() == "0.00000000\n0.25000000\n"
    assert len(list(folder.iterdir())) == 2


def test_what_is_submitted(tmp_path):
    results = [make("a"), make("b")]
    results_folder.write_submission(tmp_path / "got10k.zip", "got10k", results)
    with zipfile.ZipFile(tmp_path / "got10k.zip") as archive:
        names = {f"{name}/{name}_{part}.txt" for name in "ab" for part in ("001", "time")}
        assert set(archive.namelist()) == names
        assert archive.read("b/b_001.txt").startswith(b"1.000,2.000,30.000,40.000\n")
    results_folder.write_submission(tmp_path / "trackingnet.zip", "trackingnet", results)
    with zipfile.ZipFile(tmp_path / "trackingnet.zip") as archive:
        assert set(archive.namelist()) == {"a.txt", "b.txt"}
        np.testing.assert_allclose(
            np.loadtxt(archive.open("a.txt"), delimiter=","), results[0].boxes, atol=1e-4
        )


def test_what_cannot_be_submitted(tmp_path):
    with pytest.raises(InputError, match="otb takes no submissions"):
        results_folder.write_submission(tmp_path / "x.zip", "otb", [make()])
    broken = make()
    broken.boxes[1, 0] = np.nan
    with pytest.raises(InputError, match="results of a are not finite"):
        results_folder.write_submission(tmp_path / "x.zip", "got10k", [broken])
    assert not list(tmp_path.iterdir())
