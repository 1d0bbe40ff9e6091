"""What the command line costs before it does anything."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
from pathlib import Path
from typing import Final

from .peers import Peers
from .rows import Row

# It takes a quarter of a second, and varies by a third of that.
TIMES: Final = 3

_MIZAR: Final = ("-c", "from mizar_async.cli import main; main()")


def rows(peers: Peers, rounds: int) -> list[Row]:
    """Processor time, with all threads, in an install with the extra `cli`."""
    python = peers.cli
    helped = [_whole(python, "--help") for _ in range(TIMES * rounds)]
    found = [Row("processor time of `mizar --help`", 0.2, helped, unit="s")]
    if Path("/proc/self/task").exists():
        connected = [_until_it_connects(python, "positions", "list", "1") for _ in range(TIMES * rounds)]
        found.append(
            Row(
                "the same of `mizar positions list` until it connects",
                0.3,
                connected,
                unit="s",
                detail="libraries and all",
            )
        )
    return found


def _whole(python: Path, *arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, *_MIZAR, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _until_it_connects(python: Path, *arguments: str) -> float:
    """What the kernel says of its threads at the moment of its first connection, after which it is killed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        environment = os.environ | {"MIZAR_API_KEY": "key-of-benchmarks", "MIZAR_API_URL": address}
        process = subprocess.Popen([python, *_MIZAR, *arguments], env=environment)
        try:
            server.settimeout(60)
            server.accept()[0].close()
            threads = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
            return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9
        finally:
            process.kill()
            process.wait()
