"""A client of httpx of the user's own: hooks, mocks and instrumentation work there, and what is certain stays so."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import respx

from mizar_async import AsyncMizar, InvalidInput, MizarError, NotSent, OutcomeUnknown, Refused
from mizar_sync import Mizar

from .. import raw_server as raw
from ..conftest import KEY
from ..raw_server import raw_server
from ..scripted_venue import ScriptedVenue

URL = "http://localhost:9"
OPEN: dict[str, Any] = {"strategy_id": 1, "base_asset": "BTC", "quote_asset": "USDT", "size": 0.3, "is_long": True}
TIME = raw.answer(b'{"server_time": 5}')
PUBLISH = {"name": "n", "description": "", "exchanges": ["binance"], "symbols": ["BTCUSDT"], "market": "SPOT"}


_numbers = itertools.count()


def a_key() -> str:
    """The key of an account that no other test knows."""
    return f"{KEY}-{next(_numbers)}"


def _refuse(_: httpx.Request) -> httpx.Response:
    return httpx.Response(404, json={"detail": "no such position"})


async def test_calls_go_through_it_with_its_hooks_and_it_is_not_closed() -> None:
    seen: list[str] = []

    async def asked(request: httpx.Request) -> None:
        seen.append(f"{request.method} {request.url.path}")

    async def answered(response: httpx.Response) -> None:
        seen.append(str(response.status_code))

    async with raw_server(raw.saying(TIME)) as server:
        async with httpx.AsyncClient(event_hooks={"request": [asked], "response": [answered]}) as own:
            async with AsyncMizar(KEY, api_url=server.url, http_client=own) as mizar:
                assert await mizar.server_time() == 5
            assert not own.is_closed
    assert seen == ["GET /api/v1/server-time", "200"]


async def test_its_default_headers_are_added_where_they_are_not_ours_and_nothing_else_of_it() -> None:
    headers = {"X-Desk": "seven", "User-Agent": "me", "mizar-api-key": "another", "Accept": "text/html"}
    settings: dict[str, Any] = {"cookies": {"a": "b"}, "params": {"p": "q"}, "base_url": "http://localhost:1"}
    async with raw_server(raw.saying(TIME)) as server, httpx.AsyncClient(headers=headers, **settings) as own:
        async with AsyncMizar(KEY, api_url=server.url, http_client=own) as mizar:
            await mizar.server_time()
    (request,) = server.received
    assert request.path == "/api/v1/server-time"
    assert request.headers["x-desk"] == "seven"
    assert request.headers["mizar-api-key"] == KEY
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("mizar-python/")
    assert "cookie" not in request.headers


async def test_plain_respx_sees_its_calls() -> None:
    with respx.mock(base_url="https://api.mizar.com/api/v1") as router:
        router.get("/server-time").respond(json={"server_time": 7})
        async with httpx.AsyncClient() as own, AsyncMizar(KEY, http_client=own) as mizar:
            assert await mizar.server_time() == 7


async def test_a_redirect_is_not_followed_even_if_it_follows_redirects() -> None:
    async with raw_server(raw.saying(TIME)) as thief:
        header = f"Location: {thief.url}/api/v1/server-time\r\n"
        async with raw_server(raw.saying(raw.answer(status=302, headers=header))) as server:
            async with httpx.AsyncClient(follow_redirects=True) as own:
                async with AsyncMizar(KEY, api_url=server.url, http_client=own, max_retries=0) as mizar:
                    with pytest.raises(MizarError, match="302"):
                        await mizar.server_time()
    assert not thief.received


@pytest.mark.parametrize(
    ("status", "read", "error"),
    [(422, False, Refused), (422, True, Refused), (503, False, OutcomeUnknown), (429, False, Refused)],
)
async def test_what_a_hook_raises_for_a_status_is_judged_by_its_response(
    status: int, read: bool, error: type[Exception]
) -> None:
    async def strict(response: httpx.Response) -> None:
        if read:
            await response.aread()
        response.raise_for_status()

    answer = raw.answer(b'{"detail": "too many symbols"}', status=status)
    async with raw_server(raw.saying(answer)) as server:
        async with httpx.AsyncClient(event_hooks={"response": [strict]}) as own:
            async with AsyncMizar(KEY, api_url=server.url, http_client=own, max_retries=0) as mizar:
                with pytest.raises(error) as failure:
                    await mizar.create_self_hosted_strategy(**PUBLISH)
    assert ("too many symbols" in str(failure.value)) == read


async def test_what_a_hook_raises_about_another_request_is_doubt() -> None:
    async def asks_for_a_token(_: httpx.Request) -> None:
        other = httpx.Request("GET", "http://tokens")
        raise httpx.HTTPStatusError("no token", request=other, response=httpx.Response(422, request=other))

    async with httpx.AsyncClient(event_hooks={"request": [asks_for_a_token]}) as own:
        async with AsyncMizar(KEY, api_url=URL, http_client=own, max_retries=0) as mizar:
            with pytest.raises(OutcomeUnknown):
                await mizar.create_self_hosted_strategy(**PUBLISH)


@pytest.mark.parametrize("error", [httpx.ConnectError("down"), httpx.ProxyError("down"), None])
async def test_what_a_hook_can_not_reach_after_the_answer_opens_nothing_twice(error: Exception | None) -> None:
    venue, left = ScriptedVenue(), [1]

    async def report(response: httpx.Response) -> None:
        if response.request.url.path.endswith("open-position") and left:
            left.pop()
            if error is not None:
                raise error
            async with httpx.AsyncClient(trust_env=False) as elsewhere:
                await elsewhere.post("http://127.0.0.1:1/")

    own = httpx.AsyncClient(transport=httpx.MockTransport(venue.answer), event_hooks={"response": [report]})
    async with own, AsyncMizar(a_key(), api_url=URL, http_client=own, settle_time=0.1, listing_lag=0.01) as mizar:
        assert (await mizar.open_position(**OPEN)).position_id == 1
        assert mizar.unresolved() == mizar.unclaimed_positions(1) == []
    assert len(venue.open) == 1


class TwoSteps(httpx.Auth):
    """Sends its request, and once more when that was answered."""

    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Any:
        yield request
        request.url = httpx.URL("http://127.0.0.1:1/")
        yield request


async def test_a_second_step_of_an_auth_flow_that_does_not_connect_is_doubt() -> None:
    async with raw_server(raw.saying(raw.answer(status=503))) as server, httpx.AsyncClient(auth=TwoSteps()) as own:
        async with AsyncMizar(KEY, api_url=server.url, http_client=own, max_retries=0) as mizar:
            with pytest.raises(OutcomeUnknown):
                await mizar.create_self_hosted_strategy(**PUBLISH)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("error", "happened"),
    [(httpx.ConnectError, "no"), (httpx.ProxyError, "no"), (httpx.ConnectTimeout, "perhaps"), (KeyError, "perhaps")],
)
async def test_only_an_error_before_there_is_a_connection_means_that_nothing_was_sent(
    error: type[Exception], happened: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error("boom")

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as own:
        async with AsyncMizar(KEY, api_url=URL, http_client=own, max_retries=0) as mizar:
            with pytest.raises(MizarError) as failure:
                await mizar.create_self_hosted_strategy(**PUBLISH)
    assert failure.value.happened == happened
    assert KEY not in str(failure.value)


async def test_one_that_was_closed_sends_nothing() -> None:
    own = httpx.AsyncClient()
    await own.aclose()
    async with AsyncMizar(KEY, api_url=URL, http_client=own, max_retries=0) as mizar:
        with pytest.raises(NotSent, match="the client was closed"):
            await mizar.create_self_hosted_strategy(**PUBLISH)


def test_it_is_refused_by_name_in_a_second_loop() -> None:
    own = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"server_time": 1})))
    mizar = AsyncMizar(KEY, api_url=URL, http_client=own)
    assert asyncio.run(mizar.server_time()) == 1
    with pytest.raises(InvalidInput, match=r"http_client, of AsyncClient, is refused in this event loop"):
        asyncio.run(mizar.server_time())
    with pytest.raises(InvalidInput, match="http_client"):
        asyncio.run(AsyncMizar(KEY, api_url=URL, http_client=own).server_time())


class Made:
    """A function that makes clients, and what it made."""

    def __init__(self) -> None:
        self.clients: list[httpx.AsyncClient] = []

    def __call__(self) -> httpx.AsyncClient:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"server_time": 1}))
        self.clients.append(httpx.AsyncClient(transport=transport))
        return self.clients[-1]


def test_a_function_makes_one_for_each_loop_which_is_closed_with_it() -> None:
    made = Made()
    mizar = AsyncMizar(KEY, api_url=URL, http_client=made)

    async def twice() -> None:
        await asyncio.gather(mizar.server_time(), mizar.server_time())

    asyncio.run(twice())
    asyncio.run(twice())
    assert len(made.clients) == 2
    assert all(client.is_closed for client in made.clients)


def test_the_blocking_client_takes_a_function_only() -> None:
    made = Made()
    with Mizar(KEY, api_url=URL, http_client=made) as mizar:
        assert mizar.server_time() == 1
    assert [client.is_closed for client in made.clients] == [True]
    with pytest.raises(InvalidInput, match="pass a function"):
        Mizar(KEY, api_url=URL, http_client=httpx.AsyncClient())  # type: ignore[arg-type]


async def _coroutine() -> httpx.AsyncClient:
    return httpx.AsyncClient()


@pytest.mark.parametrize("given", [httpx.Client(), "a client", 7, _coroutine])
def test_what_is_no_client_and_makes_none_is_refused(given: Any) -> None:
    with pytest.raises(InvalidInput, match="http_client"):
        AsyncMizar(KEY, api_url=URL, http_client=given)


def _hidden() -> Any:
    return _coroutine()


def _fails() -> httpx.AsyncClient:
    raise RuntimeError("no network today")


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (httpx.Client, InvalidInput, "it made Client"),
        (lambda: None, InvalidInput, "it made NoneType"),
        (_hidden, InvalidInput, "it made coroutine"),
        (_fails, NotSent, "no network today"),
    ],
)
async def test_a_function_that_makes_none_sends_nothing(
    make: Callable[[], Any], error: type[Exception], says: str
) -> None:
    async with AsyncMizar(KEY, api_url=URL, http_client=make, max_retries=0) as mizar:
        with pytest.raises(error, match=says):
            await mizar.create_self_hosted_strategy(**PUBLISH)
        assert mizar.unresolved() == []


def test_it_excludes_a_transport_and_is_not_pickled() -> None:
    with pytest.raises(InvalidInput, match="exclude each other"):
        AsyncMizar(KEY, http_client=httpx.AsyncClient, transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(AsyncMizar(KEY, http_client=httpx.AsyncClient))


async def test_it_shares_the_limits_of_its_key_and_host() -> None:
    async with raw_server(raw.saying(TIME)) as server:
        async with AsyncMizar(KEY, api_url=server.url, requests_per_minute=1), httpx.AsyncClient() as own:
            async with AsyncMizar(KEY, api_url=server.url, http_client=own) as mizar:
                await mizar.server_time()
                with pytest.raises(MizarError, match="rate limit"):
                    await mizar.with_options(deadline=1, timeout=1).server_time()


async def test_a_hook_may_read_the_body_of_a_request() -> None:
    seen: list[bytes] = []

    async def sign(request: httpx.Request) -> None:
        seen.append(request.content)

    async with httpx.AsyncClient(event_hooks={"request": [sign]}, transport=httpx.MockTransport(_refuse)) as own:
        async with AsyncMizar(KEY, api_url=URL, http_client=own) as mizar:
            with pytest.raises(Refused):
                await mizar.close_position(position_id=7)
    assert seen == [b'{"position_id":7}']


async def test_a_hook_may_close_the_answer_whose_status_is_all_there_is_then() -> None:
    async def close(response: httpx.Response) -> None:
        await response.aclose()

    async with raw_server(raw.saying(raw.answer(status=422))) as server:
        async with httpx.AsyncClient(event_hooks={"response": [close]}) as own:
            async with AsyncMizar(KEY, api_url=server.url, http_client=own) as mizar:
                with pytest.raises(Refused):
                    await mizar.create_self_hosted_strategy(**PUBLISH)


async def test_something_in_it_that_is_cancelled_leaves_doubt_and_flatten_goes_on() -> None:
    venue, left = ScriptedVenue(), [1]

    async def hook(request: httpx.Request) -> None:
        if request.url.path.endswith("close-position") and left:
            left.pop()
            raise asyncio.CancelledError

    own = httpx.AsyncClient(transport=httpx.MockTransport(venue.answer), event_hooks={"request": [hook]})
    options: dict[str, Any] = {"settle_time": 0.05, "listing_lag": 0.01}
    async with own, AsyncMizar(a_key(), api_url=URL, http_client=own, **options) as mizar:
        for _ in range(2):
            await mizar.open_position(**OPEN)
        await mizar.flatten(1)
    assert not venue.open


async def test_doubts_are_followed_up_by_a_client_that_works_in_this_loop() -> None:
    venue = ScriptedVenue()
    transport = httpx.MockTransport(venue.answer)
    options: dict[str, Any] = {"settle_time": 0.05, "listing_lag": 0.01, "deadline": 10.0, "max_retries": 0}
    key = a_key()

    def elsewhere() -> AsyncMizar:
        mizar = AsyncMizar(key, api_url=URL, http_client=httpx.AsyncClient(transport=transport), timeout=9, **options)
        asyncio.run(mizar.server_time())
        return mizar

    kept = await asyncio.to_thread(elsewhere)
    closed = httpx.AsyncClient(transport=transport)
    await closed.aclose()
    also_kept = AsyncMizar(key, api_url=URL, http_client=closed, timeout=8, **options)
    async with httpx.AsyncClient(transport=transport) as own:
        async with AsyncMizar(key, api_url=URL, http_client=own, timeout=0.5, **options) as mizar:
            venue.script["open-position"] = ["lost"]
            assert (await mizar.open_position(**OPEN)).position_id == 1
    await kept.aclose()
    await also_kept.aclose()


class Endless(httpx.AsyncByteStream):
    """A body that never ends, also when it is let go."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.sleep(3600)
        yield b""

    async def aclose(self) -> None:
        await asyncio.sleep(3600)


