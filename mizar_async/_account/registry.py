"""Key and host -> account, in this process. A forked child starts afresh, and the exit names what is in doubt."""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from .._journal.journal import Journal, Keeping, journal_path
from .._wire.address import IN_PROCESS, Address, ApiKey
from ..errors import InvalidInput
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


def account_of(key: ApiKey, address: Address, journal: object, keeping: Keeping, *, own: bool) -> Account:
    """The account of a client: that of its key and host, unless it has a transport of its own and no journal.

    The journal is that which was given, or named by the environment. An in-process venue ends with its process, so
    that the environment's is not for it.
    """
    if journal is None and address.url.startswith(IN_PROCESS):
        return own_account(address)
    given = (os.environ.get("MIZAR_JOURNAL") or None) if journal is None else journal
    if given is not None:
        return _journaled_account(key, address, journal_path(given), keeping)
    if not own:
        return shared_account(key, address)
    return _account_with_journal(key, address) or own_account(address)


def account_name(key: ApiKey, address: Address) -> str:
    """A digest that tells the accounts of keys at hosts apart."""
    return hashlib.sha256(f"{key.fingerprint()} {address.url}".encode()).hexdigest()[:32]


def _journaled_account(key: ApiKey, address: Address, path: Path, keeping: Keeping) -> Account:
    """The account of a key at a host, which writes down in a journal what is done."""
    account = shared_account(key, address)
    with _accounts_lock:
        others = (one.journaling.journal for one in _all() if one is not account)
        if any(one and one.path == path and one.is_in_use for one in others):
            raise InvalidInput(
                f"journal={str(path)!r} is refused: clients of another key or host use it; each has one of its own"
            )
        account.journaling.use(Journal(path, key.fingerprint(), address.url, keeping), account_name(key, address))
    return account


def _account_with_journal(key: ApiKey, address: Address) -> Account | None:
    """The account of a key at a host, if it has a journal."""
    account = _accounts.get((key.fingerprint(), address.url))
    return account if account is not None and account.journaling.journal is not None else None


def own_account(address: Address) -> Account:
    """An account that is shared with nobody."""
    account = Account(f"{address.environment} {address.host}")
    _unshared.add(account)
    return account


def _all() -> list[Account]:
    return [*list(_accounts.values()), *list(_unshared)]


_paused: list[Callable[[], None]] = []


def _pause_journals() -> None:
    """Before a fork: no thread is in the middle of writing."""
    journals = [account.journaling.journal for account in _all()]
    _paused.extend(journal.pause() for journal in journals if journal is not None)


def _go_on() -> None:
    while _paused:
        _paused.pop()()


def _forget_the_parent() -> None:
    global _accounts_lock
    _go_on()
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


def close_journals() -> None:
    """At the interpreter's exit: write what is left."""
    for account in _all():
        account.journaling.leave_now(_EXIT_PATIENCE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pause_journals, after_in_parent=_go_on, after_in_child=_forget_the_parent)
atexit.register(close_journals)
atexit.register(name_what_is_in_doubt)
