"""A site's gateway to the national network identity service, over HTTPS on loopback."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from parts.certificates import CertificateAuthority

WHO = {"code-of-one": "token-1", "code-of-two": "token-2", "code-of-a-stranger": "token-9"}


class Service:
    """Answers as a gateway does, or as `answers` says."""

    def __init__(self, folder):
        self.ca, self.asked, self.go_on = CertificateAuthority(folder), [], threading.Event()
        self.clock, self.spoil = None, lambda told: told
        outer, own = self, self.ca.issue("gateway")

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                """Be quiet."""

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(asked)
                person = WHO.get(asked["code"], "")
                told = {
                    "transaction": asked["transaction"], "result": "verified" if person else "refused",
                    "person": person, "at": outer.clock.read().wall.isoformat(), "assurance": "face",
                }  # fmt: skip
                told = outer.spoil(told)
                body = told if isinstance(told, bytes) else json.dumps(told).encode()
                self.send_response(200 if told else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # whoever asked has gone
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.settings = {
            "url": f"https://127.0.0.1:{self._server.server_port}/identity",
            "ca_file": str(self.ca.certificate), "seconds": 2,
        }  # fmt: skip
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
