import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import render
from experiments.pictures import contact_sheet
from experiments.pictures.drawing import COLOR
from tests.experiments.programs import error_line, run
from tracking_tasks.data.formats import read_dataset
from tracking_tasks.data.renderer import Video
from tracking_tasks.data.videos import read_video

NAMES = ["IV", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OPR", "OV", "BC", "LR"]
SIZE = ["--videos=2", "--frames=3", "--side=64"]


FLAGS = [*SIZE, "--columns=2", "--contact_sheet=sheet.jpg", "--noannotate", "--seed=3"]


def drawn(key, bank, config, count, frames):
    """In the place of what the renderer shows, whose programs take seconds to compile."""
    assert (bank, config.side, config.duration) == ("photographs", 64, frames)
    random = np.random.default_rng(int(jax.random.key_data(key)[-1]))
    for _ in range(count):
        # Large cells, for a video is compressed.
        cells = random.integers(0, 255, (frames, 2, 2, 3), np.uint8)
        yield Video(
            frames=jnp.asarray(cells.repeat(32, 1).repeat(32, 2)),
            boxes=jnp.asarray(random.integers(5, 30, (frames, 4)), jnp.float32),
            visible=jnp.asarray(random.uniform(0.3, 1, frames), jnp.float32),
            attributes={name: jnp.asarray(random.random(frames) < 0.3) for name in NAMES},
        )


def make(folder, flags):
    """The program with `drawn` videos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "rendered_videos", drawn)
        patch.setattr(render, "load_bank", lambda *_: "photographs")
        assert run(render, f"--output_dir={folder}", *flags) == 0


@pytest.fixture(scope="module", params=["drawn", pytest.param("rendered", marks=pytest.mark.full)])
def rendered(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    if request.param == "drawn":
        make(folder, FLAGS)
    else:
        assert run(render, f"--output_dir={folder}", *FLAGS) == 0
    return folder


def test_sequences_videos_and_annotations_agree(rendered):
    sequences = read_dataset(rendered / "sequences", "otb")
    assert [sequence.name for sequence in sequences] == ["rendered-001", "rendered-002"]
    with open(rendered / "annotations.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], row["frame"]) for row in rows] == [
        (f"rendered-00{video}", str(frame)) for video in (1, 2) for frame in range(3)
    ]
    for number, sequence in enumerate(sequences):
        lines = rows[3 * number : 3 * number + 3]
        boxes = [[float(line[name]) for name in ("x", "y", "width", "height")] for line in lines]
        np.testing.assert_array_equal(sequence.boxes, boxes)
        assert sequence.annotated.all()
        assert all(0 <= float(line["visible"]) <= 1 for line in lines)
        holds = {name for name in NAMES if any(line[name] == "1" for line in lines)}
        assert set(sequence.attributes) == holds
        video = list(read_video(rendered / "videos" / f"{sequence.name}.mp4"))
        assert len(video) == len(sequence) == 3
        for index, frame in enumerate(video):
            assert frame.shape == (64, 64, 3)
            difference = frame.astype(float) - sequence.frame(index)
            assert np.abs(difference).mean() < 8  # two ways to lose a little


def test_table_and_sheet(rendered):
    lines = (rendered / "attributes.txt").read_text().splitlines()
    assert lines[0].split() == ["%", "of", "frames", "visible", *NAMES]
    assert [line.split()[0] for line in lines[1:]] == ["rendered-001", "rendered-002", "mean"]
    with Image.open(rendered / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.width == 2 * (64 + 3)
        assert sheet.height > 2 * (64 + 3)


def test_table_of_known_shares():
    labels = {
        "a": {"x": np.array([7, 8]), "visible": np.array([1.0, 0.5]), "IV": np.array([0, 1])},
        "b": {"x": np.array([7, 8]), "visible": np.array([0.25, 0.25]), "IV": np.array([1, 1])},
    }
    lines = render.table(labels).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a", "75", "50"],
        ["b", "25", "100"],
        ["mean", "50", "75"],
    ]


@pytest.mark.parametrize("visible", [0.07, 1.0])
def test_annotated_frames_keep_one_size_and_show_box_and_names(visible):
    flags = {name: jnp.array([False, True]) for name in NAMES}
    video = Video(
        frames=jnp.full((2, 96, 96, 3), 90, jnp.uint8),
        boxes=jnp.tile(jnp.array([20.0, 30.0, 24.0, 16.0]), (2, 1)),
        visible=jnp.full(2, visible),
        attributes=flags,
    )
    none, all_ = (contact_sheet.annotate(video, index) for index in (0, 1))
    assert none.shape == all_.shape
    assert none.shape[1] == 96
    assert (none[30:46, 20:44] == 90).all()
    assert (none[30:46, 18] == COLOR).all()
    ink = [(image[96:] > 128).all(-1) for image in (none, all_)]
    assert ink[0].any()
    assert ink[1].sum() > 3 * ink[0].sum()
    assert not ink[1][:, [0, -1]].any()
    assert not ink[1][-1].any()


@pytest.mark.parametrize(
    ("flags", "message", "status"),
    [
        (["--side=100"], "--side=100 must be a multiple of 8", 1),
        (["--contact_sheet=sheet.bmp"], "must end in .png or .jpg", 1),
        (["--photos_dir=nowhere"], "nowhere: no such folder", 1),
        (["--split=all"], "all", 2),
        (["--videos=0"], "0", 2),
    ],
)
def test_bad_input_ends_in_one_line(tmp_path, capsys, flags, message, status):
    assert run(render, f"--output_dir={tmp_path / 'new'}", *SIZE, *flags) == status
    assert message in error_line(capsys)
    assert not (tmp_path / "new").exists()


def test_rendered_videos_are_not_mixed_with_earlier_ones(rendered, capsys):
    assert run(render, f"--output_dir={rendered}", *SIZE) == 1
    assert "holds rendered videos already" in error_line(capsys)


def test_the_seed_decides(tmp_path):
    for name, seed in (("one", 1), ("two", 2), ("again", 1)):
        make(tmp_path / name, [*SIZE, "--layout=otb", f"--seed={seed}"])
    one, two, again = (
        read_dataset(tmp_path / name / "sequences", "otb")[0].frame(0)
        for name in ("one", "two", "again")
    )
    assert (one != two).any() and (one == again).all()
    assert not (tmp_path / "one" / "videos").exists()


@pytest.mark.full
def test_the_seed_decides_what_is_rendered(tmp_path):
    for seed in (1, 2):
        flags = [f"--output_dir={tmp_path / str(seed)}", *SIZE, "--layout=otb", f"--seed={seed}"]
        assert run(render, *flags) == 0
    one, two = (read_dataset(tmp_path / seed / "sequences", "otb")[0].frame(0) for seed in "12")
    assert (one != two).any()
