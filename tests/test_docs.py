"""The examples of the README and of docs/ run as they stand."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from mizar_async import AsyncMizar

from .venues import ROOT, VenueProcess

pytestmark = pytest.mark.usefixtures("unmeasured")

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = {
    f"{page.stem} {number}": example
    for page in PAGES
    for number, example in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
}


# "Blocking code drops `async` and `await`, and nothing else": so do the examples.
BLOCKING = {
    f"{name}, blocking": re.sub(r"\basync |\bawait ", "", example)
    .replace("asyncio.run(main())", "main()")
    .replace("AsyncMizar", "Mizar")
    .replace("mizar_async", "mizar_sync")
    for name, example in EXAMPLES.items()
    if name.startswith(("README", "prices")) and "asyncio.run(main())" in example
}


@pytest.mark.parametrize("example", (EXAMPLES | BLOCKING).values(), ids=EXAMPLES | BLOCKING)
async def test_an_example_runs(example: str, tmp_path: Path) -> None:
    async with VenueProcess(tmp_path / "venue.db") as venue:
        async with AsyncMizar(venue.key, api_url=venue.url) as mizar:
            await mizar.create_self_hosted_strategy(
                name="Example", description="", exchanges=["binance"], symbols=["BTCUSDT"], market="FUTURES"
            )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-X",
            "dev",
            "-c",
            example,
            cwd=tmp_path,
            env=os.environ | {"MIZAR_API_KEY": venue.key, "MIZAR_API_URL": venue.url},
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode == 0, errors.decode()


def test_the_readme_has_the_two_commands_that_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for command in ("pip install '.[paper]' && mizar demo", "pip install nox && nox -s tests"):
        assert command in README
        assert command.replace("pip install", "pip install --quiet") in script
