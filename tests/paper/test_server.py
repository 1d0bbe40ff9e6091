"""The venue over real HTTP, in-process, and in several loops."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys

import httpx
import pytest

from mizar_async import paper
from mizar_async.errors import InvalidInput

from ..venues import ROOT, running_venue
from .conftest import OPEN, STRATEGY


async def test_a_running_venue_answers_over_http_and_shows_the_truth() -> None:
    async with running_venue(seed=1) as venue, httpx.AsyncClient(base_url=venue.url + "/api/v1/") as client:
        client.headers["MIZAR-Api-Key"] = venue.key
        assert (await client.post("publish-self-hosted-strategy", json=STRATEGY)).status_code == 200
        opened = (await client.post("open-position", json=OPEN)).json()
        await client.post("open-position", json=OPEN)
        await client.post("close-position", json={"position_id": 2})
        assert [str(position.position_id) for position in venue.open_positions()] == [opened["position_id"]] == ["1"]
        assert [position.position_id for position in venue.closed_positions()] == [2]


async def test_the_port_is_free_again_when_the_server_has_ended() -> None:
    async with running_venue() as venue:
        port = int(venue.url.rpartition(":")[2])
    async with running_venue(port=port) as again:
        assert again.url == venue.url


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"127.0.0.1:{port} can't be listened on"):
            async with running_venue(port=port):
                pass


async def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"no\.host\.invalid:0 can't be listened on"):
        async with paper.serve(paper.Venue(), host="no.host.invalid"):
            pass


async def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    async with paper.serve(paper.Venue(), host="::1") as url, httpx.AsyncClient() as client:
        assert url.startswith("http://[::1]:")
        assert (await client.get(f"{url}/api/v1/ping")).json() == {"message": "pong"}


async def test_what_fails_while_it_starts_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no lifespan today")

    monkeypatch.setattr("uvicorn.Server.startup", fails)
    with pytest.raises(RuntimeError, match="no lifespan today"):
        async with paper.serve(paper.Venue()):
            pytest.fail("it does not listen")


async def test_nothing_is_logged_for_a_call_and_never_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running_venue() as venue, httpx.AsyncClient(base_url=venue.url + "/api/v1/") as client:
        await client.post("open-position", json=OPEN, headers={"mizar-api-key": venue.key})
        assert venue.key not in caplog.text + repr(venue) + repr(venue.venue)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn.access")]


def test_an_in_process_venue_works_in_several_loops_one_after_another() -> None:
    transport, key = paper.in_process(seed=1)

    async def call(method: str, path: str, body: object = None) -> httpx.Response:
        request = httpx.Request(method, f"http://venue/api/v1/{path}", headers={"mizar-api-key": key}, json=body)
        response = await transport.handle_async_request(request)
        await response.aread()
        return response

    assert asyncio.run(call("POST", "publish-self-hosted-strategy", STRATEGY)).json()["strategy_id"] == 1
    assert asyncio.run(call("POST", "open-position", OPEN)).json()["position_id"] == "1"
    listed = asyncio.run(call("GET", "all-open-positions?strategy_id=1")).json()["open_positions"]
    assert [position["position_id"] for position in listed] == ["1"]


def test_without_the_extra_the_import_says_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "try:\n    import mizar_async.paper\nexcept ImportError as error:\n    print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=240, check=True
    )
    assert "pip install 'mizar[paper]'" in said.stdout


def test_serving_for_ever_ends_cleanly_on_sigterm() -> None:
    program = (
        "import asyncio, os, signal\nfrom mizar_async import paper\n"
        "def announce(url):\n    print(url)\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "asyncio.run(paper.serve_forever(paper.Venue(), announce=announce))\nprint('ended')"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http://127.0.0.1:")
    assert done.stdout.endswith("ended\n")
