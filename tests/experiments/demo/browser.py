"""A real browser without a window, driven by a page that reports what it saw."""

import json
import shutil
import subprocess
import threading

import pytest

from experiments.demo import web

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 120

DRIVER = """<!doctype html>
<iframe id="f" src="/" style="width:390px;height:844px;border:0"></iframe>
<script>
const frame = document.getElementById("f");
const page = () => frame.contentDocument;
const at = (id) => page().getElementById(id);
const until = async (test) => {
  while (!test()) await new Promise((done) => setTimeout(done, 30));
};
// A drag on the canvas, in pixels of the picture.
const drag = (canvas, x, y, w, h) => {
  const shown = canvas.getBoundingClientRect(), scale = shown.width / canvas.width;
  const send = (kind, px, py) => canvas.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, pointerId: 1, clientX: shown.left + px * scale, clientY: shown.top + py * scale,
  }));
  send("pointerdown", x, y); send("pointermove", x + w, y + h); send("pointerup", x + w, y + h);
};
frame.onload = async () => {
  let found;
  try { found = await (async () => { %s })(); } catch (error) { found = { error: String(error) }; }
  await fetch("/report", { method: "POST", body: JSON.stringify(found) });
};
</script>"""


def drive(routes, script):
    """Opens the page "/" of some routes at a phone's width, and runs a script beside it.

    Returns:
        What the script returned.
    """
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no browser is installed: one of {', '.join(NAMES)} would be driven")
    reports, reported = [], threading.Event()

    def report(request):
        reports.append(json.loads(request.body))
        reported.set()
        return web.answer({})

    own = {
        "GET /drive": lambda request: web.Response((DRIVER % script).encode(), "text/html"),
        "POST /report": report,
    }
    with web.server({**own, **routes}) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        command = [executable, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-dev-shm-usage", f"{web.address(running)}drive"]  # fmt: skip
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        try:
            assert reported.wait(SECONDS), "the browser did not report"
        finally:
            process.kill()
            process.wait()
            running.shutdown()
    return reports[0]
