"""A small server for the page: three folders under one address, on this computer only.

    /           the page         web/
    /vendor/... the runtime      onnxruntime-web, fetched by scripts/vendor-web
    /model/...  the model        the folder that is shown

It answers GET and HEAD for files and for nothing else: no lists of folders, no way out of the
three. It listens on the loopback address, and only to requests that name it, so that no web site
can reach the model through a host name of its own that points here.
"""

import http.server
import posixpath
import sys
import urllib.parse
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from linnet.errors import InputError

ADDRESS = "127.0.0.1"
_INDEX = "index.html"
# What Python guesses depends on the computer it runs on; a module of another type is not run.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
_HEADERS = {
    # What is shown is what lies in the folder now, also after an export into the same place.
    "Cache-Control": "no-store",
    # The two that let a page share memory between threads, which onnxruntime-web's threads need.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The page loads, runs and asks for nothing that does not come from here: no sound can leave it.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "img-src 'self'; media-src blob:; connect-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Server(http.server.ThreadingHTTPServer):
    """Serves folders on the loopback address.

    Args:
        folders: by the first part of the path under which they are served; "" is the page.
        port: to listen on; 0 takes a free one.

    Raises:
        InputError: the port is in use, or may not be used.
    """

    daemon_threads = True

    def __init__(self, folders: Mapping[str, Path], port: int) -> None:
        self.folders = {name: folder.resolve() for name, folder in folders.items()}
        try:
            super().__init__((ADDRESS, port), partial(_Handler, folders=self.folders))
        except OSError as error:
            raise InputError(
                f"port {port} cannot be listened on ({error.strerror}); "
                "name another with --port, or let the system choose one with --port 0"
            ) from error

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as its base
        """Pass over a browser that hung up in the middle of an answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Answers one request."""

    extensions_map = _TYPES
    server_version = "linnet"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, folders: Mapping[str, Path], **named: Any) -> None:  # noqa: ANN401
        self._folders = folders
        super().__init__(*arguments, **named)

    def send_head(self) -> Any:  # noqa: ANN401 - as its base
        """Send the headers of a file and give it, or send an error."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if host not in (ADDRESS, "localhost"):
            self.send_error(HTTPStatus.FORBIDDEN, f"this page is served as {ADDRESS} only")
            return None
        if not Path(self.translate_path(self.path)).is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        # Answering "not modified" by the second of a change would show a model of a moment ago.
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def translate_path(self, path: str) -> str:
        """Give the file that a path means; one that does not exist where it means none."""
        plain = urllib.parse.unquote(urllib.parse.urlsplit(path).path, errors="surrogateescape")
        # Normalised first: ".." cannot lead out of "/".
        parts = [part for part in posixpath.normpath(f"/{plain}").split("/") if part]
        folder = self._folders[""]
        if parts and parts[0] and parts[0] in self._folders:
            folder = self._folders[parts.pop(0)]
        if any("\\" in part or "\0" in part or ":" in part for part in parts):
            return str(folder / "no such file")
        return str(folder.joinpath(*parts) if parts else folder / _INDEX)

    def end_headers(self) -> None:
        """Add the headers that every answer carries."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: ANN401
        """Say nothing: the page says what goes wrong."""
