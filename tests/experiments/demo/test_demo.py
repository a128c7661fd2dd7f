import contextlib
import http.client
import json
import threading
import time

import numpy as np
import pytest

from basics.errors import InputError
from experiments.demo import selection, web
from experiments.demo.__main__ import SAMPLE, SAMPLE_BOX, Demo
from experiments.demo.runs import Run
from tests.experiments.demo.browser import drive
from tests.experiments.programs import Follower
from tracking_tasks.data.videos import read_video, write_video


def load(name, inner_optimizer):
    if inner_optimizer == "lstm":
        raise InputError("no such weights")
    return Follower()


@pytest.fixture
def demo(tmp_path):
    found = Demo(tmp_path, load=load, losses=lambda *_: [3.0, 2.0, float("nan")])
    yield found
    found.stop()


@pytest.fixture
def asked(demo):
    """Sends a request to a server of the demo; returns status, kind and body."""
    with web.server(demo.routes()) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()

        def send(method, path, body=None, **headers):
            connection = http.client.HTTPConnection("127.0.0.1", running.server_port)
            with contextlib.closing(connection):
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                return response.status, response.headers["Content-Type"], response.read()

        yield send
        running.shutdown()


def until_ended(asked, run):
    while not (state := json.loads(asked("GET", f"/runs/{run}?from=0")[2]))["ended"]:
        time.sleep(0.01)
    return state


def test_the_sample_is_small_and_its_box_is_in_it():
    assert SAMPLE.stat().st_size < 1_000_000
    frames = list(read_video(SAMPLE))
    assert len(frames) == 100
    x, y, w, h = map(int, SAMPLE_BOX)
    inside = frames[0][y : y + h, x : x + w].astype(int)
    assert inside.max() > 200  # the bright target, on the grey ground
    assert frames[0].max() == inside.max() or frames[0].astype(int).max() - inside.max() < 60


def test_rules_run_side_by_side_on_an_uploaded_video(asked, tmp_path):
    write_video(tmp_path / "a.mp4", np.full((4, 60, 80, 3), 90, np.uint8), 10)
    status, _, said = asked("POST", "/videos?name=a.mp4", (tmp_path / "a.mp4").read_bytes())
    video = json.loads(said)
    assert status == 200
    assert {name: video[name] for name in ("width", "height", "fps", "length")} == {
        **{"width": 80, "height": 60, "fps": 10.0, "length": 4}
    }
    body = {"video": video["id"], "box": [10, 15, 20, 24], "tracker": "dimp"}
    run = json.loads(asked("POST", "/runs", json.dumps(body | {"rules": ["adam", "lstm"]}))[2])
    state = until_ended(asked, run["id"])
    adam, lstm = state["lanes"]
    assert (state["frames"], len(adam["seconds"]), lstm["error"]) == (4, 4, "no such weights")
    assert [box[0] for box in adam["boxes"]] == [10, 11, 12, 13]
    assert adam["scores"] == [1, 0.5, 0.5, 0.5]
    assert adam["losses"] == [3, 2, None]
    status, kind, table = asked("GET", f"/runs/{run['id']}/adam.csv")
    assert (status, kind, len(table.splitlines())) == (200, "text/csv", 5)
    assert len(json.loads(asked("GET", f"/runs/{run['id']}/adam.json")[2])["rows"]) == 4
    assert asked("GET", f"/runs/{run['id']}/frames/3.jpg")[1:][0] == "image/jpeg"
    part = json.loads(asked("GET", f"/runs/{run['id']}?from=3")[2])
    assert [box[0] for box in part["lanes"][0]["boxes"]] == [13]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/videos?name=a.mp4", b"no video", 400, "is not a readable video"),
        ("POST", "/runs", b"{", 400, "no JSON"),
        ("POST", "/runs", b"{}", 400, "lacks 'video'"),
        ("GET", "/runs/9", None, 404, "there is no"),
        ("GET", "/static/../web.py", None, 404, "there is no"),
        ("GET", "/..%2f__main__.py", None, 404, "there is no"),
    ],
)
def test_bad_requests_are_answered_in_a_sentence(asked, method, path, body, status, message):
    found, _, said = asked(method, path, body)
    assert found == status
    assert message in json.loads(said)["error"]


def test_other_sites_are_refused(asked):
    assert asked("GET", "/", Host="evil.example:80")[0] == 403
    assert asked("POST", "/sample", b"", Origin="http://evil.example")[0] == 403
    assert asked("GET", "/")[0] == 200


def test_a_box_outside_the_frame_is_refused(tmp_path):
    write_video(tmp_path / "a.mp4", np.zeros((2, 60, 80, 3), np.uint8), 10)
    with pytest.raises(InputError, match="outside the frame"):
        Run(read_video(tmp_path / "a.mp4"), [900, 0, 5, 5], "dimp", ["adam"], load)


def test_a_page_at_a_phones_width_tracks_the_sample_in_a_browser(demo):
    found = drive(
        demo.routes(),
        """
        await until(() => at("rules").querySelector("input"));
        at("sample").click();
        await until(() => !at("setup").hidden && !at("start").disabled);
        const given = at("box").textContent;
        drag(at("draw"), 40, 50, 30, 60);
        const drawn = at("box").textContent;
        for (const box of at("rules").querySelectorAll("input")) box.checked = false;
        for (const rule of ["adam", "steepest_descent"])
          at("rules").querySelector(`[value=${rule}]`).click();
        at("start").click();
        await until(() => page().body.dataset.ended);
        await until(() => page().querySelector(".now").textContent);
        const view = page().querySelector(".view");
        const row = view.getContext("2d").getImageData(0, 80, view.width, 1).data;
        let green = 0;
        for (let i = 0; i < row.length; i += 4)
          if (row[i + 1] > row[i] + 80 && row[i + 1] > row[i + 2] + 60) green++;
        const whole = page().documentElement;
        return {
          given, drawn, green, wide: whole.scrollWidth - whole.clientWidth,
          rules: [...page().querySelectorAll(".lane h2")].map((title) => title.textContent),
          said: page().querySelector(".now").textContent, last: at("frame").max,
          csv: page().querySelector(".csv").getAttribute("href"),
        };""",
    )
    assert found.get("error") is None
    assert found["given"] == "61, 113, 44, 53"
    assert [float(value) for value in found["drawn"].split(",")] == pytest.approx(
        [40, 50, 30, 60], abs=0.2
    )
    assert found["rules"] == ["adam", "steepest_descent"]
    assert found["said"].startswith("score 0.50, ")
    assert (found["last"], found["wide"]) == ("99", 0)  # nothing sticks out
    assert found["csv"].endswith("/adam.csv")
    assert found["green"] >= 2  # the sides of the box in the picture


def test_a_box_is_drawn_in_a_browser(monkeypatch):
    image = np.full((100, 200, 3), 80, np.uint8)
    chosen = []

    def opened(address):
        """Takes the page's server for the browser's own."""
        routes = seen[0]
        script = """
            await until(() => at("draw").width === 200);
            drag(at("draw"), 150, 80, -50, -30);
            at("take").click();
            await until(() => at("said").textContent);
            return at("said").textContent;"""
        chosen.append(drive(routes, script))

    seen = []
    real = web.server
    monkeypatch.setattr(web, "server", lambda routes, port=0: seen.append(routes) or real(routes))
    monkeypatch.setattr(selection.webbrowser, "open", opened)
    box = selection.select_box(image)
    assert [float(value) for value in box.split(",")] == pytest.approx([100, 50, 50, 30], abs=0.2)
    assert chosen == [f"{box} is being tracked; this page can be closed."]
