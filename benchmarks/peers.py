"""The clients that are measured, each in a process and, where it must, in a virtual environment of its own.

    with Peers(ports) as peers:
        peers.sdk.time("close", port=ports.slow, count=1000, concurrency=64)   # seconds

The SDK is installed plainly, as `pip install mizar` does it, without extras, and stock httpx is measured as it comes
with it. The environments are made on the first run, in the system's temporary folder, and kept there.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

ROOT: Final = Path(__file__).parents[1]
_CLIENTS: Final = Path(__file__).parent / "clients"
_KEPT: Final = Path(tempfile.gettempdir()) / f"mizar-benchmarks-{sys.version_info.major}.{sys.version_info.minor}"

# The public client names a release of pandas that no current Python can install; it works with a newer one.
_OLD: Final = (("--no-deps", "mizar==0.1.5"), ("requests", "dill", "pandas"))
_HTTPX2: Final = (("httpx2",),)
_OTHERS: Final = (("aiohttp", "pyreqwest", "curl_cffi", "requests"),)
_FRAMES: Final = ((f"{ROOT}[frames]",), ("--force-reinstall", "--no-deps", str(ROOT)))
_CLI: Final = ((f"{ROOT}[cli,speed]",), ("--force-reinstall", "--no-deps", str(ROOT)))
_PLAIN: Final = ((str(ROOT),), ("--force-reinstall", "--no-deps", str(ROOT)))


class Client:
    """A client's process: it is asked for one measurement at a time, and keeps nothing between two of them."""

    def __init__(self, python: Path, script: str, *arguments: str) -> None:
        self.python = python
        self._process = subprocess.Popen(
            [python, _CLIENTS / script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_without_proxies(),
            cwd=_KEPT,
        )

    def ask(self, what: str, **how: str | float) -> Any:
        """Have it measure something, and give what it measured."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([what, how]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended while it measured {what!r}: see its error above")
        return json.loads(line)

    def time(self, what: str, **how: str | float) -> float:
        """The seconds that something took."""
        return float(self.ask(what, **how)["took"])

    def end(self) -> None:
        """Close its input, which ends it, and wait for that."""
        self._process.communicate()


class Peers(contextlib.ExitStack):
    """All clients, started."""

    def __enter__(self) -> Self:
        self.plain = _environment("plain", _PLAIN, renewed=True)
        self.cli = _environment("cli", _CLI, renewed=True)
        old, httpx2, others = (
            _environment(name, what) for name, what in (("old", _OLD), ("httpx2", _HTTPX2), ("others", _OTHERS))
        )
        self.frames = self._start(_environment("frames", _FRAMES, renewed=True), "with_sdk.py")
        self.sdk = self._start(self.plain, "with_sdk.py")
        self.aiohttp = self._start(others, "with_aiohttp.py")
        self.pyreqwest = self._start(others, "with_pyreqwest.py")
        self.curl_cffi = self._start(others, "with_curl_cffi.py")
        self.requests = self._start(others, "with_requests.py")
        self.protocol = self._start(self.plain, "with_protocol.py")
        self.httpx = self._start(self.plain, "with_httpx.py", "httpx")
        self.httpx2 = self._start(httpx2, "with_httpx.py", "httpx2")
        self.old = self._start(old, "with_old.py")
        return self

    def _start(self, python: Path, script: str, *arguments: str) -> Client:
        client = Client(python, script, *arguments)
        self.callback(client.end)
        return client

    @contextlib.contextmanager
    def fresh_sdk(self) -> Iterator[Client]:
        """The SDK in a process that has measured nothing yet."""
        client = Client(self.plain, "with_sdk.py")
        try:
            yield client
        finally:
            client.end()


def _environment(name: str, installs: tuple[tuple[str, ...], ...], *, renewed: bool = False) -> Path:
    folder = _KEPT / name
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    complete = folder / "complete"
    if complete.exists() and not renewed:
        return python
    if not complete.exists():
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
    for what in installs:
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)
    complete.touch()
    return python


def _run(*command: str) -> None:
    _KEPT.mkdir(exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_KEPT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")


def _without_proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
