"""Bodies that were packed on the way, unpacked up to the largest that is read."""

from __future__ import annotations

import contextlib
import zlib
from typing import Final

LARGEST_ANSWER: Final = 64 * 2**20

# Servers send both of what is called deflate, with a header and without.
_KINDS: Final = {"gzip": (zlib.MAX_WBITS | 16,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}


class Broken(Exception):
    """What came is no complete answer, is too large, or is not packed as it says."""


def check_size(size: int) -> None:
    """Raise Broken for a body that is larger than any that is read."""
    if size > LARGEST_ANSWER:
        raise Broken(f"the answer is larger than {LARGEST_ANSWER // 2**20} MiB")


def unpacked(body: bytes, codings: str) -> bytes:
    """A body without its codings; one that nobody asked for is left as it is. Raises Broken."""
    packed = [kinds for coding in codings.split(",") if (kinds := _KINDS.get(coding.strip().lower()))]
    if len(packed) > 1:
        raise Broken("the answer is packed more than once")
    return _unpacked(body, packed[0]) if packed and body else body


def _unpacked(body: bytes, kinds: tuple[int, ...]) -> bytes:
    for kind in kinds:
        unpacking = zlib.decompressobj(kind)
        with contextlib.suppress(zlib.error):
            plain = unpacking.decompress(body, LARGEST_ANSWER + 1)
            check_size(len(plain))
            if unpacking.eof and not unpacking.unused_data:
                return plain
    raise Broken("the answer is not packed as it says, or is cut off")
