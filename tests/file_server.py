"""A web server on this machine, which can break transfers off."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """Serves ``files`` (path -> content) on 127.0.0.1.

    Attributes:
        asked: the paths that were asked for and, of each, the range.
        breaks: after how many bytes the next transfers break off; the ones after them are whole.
        ranges: whether it can begin in the middle.
        promised: the length that it says its files have, if not the true one.
        packed: how it says that its files are packed for the transfer, if it says so.
    """

    def __init__(self):
        self.files = {}
        self.asked = []
        self.breaks = []
        self.ranges = True
        self.promised = None
        self.packed = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _handler(server):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                content = server.files.get(self.path.lstrip("/"))
                wanted = self.headers.get("Range")
                server.asked.append((self.path.lstrip("/"), wanted))
                begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
                if content is None:
                    self.send_error(404)
                    return
                if begin >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206 if begin else 200)
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
                if server.packed:
                    self.send_header("Content-Encoding", server.packed)
                self.send_header("Content-Length", str(server.promised or len(content) - begin))
                self.end_headers()
                end = begin + server.breaks.pop(0) if server.breaks else len(content)
                self.wfile.write(content[begin:end])

            def log_message(self, *_):
                """Say nothing."""

        return Handler
