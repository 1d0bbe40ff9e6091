"""Which version of the SDK this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version, as it was installed; "unknown" for a copy that nobody installed, or one frozen into a program."""
    try:
        return version("mizar")
    except PackageNotFoundError:
        return "unknown"
