"""Whose are the files that the processes of a site share, where root has started its server?

The workers may be another user (``server: {user: …}``), and the runtime folder is theirs. What root's master does there
it does as that user: what it makes, the workers can read, and a link that they have put there leads root nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gunicorn import util

_OF_USER: Final = re.compile("dispatcher-([0-9]+)")  # as the module runtime names it


def become(uid: int, gid: int, initgroups: bool = False) -> None:
    """Be the user that a worker is, for good, as gunicorn makes it before it loads the app."""
    util.set_owner_process(uid, gid, initgroups=initgroups)


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """As root, have no more than the rights of this user for files; for who is not root, nothing changes."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def acting_for(folder: Path) -> Iterator[None]:
    """`acting_as` the user whose runtime folder `folder` lies in."""
    uid = next((int(found[1]) for part in reversed(folder.parts) if (found := _OF_USER.fullmatch(part))), 0)
    with acting_as(uid):
        yield
