"""A git repository, and a server of it that speaks git's own protocol by the command `git`."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

PLAIN = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "author",
    "GIT_AUTHOR_EMAIL": "author@example.org",
    "GIT_COMMITTER_NAME": "author",
    "GIT_COMMITTER_EMAIL": "author@example.org",
}
ENVIRONMENT = {**os.environ, **PLAIN}  # noqa: TID251 - what git is started with


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Commit files to a repository, which is made if there is none; return the commit."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")
    return git(folder, "rev-parse", "HEAD")


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve the repositories below ``root``; yield the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self._pack("/info/refs", ["--advertise-refs"], b"")

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self._pack("/git-upload-pack", [], self.rfile.read(length))

        def _pack(self, end: str, options: list[str], body: bytes) -> None:
            path = urlsplit(self.path).path
            folder = root / path.removesuffix(end).lstrip("/")
            if not path.endswith(end) or not (folder / ".git").is_dir():
                self.send_error(404)
                return
            done = subprocess.run(
                ["git", "upload-pack", "--stateless-rpc", *options, str(folder)],
                input=body,
                env={**ENVIRONMENT, "GIT_PROTOCOL": "version=2"},
                check=False,  # what is refused is told to the client
                capture_output=True,
            )
            kind = "advertisement" if options else "result"
            self.send_response(200)
            self.send_header("Content-Type", f"application/x-git-upload-pack-{kind}")
            self.end_headers()
            self.wfile.write(b"001e# service=git-upload-pack\n0000" if options else b"")
            self.wfile.write(done.stdout)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
