"""The box by mouse or finger: a page with the first frame, on which a drag draws it."""

import threading
import webbrowser

import numpy as np

from basics.errors import InputError
from experiments.demo import web
from experiments.demo.runs import picture
from tracking_tasks.boxes import validate_box


def select_box(image: np.ndarray, open_browser: bool = True) -> str:
    """Serves the page, and waits until a box is drawn on it.

    Where there is a display the page opens in a window of the browser; its address is printed.

    Args:
        image: the frame, uint8 (H, W, 3) RGB.
        open_browser: whether to open one.

    Returns:
        The box as `x,y,w,h`, as `--box` takes it.
    """
    height, width = image.shape[:2]
    chosen: list[str] = []
    done = threading.Event()

    def take(request: web.Request) -> web.Response:
        box = request.json()
        if not isinstance(box, list):
            raise InputError("the request holds no box: reload the page")
        chosen.append(",".join(f"{value:.1f}" for value in validate_box(box, image.shape)))
        done.set()
        return web.answer({"box": chosen[-1]})

    routes: web.Routes = {
        "GET /": lambda request: web.static("select.html"),
        "GET /frame": lambda request: web.answer({"width": width, "height": height}),
        r"GET /first\.jpg": lambda request: web.Response(picture(image), "image/jpeg"),
        "POST /box": take,
    }
    with web.server(routes) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            print(f"draw the box at {web.address(running)}", flush=True)
            if open_browser:
                webbrowser.open(web.address(running))
            done.wait()
        finally:
            running.shutdown()
    return chosen[-1]
