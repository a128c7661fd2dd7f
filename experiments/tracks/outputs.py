"""Where the results of a run go, and that nothing which is there already is lost."""

import dataclasses
import pathlib
from collections.abc import Collection, Iterator

from basics.errors import InputError
from experiments.command_line import cli

_VIDEOS = (".mp4", ".gif")
_EXTRA = {"mot": "mot.txt", "cvat": "cvat.xml"}


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The files of a run, which share a folder or a name.

    Attributes:
        video: with the boxes drawn on it.
        boxes: x,y,w,h, a line a frame; of one target.
        csv, json: the tables.
        forms: of other tools, by their names.
    """

    video: pathlib.Path
    boxes: pathlib.Path
    csv: pathlib.Path
    json: pathlib.Path
    forms: dict[str, pathlib.Path]

    @classmethod
    def at(cls, output: pathlib.Path, forms: Collection[str] = ()) -> "Outputs":
        """The files beside a video, or in a folder.

        Raises:
            InputError: the output is a file of another kind, or lies where it cannot be made.
        """
        if output.suffix.lower() in _VIDEOS and not output.is_dir():
            beside = lambda ending: output.with_name(f"{output.stem}.{ending}")
            video, boxes, tables = output, beside("txt"), (beside("csv"), beside("json"))
            others = {name: beside(_EXTRA[name]) for name in forms}
        elif output.suffix and not output.is_dir():
            raise InputError(f"{output} must end in .mp4 or .gif, or be a folder")
        else:
            video, boxes = output / "video.mp4", output / "boxes.txt"
            tables = output / "tracks.csv", output / "tracks.json"
            others = {name: output / _EXTRA[name] for name in forms}
        cli.require_folder(video.parent)
        return cls(video, boxes, *tables, others)

    def __iter__(self) -> Iterator[pathlib.Path]:
        """Yields all of them."""
        return iter((self.video, self.boxes, self.csv, self.json, *self.forms.values()))

    def require_free(self, source: pathlib.Path | str, overwrite: bool) -> None:
        """Checks that nothing is lost; the video that is read never may be.

        Raises:
            InputError: a file is there already.
        """
        for path in self:
            if path.exists() and pathlib.Path(source).exists() and path.samefile(source):
                raise InputError(f"{path} is the video itself: give another --output")
            if path.exists() and not overwrite:
                raise InputError(f"{path} exists already: give another --output, or --overwrite")
