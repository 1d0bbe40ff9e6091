"""Key and host -> account, in this process. A forked child starts afresh, and the exit names what is in doubt."""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from typing import Final

from .._wire.address import Address, ApiKey
from .account import Account

_EXIT_PATIENCE: Final = 1.0
_EXIT_STEPS: Final = 20

_accounts: dict[tuple[str, str], Account] = {}
_accounts_lock = threading.Lock()
# Accounts of clients with a transport of their own: they are remembered no longer than their clients.
_unshared: weakref.WeakSet[Account] = weakref.WeakSet()


def shared_account(key: ApiKey, address: Address) -> Account:
    """The account of a key at a host."""
    with _accounts_lock:
        return _accounts.setdefault((key.fingerprint(), address.url), Account(f"{address.environment} {address.host}"))


def own_account(address: Address) -> Account:
    """An account that is shared with nobody."""
    account = Account(f"{address.environment} {address.host}")
    _unshared.add(account)
    return account


def _all() -> list[Account]:
    return [*list(_accounts.values()), *list(_unshared)]


def _forget_the_parent() -> None:
    global _accounts_lock
    _accounts_lock = threading.Lock()  # another thread of the parent may have held it
    for account in _all():
        account.forget()


def name_what_is_in_doubt() -> None:
    """At the interpreter's exit: wait a moment, then log what is still in doubt. A second call logs nothing."""
    # Loops of other threads may still be finding out; nothing else can.
    pause = threading.Event()
    for _ in range(_EXIT_STEPS):
        if not any(account.in_doubt() for account in list(_accounts.values())):
            break
        pause.wait(_EXIT_PATIENCE / _EXIT_STEPS)
    for account in _all():
        account.warn_once("the interpreter ends")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parent)
atexit.register(name_what_is_in_doubt)
