"""requests by hand: one blocking call after another, a session for each thread."""

from __future__ import annotations

from collections.abc import Iterable

import requests
from commands import CLOSE, answer, body, timed_threads


def close(port: int, count: int, threads: int) -> dict[str, float]:
    """What it takes to close so many positions from so many threads."""
    url = f"http://127.0.0.1:{port}{CLOSE}"

    def work(ids: Iterable[int]) -> None:
        with requests.Session() as session:
            session.headers["mizar-api-key"] = "key"
            for position_id in ids:
                response = session.post(url, json=body(CLOSE, position_id))
                response.raise_for_status()
                response.json()

    return timed_threads(work, list(range(1, count + 1)), threads)


answer({"close": close})
