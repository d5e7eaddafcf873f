"""May a changed config be served in place of the one that is?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dispatcher import catalog, compose
from dispatcher.compose import Stack
from dispatcher.config import Config, Contents, MiddlewareSpec
from dispatcher.trial import Outcome, Trial, try_all


def judge(
    site: Config,
    contents: Contents,
    serving: Stack,
    *,
    environ: Mapping[str, str],
    trial: Trial | None,
) -> tuple[Sequence[str], tuple[str, ...]]:
    """What speaks against serving `site`, which was read from `contents`, in place of `serving`; and the keys of the
    mounts that fail but may, because they have not served before either.

    `trial` is an interpreter that has been started already, if there is one. Nothing is tried where no code of the site
    would be loaded.
    """
    failing = {one.mount.key for one in serving.mounts if one.app is None}
    new = _to_load(site, serving)
    outcome = Outcome()
    if new or _has_own_middleware(site):
        outcome = try_all(site, contents, new, environ=environ, trial=trial)
    bad = [key for key in outcome.failed if key not in failing or site.strict]
    problems = [*outcome.fatal, *(text for key in bad for text in outcome.failed[key].texts())]
    still = [mount.key for mount in site.mounts if mount.key in failing and mount.key not in new]
    return problems, tuple(sorted({*still, *outcome.failed}))


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
