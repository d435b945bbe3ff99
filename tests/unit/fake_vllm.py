"""Stands in for the program `vllm`: records how it was started and answers as the real server does, or misbehaves."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

_SCRIPT = """#!{python}
import json, os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

mode, version, folder = {mode!r}, {version!r}, Path({folder!r})
names = [name for name in os.environ if name.startswith(("VLLM", "HF_"))]
started = {{"argv": sys.argv[1:], "environment": {{name: os.environ[name] for name in names}}, "pid": os.getpid()}}
started["child"] = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"]).pid
(folder / "started.json").write_text(json.dumps(started))
print("loading \\x1b[31mweights", flush=True)
if mode == "die":
    print("ValueError: no room for the key-value cache", flush=True)
    sys.exit(3)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
value = lambda name: sys.argv[sys.argv.index(name) + 1] if name in sys.argv else ""
key = os.environ.get("VLLM_API_KEY", "")
models = [value("--served-model-name")]
if value("--lora-modules"):
    models.append(json.loads(value("--lora-modules"))["name"])
begin = time.monotonic()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        late = mode == "never" or time.monotonic() - begin < 0.5
        if self.path == "/health":
            return self.answer(503 if late else 200, None)
        if self.path == "/version":
            return self.answer(200, {{"version": version}})
        if key and self.headers.get("Authorization") != f"Bearer {{key}}":
            return self.answer(401, {{"error": "Unauthorized"}})
        self.answer(200, {{"data": [{{"id": name, "owned_by": "vllm"}} for name in models]}})
    def answer(self, code, value):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer((value("--host"), int(value("--port"))), Handler)
if mode == "short":
    server.timeout = 0.1
    while time.monotonic() - begin < 2:
        server.handle_request()
    print("EngineDeadError", flush=True)
    sys.exit(1)
server.serve_forever()
"""


def write(folder: Path, mode: str = "", version: str = "0.33.0") -> Path:
    """Writes the program into a folder and returns its path."""
    path = folder / "vllm"
    path.write_text(_SCRIPT.format(python=sys.executable, mode=mode, version=version, folder=str(folder)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