@pytest.mark.parametrize("how", ["http_client", "transport"])
async def test_a_call_ends_in_its_time_whatever_is_handed_in_does(how: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    given: Any = {"http_client": lambda: httpx.AsyncClient(transport=transport), "transport": transport}[how]
    mizar = AsyncMizar(KEY, api_url=URL, max_retries=0, timeout=0.2, deadline=0.4, **{how: given})
    async with asyncio.timeout(30):
        with pytest.raises(MizarError, match="no answer within"):
            await mizar.server_time()


async def test_an_answer_that_grows_too_large_is_refused_before_it_is_there() -> None:
    packed = gzip.compress(b" " * (100 * 2**20))
    answer = raw.answer(packed, headers="Content-Encoding: gzip\r\n")
    async with raw_server(raw.saying(answer)) as server, httpx.AsyncClient() as own:
        async with AsyncMizar(KEY, api_url=server.url, http_client=own, max_retries=0) as mizar:
            with pytest.raises(MizarError, match="larger than 64 MiB"):
                await mizar.server_time()


async def test_a_status_that_is_none_is_no_answer() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response("ok", json={}))  # type: ignore[arg-type]
    async with AsyncMizar(KEY, api_url=URL, transport=transport, max_retries=0) as mizar:
        with pytest.raises(MizarError, match="ValueError"):
            await mizar.server_time()


async def test_calls_after_our_own_aclose_are_refused() -> None:
    async with httpx.AsyncClient() as own:
        mizar = AsyncMizar(KEY, api_url=URL, http_client=own)
        await mizar.aclose()
        with pytest.raises(NotSent, match="closed"):
            await mizar.create_self_hosted_strategy(**PUBLISH)
