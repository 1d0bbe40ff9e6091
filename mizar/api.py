"""Where the old client kept its names: `from mizar.api import MizarAPIException` goes on working."""

from ._client import Mizar
from ._errors import (
    MizarAPIException,
    MizarRequestException,
    StrategyFileSizeExceededLimit,
    StrategySizeExceededLimit,
)
from ._hosted import MAXIMUM_STRATEGY_FILE, MAXIMUM_STRATEGY_SIZE

__all__ = [
    "MAXIMUM_STRATEGY_FILE",
    "MAXIMUM_STRATEGY_SIZE",
    "Mizar",
    "MizarAPIException",
    "MizarRequestException",
    "StrategyFileSizeExceededLimit",
    "StrategySizeExceededLimit",
]

for _public in (MizarRequestException, StrategyFileSizeExceededLimit, StrategySizeExceededLimit):
    _public.__module__ = __name__
