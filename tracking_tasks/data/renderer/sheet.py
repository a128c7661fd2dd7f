"""Contact sheets: rendered videos on one page, with the boxes drawn."""

import io
import os

import numpy as np
from PIL import Image, ImageDraw

from tracking_tasks.data.renderer.video import Video
from tracking_tasks.files import write_atomic


def contact_sheet(videos: Video, path: str | os.PathLike[str]) -> None:
    """Writes a PNG with one video a row, its frames from left to right, and the target's boxes.

    Below each frame stand the visible share and the attributes that hold.

    Args:
        videos: Videos with a leading axis, as `jax.vmap` of `render` returns them.
        path: The file to write.
    """
    count, frames, side = videos.frames.shape[:3]
    caption = 12
    sheet = Image.new("RGB", (frames * side, count * (side + caption)))
    pixels, boxes, visible = (
        np.asarray(values) for values in (videos.frames, videos.boxes, videos.visible)
    )
    flags = {name: np.asarray(values) for name, values in videos.attributes.items()}
    for row, column in np.ndindex(count, frames):
        frame = Image.fromarray(pixels[row, column])
        x, y, width, height = boxes[row, column]
        outline = (x - 1, y - 1, x + width, y + height)
        ImageDraw.Draw(frame).rectangle(outline, outline=(0, 255, 0))
        corner = (column * side, row * (side + caption))
        sheet.paste(frame, corner)
        names = " ".join(name for name, values in flags.items() if values[row, column])
        ImageDraw.Draw(sheet).text(
            (corner[0] + 2, corner[1] + side), f"{visible[row, column]:.2f} {names}"
        )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())
