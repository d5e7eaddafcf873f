"""What one config has and another has not, in words: the line that is logged for each reload."""

from __future__ import annotations

from collections.abc import Iterator

from dispatcher.config import Config


def describe(old: Config, new: Config) -> str:
    """``mounts added: /x; mounts changed: /y; middleware changed``; or that nothing has changed but the text."""
    return "; ".join(_parts(old, new)) or "nothing but comments or layout"


def _parts(old: Config, new: Config) -> Iterator[str]:
    before = {mount.key: mount for mount in old.mounts}
    after = {mount.key: mount for mount in new.mounts}
    changed = [key for key, mount in after.items() if key in before and before[key] != mount]
    yield from _keys("added", [key for key in after if key not in before])
    yield from _keys("removed", [key for key in before if key not in after])
    yield from _keys("changed", changed)
    if old.middleware != new.middleware:
        yield "middleware changed"
    if old.logging != new.logging:
        yield "logging changed"
    if old.env != new.env:
        yield ".env changed (apps that are not built anew keep what they have read)"
    if old.server != new.server:
        yield "server changed (that takes a HUP, and bind: a restart)"


def _keys(what: str, keys: list[str]) -> Iterator[str]:
    if keys:
        shown = ", ".join(keys[:10]) + (f" and {len(keys) - 10} more" if len(keys) > 10 else "")
        yield f"mounts {what}: {shown}"
