"""The accounts of this host, as whom a program may run."""

from __future__ import annotations

import grp
import os
import pwd

from executor.isolation import Isolation
from techno.governance.frozen import frozen


class NoSuchAccount(Exception):
    """This host, or the service's own account, does not allow that. The text says which."""


@frozen
class Account:
    """Whose process it will be. ``name`` is empty for a number without an entry."""

    uid: int
    gid: int
    name: str = ""
    home: str = "/"
    is_changed: bool = False


def account_for(isolation: Isolation) -> Account:
    """Return the account that a program will run as. Raises :class:`NoSuchAccount`."""
    own_uid, own_gid = os.geteuid(), os.getegid()
    if not isolation.user and not isolation.group:
        return Account(own_uid, own_gid)
    entry = _user(isolation.user) if isolation.user else None
    uid = own_uid if entry is None else entry.pw_uid
    gid = _group(isolation.group) if isolation.group else own_gid if entry is None else entry.pw_gid
    changed = (uid, gid) != (own_uid, own_gid)
    if changed and own_uid != 0:
        raise NoSuchAccount("the service is not root and cannot run commands as somebody else")
    if entry is None:
        return Account(uid, gid, is_changed=changed)
    return Account(uid, gid, entry.pw_name, entry.pw_dir or "/", changed)


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        raise NoSuchAccount(f"there is no user {name} on this host") from None


def _group(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise NoSuchAccount(f"there is no group {name} on this host") from None
