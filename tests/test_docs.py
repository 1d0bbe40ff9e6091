"""The examples of the README run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from .venues import ROOT

pytestmark = pytest.mark.usefixtures("unmeasured")

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_readme_runs(number: int) -> None:
    command = [sys.executable, "-X", "dev", "-c", EXAMPLES[number]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


def test_the_readme_has_the_two_commands_that_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for command in ("pip install '.[paper]' && mizar demo", "pip install nox && nox -s tests"):
        assert command in README
        assert command.replace("pip install", "pip install --quiet") in script
