"""A small file system that speaks WebHDFS, as Hadoop's client expects it: a lake that is no local folder.

Operations, redirects and the JSON of answers are those of "WebHDFS REST API" in Hadoop's documentation. What
is stored lies in a folder of this machine, under another path than in its addresses.
"""

import json
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PREFIX = "/webhdfs/v1"
READ_ONLY_ERRORS = {FileNotFoundError: 404, PermissionError: 403, FileExistsError: 403}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    asked: list[tuple[str, str]]

    def log_message(self, *_):
        """Be quiet."""

    def do_GET(self):
        self._answer()

    def do_PUT(self):
        self._answer()

    def do_DELETE(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        parts = urlsplit(self.path)
        query = {name.lower(): values[0] for name, values in parse_qs(parts.query).items()}
        path, operation = unquote(parts.path.removeprefix(PREFIX)), query["op"].upper()
        self.query, self.content = query, self._body()
        self.asked.append((operation, path))
        try:
            getattr(self, f"_{operation.lower()}")(path)
        except OSError as error:
            self._fail(READ_ONLY_ERRORS.get(type(error), 500), type(error).__name__, path)
        except AttributeError:
            self._fail(400, "UnsupportedOperationException", operation)

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _fail(self, status, kind, told):
        known = {"FileNotFoundError": "java.io.FileNotFoundException"}
        name = known.get(kind, "java.io.IOException")
        exception = {"exception": name.split(".")[-1], "javaClassName": name, "message": told}
        self._json({"RemoteException": exception}, status)

    def _json(self, answer, status=200):
        self._send(json.dumps(answer).encode(), status)

    def _send(self, content, status=200, location=None):
        # without a type: Spark's package of Hadoop's client lacks the class (Jersey's) that would read it
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(content)

    def _elsewhere(self):
        """Send the client on, as a name node does to a data node; it sends no data before."""
        if "sent_on" in self.query:
            return False
        host, port = self.server.server_address
        self._send(b"", 307, location=f"http://{host}:{port}{self.path}&sent_on=true")
        return True

    def _at(self, path):
        return self.root / path.strip("/")

    def _status(self, place, suffix):
        found = place.stat()
        return {
            "accessTime": 0,
            "blockSize": 134217728,
            "childrenNum": 0,
            "fileId": 0,
            "group": "g",
            "length": 0 if place.is_dir() else found.st_size,
            "modificationTime": found.st_mtime_ns // 1_000_000,
            "owner": "o",
            "pathSuffix": suffix,
            "permission": "755",
            "replication": 1,
            "storagePolicy": 0,
            "type": "DIRECTORY" if place.is_dir() else "FILE",
        }

    def _getfilestatus(self, path):
        self._json({"FileStatus": self._status(self._at(path), "")})

    def _liststatus(self, path):
        place = self._at(path)
        found = sorted(place.iterdir()) if place.is_dir() else [place]
        listed = [self._status(one, one.name if place.is_dir() else "") for one in found]
        self._json({"FileStatuses": {"FileStatus": listed}})

    def _getfileblocklocations(self, path):
        block = {
            "cachedHosts": [],
            "corrupt": False,
            "hosts": ["localhost"],
            "length": self._at(path).stat().st_size,
            "names": ["localhost:0"],
            "offset": 0,
            "storageIds": [],
            "storageTypes": ["DISK"],
            "topologyPaths": ["/default-rack/localhost:0"],
        }
        self._json({"BlockLocations": {"BlockLocation": [block]}})

    def _open(self, path):
        place = self._at(path)
        if not place.is_file():
            raise FileNotFoundError(path)
        if self._elsewhere():
            return
        with place.open("rb") as file:
            file.seek(int(self.query.get("offset", 0)))
            self._send(file.read(int(self.query["length"])) if "length" in self.query else file.read())

    def _create(self, path):
        if self._elsewhere():
            return
        place = self._at(path)
        if place.exists() and self.query.get("overwrite", "false") != "true":
            raise FileExistsError(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(self.content)
        self._send(b"", 201)

    def _mkdirs(self, path):
        self._at(path).mkdir(parents=True, exist_ok=True)
        self._json({"boolean": True})

    def _rename(self, path):
        place, goal = self._at(path), self._at(self.query["destination"])
        if not place.exists() or not goal.parent.is_dir():
            self._json({"boolean": False})
            return
        goal = goal / place.name if goal.is_dir() else goal
        if goal.exists():
            self._json({"boolean": False})
            return
        place.rename(goal)
        self._json({"boolean": True})

    def _delete(self, path):
        place = self._at(path)
        if not place.exists():
            self._json({"boolean": False})
            return
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink()
        self._json({"boolean": True})

    def _setpermission(self, _path):
        self._send(b"")

    def _settimes(self, _path):
        self._send(b"")


class Lake:
    """The running file system: its address, the folder behind it, and what was asked of it."""

    def __init__(self, address, root, asked):
        self.address, self.root, self.asked = address, root, asked


@contextmanager
def webhdfs(root):
    """Serve a folder by WebHDFS on a free port of this machine."""
    asked = []
    handler = type("Handler", (_Handler,), {"root": root, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Lake(f"webhdfs://127.0.0.1:{server.server_address[1]}", root, asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
