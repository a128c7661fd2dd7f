r"""A page to see what the project is about: rules side by side on a video, in a browser.

Drop a video or take the sample, draw a box around a target, choose a tracker and two or three inner
optimizers, and watch them: boxes, scores, times, and the losses of their inner loops. Everything
stays on this machine: the page is served to it alone (127.0.0.1).

Examples:
    python -m experiments.demo
    python -m experiments.demo --port=8000 --noopen_browser

A rule that a tracker was not meta-trained with runs with the values that it starts from. The sample
is rendered-010 of `python -m experiments.render --videos=10 --frames=100 --seed=3 --noannotate
--layout=mp4 --output_dir=OUT`: a cut-out that moves over a photograph of the moon.
"""

import contextlib
import itertools
import pathlib
import tempfile
import webbrowser
from collections.abc import Sequence
from typing import Any

from absl import flags

import metaopt
from basics.errors import InputError
from experiments.command_line import cli
from experiments.demo import web
from experiments.demo.runs import Run, open_video, picture
from tracking_tasks.data.videos import Video
from tracking_tasks.trackers import TRACKERS

SAMPLE = pathlib.Path(__file__).parent / "sample.mp4"
SAMPLE_BOX = [61.0, 113.0, 44.0, 53.0]

_MOST_RULES = 3

FLAGS = flags.FlagValues()
_PORT = flags.DEFINE_integer("port", 7860, "To serve the page at; 0 is any.", 0, flag_values=FLAGS)
_OPEN_BROWSER = flags.DEFINE_bool(
    "open_browser", True, "Open the page in a browser, if there is one.", flag_values=FLAGS
)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(pathlib.Path(folder))
        running = web.server(demo.routes(), _PORT.value)
        print(f"open {web.address(running)} in a browser; Ctrl-C ends it", flush=True)
        if _OPEN_BROWSER.value:
            webbrowser.open(web.address(running))
        with contextlib.suppress(KeyboardInterrupt), running:
            running.serve_forever()
        demo.stop()


class Demo:
    """The videos and the runs of a user.

    Args:
        folder: where uploaded videos are kept.
        **options: of every `Run`.
    """

    def __init__(self, folder: pathlib.Path, **options: Any) -> None:
        self._folder, self._options = folder, options
        self._videos: dict[int, Video] = {}
        self._runs: dict[int, Run] = {}
        self._numbers = itertools.count(1)

    def routes(self) -> web.Routes:
        """What answers the page."""
        return {
            "GET /": lambda request: web.static("demo.html"),
            "GET /choices": lambda request: web.answer(self._choices()),
            "POST /videos": self._upload,
            "POST /sample": lambda request: self._add(SAMPLE, box=SAMPLE_BOX),
            r"GET /videos/(\d+)/first\.jpg": self._first,
            "POST /runs": self._start,
            r"GET /runs/(\d+)": self._state,
            r"POST /runs/(\d+)/stop": self._stop,
            r"GET /runs/(\d+)/frames/(\d+)\.jpg": self._frame,
            r"GET /runs/(\d+)/(\w+)\.(csv|json)": self._table,
        }

    def stop(self) -> None:
        """Ends all runs."""
        for run in self._runs.values():
            run.stop()

    def _choices(self) -> dict[str, Any]:
        return {
            "trackers": {name: cls.default_rule for name, cls in sorted(TRACKERS.items())},
            "rules": metaopt.optimizers.names(),
            "most": _MOST_RULES,
        }

    def _upload(self, request: web.Request) -> web.Response:
        suffix = pathlib.PurePath(request.query.get("name", "")).suffix
        plain = "".join(letter for letter in suffix if letter.isalnum())
        path = self._folder / f"{next(self._numbers)}.{plain or 'mp4'}"
        path.write_bytes(request.body)
        return self._add(path)

    def _add(self, path: pathlib.Path, **known: Any) -> web.Response:
        number = next(self._numbers)
        self._videos[number], said = open_video(path)
        return web.answer({"id": number, **said, **known})

    def _first(self, request: web.Request) -> web.Response:
        video = self._videos[int(request.parts[0])]
        return web.Response(picture(next(iter(video))), "image/jpeg")

    def _start(self, request: web.Request) -> web.Response:
        asked = request.json()
        try:
            video, box = self._videos[int(asked["video"])], asked["box"]
            tracker, rules = asked["tracker"], list(dict.fromkeys(asked["rules"]))
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"the request lacks {error}: reload the page") from None
        if not 1 <= len(rules) <= _MOST_RULES:
            raise InputError(f"choose one to {_MOST_RULES} inner optimizers")
        self.stop()  # one run at a time: two would only slow each other
        number = next(self._numbers)
        self._runs[number] = Run(video, box, tracker, rules, **self._options)
        return web.answer({"id": number})

    def _state(self, request: web.Request) -> web.Response:
        first = int(request.query.get("from", "0"))
        return web.answer(self._runs[int(request.parts[0])].state(first))

    def _stop(self, request: web.Request) -> web.Response:
        self._runs[int(request.parts[0])].stop()
        return web.answer({})

    def _frame(self, request: web.Request) -> web.Response:
        run, index = map(int, request.parts)
        return web.Response(self._runs[run].pictures[index], "image/jpeg")

    def _table(self, request: web.Request) -> web.Response:
        number, rule, suffix = request.parts
        run = self._runs[int(number)]
        if rule not in [lane.rule for lane in run.lanes]:
            raise LookupError(rule)
        name = f"{run.tracker}-{rule}.{suffix}"
        kind = {"csv": "text/csv", "json": "application/json"}[suffix]
        return web.Response(run.table(rule, suffix), kind, name)


if __name__ == "__main__":
    cli.run(main, FLAGS)
