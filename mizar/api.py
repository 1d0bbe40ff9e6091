"""Where the old client kept its exception: `from mizar.api import MizarAPIException` goes on working."""

from ._client import Mizar, MizarAPIException

__all__ = ["Mizar", "MizarAPIException"]
