"""A worker's turn at trying a changed config: may it be served in place of the one that is?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dispatcher import catalog, compose
from dispatcher.compose import Stack
from dispatcher.config import Config, Contents, MiddlewareSpec
from dispatcher.record import Lock
from dispatcher.trial import Outcome, Trial, try_all


class Attempt:
    """Holds the `lock` of the site, so that one worker tries a change for all of them, until `end`."""

    def __init__(self, lock: Lock, environ: Mapping[str, str]) -> None:
        self._lock = lock
        self._environ = environ
        self._trial: Trial | None = None

    def prepare(self) -> None:
        """Start the interpreter for the trial, which takes a while, before there is something to try."""
        if self._trial is None:
            self._trial = Trial(self._environ)

    def end(self) -> None:
        if self._trial is not None:
            self._trial.close()
        self._lock.release()

    def judge(self, site: Config, contents: Contents, serving: Stack) -> tuple[Sequence[str], tuple[str, ...]]:
        """What speaks against serving `site`, which was read from `contents`, in place of `serving`; and the keys of
        the mounts that fail but may, because they have not served before either."""
        failing = {one.mount.key for one in serving.mounts if one.app is None}
        new = _to_load(site, serving)
        outcome = self._try(site, contents, new)
        bad = [key for key in outcome.failed if key not in failing or site.strict]
        problems = [*outcome.fatal, *(text for key in bad for text in outcome.failed[key].texts())]
        still = [mount.key for mount in site.mounts if mount.key in failing and mount.key not in new]
        return problems, tuple(sorted({*still, *outcome.failed}))

    def _try(self, site: Config, contents: Contents, keys: Sequence[str]) -> Outcome:
        """Load the mounts `keys`; nothing is done where no code of the site would be loaded."""
        if not keys and not _has_own_middleware(site):
            return Outcome()
        first, self._trial = self._trial, None
        return try_all(site, contents, keys, environ=self._environ, first=first)


def _to_load(site: Config, serving: Stack) -> list[str]:
    """The keys of the mounts that `serving` has no app for, but those that it failed to load already."""
    before = {one.mount.key: one for one in serving.mounts}
    return [
        mount.key
        for mount in site.mounts
        if (one := before.get(mount.key)) is None
        or not (one.mount == mount or (one.app is not None and compose.has_same_app(one.mount, mount)))
    ]


def _has_own_middleware(site: Config) -> bool:
    return any(spec.name not in catalog.MIDDLEWARE for spec in _specs(site))


def _specs(site: Config) -> Iterator[MiddlewareSpec]:
    yield from site.middleware
    for mount in site.mounts:
        yield from mount.middleware
