"""A small web server for one user: routes to functions, bound to this machine only."""

import dataclasses
import http.server
import json
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from basics.errors import InputError
from basics.files import parse_json

STATIC = pathlib.Path(__file__).parent / "static"

_HOST = "127.0.0.1"
_LARGEST = 2**30  # bytes of an upload
_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".csv": "text/csv"}


@dataclasses.dataclass(frozen=True)
class Request:
    """What the browser asks.

    Attributes:
        parts: what the groups of the route's pattern matched in the path.
        query: the last value of each name behind the question mark.
        body: what was sent along.
    """

    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            InputError: it is none.
        """
        try:
            return parse_json(self.body)
        except ValueError:
            raise InputError("the request is no JSON") from None


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer: bytes of a kind, perhaps to be saved under a name."""

    body: bytes
    kind: str
    name: str | None = None


# "GET /runs/(\d+)" and what answers it.
Routes = Mapping[str, Callable[[Request], Response]]


def answer(value: Any) -> Response:
    """A value as JSON."""
    return Response(json.dumps(value).encode(), "application/json")


def static(name: str) -> Response:
    """A file that comes with the program."""
    path = STATIC / name
    return Response(path.read_bytes(), f"{_KINDS[path.suffix]}; charset=utf-8")


def server(routes: Routes, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of those routes on this machine; `serve_forever` and `shutdown` are its user's.

    Names of files in `static/` are answered, too. An InputError is answered with status 400.

    Args:
        routes: method and path as regular expressions.
        port: to listen on; any free one by default.

    Raises:
        InputError: the port is taken.
    """
    compiled = [(re.compile(pattern), handle) for pattern, handle in routes.items()]
    try:
        found = http.server.ThreadingHTTPServer((_HOST, port), _handler(compiled))
    except OSError as error:
        raise InputError(f"port {port} cannot be used ({error.strerror}): give another") from error
    found.daemon_threads = True
    return found


def address(running: http.server.ThreadingHTTPServer) -> str:
    """Where a browser finds a server."""
    return f"http://{_HOST}:{running.server_port}/"


def _handler(
    routes: Sequence[tuple[re.Pattern[str], Callable[[Request], Response]]],
) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing: the terminal is for what matters."""

        def _answer(self) -> None:
            # Another site's page must not reach this server through a name of its own, nor send
            # what a user did not ask for.
            host = self.headers.get("Host", "").rpartition(":")[0]
            origin = self.headers.get("Origin")
            own = (None, f"http://{self.headers.get('Host')}")
            if host not in (_HOST, "localhost") or origin not in own:
                self._send(403, answer({"error": "this page is for this machine only"}))
                return
            try:
                self._send(200, self._find())
            except LookupError:
                self._send(404, answer({"error": f"there is no {self.path}"}))
            except InputError as error:
                self._send(400, answer({"error": str(error)}))

        def _find(self) -> Response:
            url = urllib.parse.urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            if length > _LARGEST:
                self.close_connection = True
                raise InputError("the file is too large: cut it, or use experiments.track")
            body = self.rfile.read(length)
            query = dict(urllib.parse.parse_qsl(url.query))
            path = urllib.parse.unquote(url.path)
            for pattern, handle in routes:
                if match := pattern.fullmatch(f"{self.command} {path}"):
                    return handle(Request(match.groups(), query, body))
            names = {f"/{file.name}" for file in STATIC.iterdir()}
            if self.command == "GET" and path in names:
                return static(path[1:])
            raise LookupError(path)

        def _send(self, status: int, response: Response) -> None:
            self.send_response(status)
            self.send_header("Content-Type", response.kind)
            self.send_header("Content-Length", str(len(response.body)))
            self.send_header("Cache-Control", "no-store")
            if response.name:
                disposition = f'attachment; filename="{response.name}"'
                self.send_header("Content-Disposition", disposition)
            self.end_headers()
            self.wfile.write(response.body)

    return Handler
