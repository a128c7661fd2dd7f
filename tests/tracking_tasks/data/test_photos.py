import json

import numpy as np
import pytest
from PIL import Image

from basics.errors import InputError
from tracking_tasks.data.photos import load_bank


def write_photo(path, size=(96, 80), seed=0):
    """Noise around a brightness that tells the photographs of a folder apart."""
    noise = np.random.default_rng(seed).integers(0, 100, (size[1], size[0], 3))
    Image.fromarray((noise + seed).astype(np.uint8)).save(path)


def write_outlined(folder, polygon, name="photo.png", count=10):
    """Ten photographs, so that every split has one, all with the same outline."""
    entries = []
    for index in range(count):
        write_photo(folder / f"{index}{name}", seed=index)
        instance = {"category": 7, "polygon": polygon}
        entries.append(
            {"file": f"{index}{name}", "width": 96, "height": 80, "instances": [instance]}
        )
    (folder / "instances.json").write_text(json.dumps(entries))


SQUARE = [[20, 16], [60, 16], [60, 56], [20, 56]]


def test_bank_without_folder():
    bank = load_bank(side=128, tile=32)
    assert bank.photos.shape[1:] == (128, 128, 3)
    assert bank.cutouts.shape[1:] == (32, 32, 4)
    assert len(bank.photos) >= 8
    assert len(bank.cutouts) >= 30
    assert bank.inside.any()
    alpha = np.asarray(bank.cutouts[..., 3])
    assert (alpha.max((1, 2)) == 255).all()
    assert (alpha[:, 0] == 0).all()
    assert len(load_bank(split="test", side=64).photos) >= 1


def test_splits_are_disjoint_and_complete(tmp_path):
    for index in range(20):
        write_photo(tmp_path / f"photo{index}.png", seed=7 * index, size=(160, 160))
    means = {
        split: {
            round(float(photo.mean()) / 7)
            for photo in np.asarray(load_bank(tmp_path, split).photos)
        }
        for split in ("train", "validation", "test")
    }
    assert [len(values) for values in means.values()] == [16, 2, 2]
    assert len(set.union(*means.values())) == 20
    assert len(load_bank(tmp_path, limit=3).photos) == 3


def test_outlined_object_is_cut_and_placed(tmp_path):
    write_outlined(tmp_path, SQUARE)
    bank = load_bank(tmp_path, side=160, tile=64)
    assert len(bank.cutouts) == 8
    assert set(np.asarray(bank.category)) == {7}
    # The crop is 80 wide and slid so that the object's middle, x = 40, is in its middle.
    np.testing.assert_allclose(bank.place[0, :2], [81, 73], atol=1.1)
    np.testing.assert_allclose(bank.extent[0], [0.84, 0.84], atol=0.01)
    alpha = np.asarray(bank.cutouts[0, ..., 3]) > 127
    columns = np.flatnonzero(alpha.any(0))
    assert abs((columns[-1] + 1 - columns[0]) - 0.84 * 64) < 3
    # What the tile shows is what the photograph shows at its place.
    x, y, half = np.asarray(bank.place[0])
    window = np.asarray(bank.photos[bank.photo[0]])[
        round(y - half / 2) : round(y + half / 2), round(x - half / 2) : round(x + half / 2)
    ]
    tile = np.asarray(bank.cutouts[0, 16:48, 16:48, :3])
    shrunk = np.asarray(Image.fromarray(window).resize((32, 32)), float)
    assert np.corrcoef(shrunk.ravel(), tile.ravel().astype(float))[0, 1] > 0.8


@pytest.mark.parametrize(
    "polygon",
    [
        [[20, 16], [40, 16], [40, 30], [20, 30]],  # too small
        [[0, 16], [60, 16], [60, 56], [0, 56]],  # cut by the border
    ],
)
def test_unfit_objects_are_left_out(tmp_path, polygon):
    write_outlined(tmp_path, polygon)
    with pytest.raises(InputError, match="no object"):
        load_bank(tmp_path)


def test_region_maps_give_objects(tmp_path):
    for index in range(10):
        write_photo(tmp_path / f"{index}.png", seed=index)
        regions = np.ones((80, 96), np.uint8)
        regions[20:60, 30:66] = 2
        Image.fromarray(regions).save(tmp_path / f"{index}_regions.png")
    bank = load_bank(tmp_path, side=80)
    assert len(bank.photos) == len(bank.cutouts) == 8  # the region maps are no photographs
    np.testing.assert_allclose(bank.extent[0], [0.84 * 36 / 40, 0.84], atol=0.01)
    assert (bank.category == -1).all()


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        load_bank(tmp_path / "nowhere")


def test_folder_without_images(tmp_path):
    with pytest.raises(InputError, match=r"no photograph .* at least 10"):
        load_bank(tmp_path)


def test_unknown_split():
    with pytest.raises(InputError, match="split 'training' is unknown"):
        load_bank(split="training")


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n truncated"])
def test_undecodable_image(tmp_path, content):
    (tmp_path / "broken.jpg").write_bytes(content)
    for index in range(9):
        (tmp_path / f"{index}.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"\.jpg: cannot be decoded"):
        load_bank(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1, 2]", '[{"file": "a"}]', '{"images": []}', "\x00"],
)
def test_broken_annotations(tmp_path, text):
    write_photo(tmp_path / "photo.png")
    (tmp_path / "instances.json").write_text(text)
    with pytest.raises(InputError, match=r"instances\.json: not a list of photographs"):
        load_bank(tmp_path)


@pytest.mark.parametrize("point", [[150, 20], [20, -5], [float("nan"), 3]])
def test_outline_outside_the_picture(tmp_path, point):
    write_outlined(tmp_path, [*SQUARE, point])
    with pytest.raises(
        InputError,
        match=r"instances\.json: .*photo\.png, instance 1 is malformed: an outline outside",
    ):
        load_bank(tmp_path)


def test_polygon_of_two_points(tmp_path):
    write_outlined(tmp_path, SQUARE[:2])
    with pytest.raises(InputError, match="three or more"):
        load_bank(tmp_path)


def test_annotated_size_must_be_the_images(tmp_path):
    write_outlined(tmp_path, SQUARE)
    for index in range(10):
        write_photo(tmp_path / f"{index}photo.png", size=(50, 40))
    with pytest.raises(InputError, match=r"photo\.png .*50x40"):
        load_bank(tmp_path)


def test_development_photographs(data_root):
    bank = load_bank(data_root / "data" / "photos", split="test", limit=60)
    assert len(bank.photos) == 60
    assert (bank.category >= 0).any()
    assert (bank.category < 0).any()
