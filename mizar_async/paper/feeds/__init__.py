"""Prices: simulated from a seed, or replayed from a recording."""

from __future__ import annotations

from .feed import Feed
from .recorded import Replay, VolumeIn
from .simulated import Simulated

__all__ = ["Feed", "Replay", "Simulated", "VolumeIn"]
