from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .paper_venue import PaperVenue, paper_venue


@pytest.fixture
def local_venue(tmp_path: Path) -> Iterator[PaperVenue]:
    """A fresh venue: it numbers strategies and positions from 1."""
    with paper_venue(tmp_path / "venue.db") as venue:
        yield venue
