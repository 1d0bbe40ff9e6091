"""The old call that publishes a strategy for Mizar to run: it pickles, where those of today take bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mizar_async._api.hosted import LARGEST_SOURCE, LARGEST_STRATEGY, written_length
from mizar_sync import Mizar as BlockingMizar

from ._errors import StrategyFileSizeExceededLimit, StrategySizeExceededLimit, refusals_as_before
from ._values import Document

_MEGABYTE: Final = 1_000_000

MAXIMUM_STRATEGY_SIZE: Final = LARGEST_STRATEGY // _MEGABYTE
"""How many MB the base64 text of a pickled strategy may have."""

MAXIMUM_STRATEGY_FILE: Final = LARGEST_SOURCE // _MEGABYTE
"""How many MB the source of a strategy may have, as UTF-8."""


class HostedCalls:
    """The call of `Mizar` for strategies that Mizar runs."""

    _mizar: BlockingMizar

    @refusals_as_before
    def save_hosted_strategy(
        self, strategy: object, strategy_info: Mapping[str, Any], strategy_file: str = ""
    ) -> Document:
        """Publish a strategy, which dill pickles: {"message": "The strategy ... has been published in Mizar"}.

        `strategy_info` is what JSON can hold, with a name under "strategy_signal_name"; `strategy_file` is the source.
        Raises `StrategySizeExceededLimit` and `StrategyFileSizeExceededLimit` (`mizar.api`), and ImportError without
        dill, before anything is sent. It is sent once: after `OutcomeUnknown` look at your strategies at Mizar first.
        """
        pickled = _pickled(strategy)
        _check_sizes(pickled, strategy_file)
        published = self._mizar.hosted.save_strategy(pickled, info=strategy_info, source=strategy_file)
        # A server that answers when it was made repeats the info beside that, as the documentation shows.
        return (dict(strategy_info) if published.message is None else {}) | published.to_dict()


def _pickled(strategy: object) -> bytes:
    try:
        import dill
    except ImportError as missing:
        raise ImportError("save_hosted_strategy needs dill, which is missing: pip install 'mizar[hosted]'") from missing
    pickled: bytes = dill.dumps(strategy)
    return pickled


def _check_sizes(pickled: bytes, source: object) -> None:
    size = written_length(len(pickled)) / _MEGABYTE
    if size > MAXIMUM_STRATEGY_SIZE:
        raise StrategySizeExceededLimit(size, MAXIMUM_STRATEGY_SIZE)
    # What is no text, or can't be written, is refused where it is sent.
    size = len(source.encode("utf-8", "surrogatepass")) / _MEGABYTE if isinstance(source, str) else 0
    if size > MAXIMUM_STRATEGY_FILE:
        raise StrategyFileSizeExceededLimit(size, MAXIMUM_STRATEGY_FILE)
