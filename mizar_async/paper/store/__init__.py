"""What the venue remembers."""

from __future__ import annotations

from .reading import read_positions
from .rows import Recorded
from .store import Store
from .tables import LARGEST_ID

__all__ = ["LARGEST_ID", "Recorded", "Store", "read_positions"]
