"""Programs with a journal that are killed, and what they have said until then."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs

from ..venues import ROOT


@attrs.define
class Said:
    """One outcome that a program was given."""

    what: str
    name: str | None
    position_id: int | None


@attrs.define
class Program:
    """A running program, and what it has said so far."""

    process: asyncio.subprocess.Process
    said: list[Said] = attrs.field(factory=list)

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):  # it was killed in the middle of a line
                self.said.append(Said(**json.loads(line)))

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def program(module: str, *arguments: object, journal: Path, key: str, url: str) -> AsyncIterator[Program]:
    """Run a module of these tests until the block ends."""
    environment: dict[str, Any] = {**os.environ, "MIZAR_API_KEY": key, "MIZAR_API_URL": url}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *map(str, arguments),
        cwd=ROOT,
        env=environment | {"MIZAR_JOURNAL": str(journal)},
        stdout=asyncio.subprocess.PIPE,
    )
    running = Program(process)
    reading = asyncio.create_task(running.read())
    try:
        yield running
    finally:
        await running.kill()
        await reading
