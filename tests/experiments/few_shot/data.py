"""Small data sets in the layouts of the published ones."""

import io
import zipfile

import numpy as np
from PIL import Image


def png(pixels, suffix="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix)
    return buffer.getvalue()


def drawing(seed, side=105):
    """A dark rectangle on white, elsewhere for every seed."""
    pixels = np.full((side, side), 255, np.uint8)
    row, column = np.random.default_rng(seed).integers(0, side // 2, 2)
    pixels[row : row + side // 3, column : column + side // 5] = 0
    return pixels


def omniglot_zip(path, alphabets, characters=2, drawings=4, extra=()):
    """Each drawing is another; those of an alphabet depend on its name alone."""
    with zipfile.ZipFile(path, "w") as archive:
        for alphabet in alphabets:
            for character in range(characters):
                for index in range(drawings):
                    name = f"{path.stem}/{alphabet}/character{character:02d}/{index:04d}.png"
                    archive.writestr(name, png(drawing([*map(ord, alphabet), character, index])))
        for name, contents in extra:
            archive.writestr(name, contents)


def mini_imagenet(folder, layout, classes=2, images=3):
    """Classes of one colour each, a little different in every image."""
    for split in ("train", "test"):
        lines = ["filename,label"]
        for label in range(classes):
            for index in range(images):
                shade = 40 * label + index + (100 if split == "test" else 0)
                contents = png(np.full((20, 30, 3), shade, np.uint8))
                name = f"{split}{label}{index}.png"
                place = {"listed": "images", "folders": f"{split}/class{label}"}[layout]
                path = folder / place / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(contents)
                lines.append(f"{name},class{label}")
        if layout == "listed":
            (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")
