"""API keys: made here, and stored as a hash. The only module that draws secrets.

A key is `paper_<name>_<secret>`. The name finds the row and is no secret; what is compared is the hash of the
whole key, in constant time, and a name that nobody has is compared as well. One round of SHA-256 is enough for 256
random bits.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

_NOBODY: Final = hashlib.sha256(b"").digest()


def new_key() -> str:
    """A fresh key; it is shown once, only its hash is kept."""
    return f"paper_{secrets.token_hex(6)}_{secrets.token_hex(32)}"


def name_of(key: str) -> str:
    """The part of a key that finds its row; empty for text that is no key of this venue."""
    parts = key.split("_", 3)
    return parts[1] if len(parts) == 3 and key.isascii() else ""


def hashed(key: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def same(key: str, stored: bytes | None) -> bool:
    """Whether `stored` is the hash of this key, in constant time; None is the hash of nobody's key."""
    return hmac.compare_digest(hashed(key), _NOBODY if stored is None else stored) and stored is not None
