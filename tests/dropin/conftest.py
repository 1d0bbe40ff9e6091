from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mizar import Mizar

from .one_answer import Server, serving
from .paper_venue import PaperVenue, paper_venue


@pytest.fixture
def local_venue(tmp_path: Path) -> Iterator[PaperVenue]:
    """A fresh venue: it numbers strategies and positions from 1."""
    with paper_venue(tmp_path / "venue.db") as venue:
        yield venue


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers what it is told to."""
    with serving() as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Mizar]:
    """A client of that server."""
    with Mizar("key", scheme="http", host=server.host) as client:
        yield client
