"""Which file does a URL mean, and where does it really lie?

WhiteNoise answers the first half: canonical URLs, index pages, media types, `Cache-Control`. The second half is ours:
hidden files, links that leave the folder, compressed siblings, and files that come, change and go while we run.
WhiteNoise's own scan is not used: it is true only at start, and a loop of links ends it.

Where the file of a URL lies is remembered for a second. Within it a hit costs one `open` and one `fstat`; a miss
always costs one `stat`.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from wsgiref.headers import Headers

from whitenoise import WhiteNoise
from whitenoise.responders import (
    FileEntry,
    MissingFileError,
    NotARegularFileError,
    Redirect,
)

from dispatcher.staticfiles.representation import IDENTITY, Representation, preferred, represent

_REMEMBERED_SECONDS: Final = 1.0
_MOST_REMEMBERED: Final = 4096  # links that form a loop give one file any number of URLs
_SIBLINGS: Final = {"br": ".br", "gzip": ".gz"}
# A sibling older than its file was made from another content. Two seconds are what zip and FAT round to.
_SIBLING_LAG_NS: Final = 2 * 10**9
# O_NOFOLLOW: the path was resolved before. O_NONBLOCK: a FIFO put in place of the file does not stop the worker.
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
# What WhiteNoise leaves to application/octet-stream, or calls by an old name.
_MEDIA_TYPES: Final = {
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff": "font/woff",
}

_HIDDEN: Final = re.compile(r"(?:^|/)[./]|[\\\0]")  # a segment that begins with a dot, or is empty
_NOT_CANONICAL: Final = re.compile(r"(?:^|/)(?:/|\.{1,2}(?:/|$))|[\\\0]")  # an empty one, or `.` or `..`


@dataclass(frozen=True, slots=True)
class Found:
    """What a URL means: its representations by encoding, and the encodings with the smallest first. Valid `until`."""

    by_encoding: Mapping[str, Representation]
    offered: tuple[str, ...]
    until: float

    def choose(self, accept_encoding: str) -> Representation:
        if len(self.offered) == 1:
            return self.by_encoding[IDENTITY]
        return self.by_encoding[preferred(accept_encoding, self.offered)]


class Folder(WhiteNoise):  # type: ignore[misc]  # untyped, see above
    """The files below `root`, whose URLs begin with `prefix` (``/static/`` or ``/``). `clock` gives seconds.

    `fixed_headers` are sent with every file. `max_age` is in seconds; 0 stands for `no-cache`: keep it, but ask before
    each use. `immutable` is a regular expression that is searched in the URL.
    """

    def __init__(
        self,
        root: Path,
        prefix: str,
        *,
        max_age: int,
        immutable: str | None,
        index: bool,
        dotfiles: bool,
        follow_links: bool,
        fixed_headers: Mapping[str, str],
        media_types: Mapping[str, str],
        charset: str,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(
            None,
            root,
            prefix,
            autorefresh=True,  # it keeps WhiteNoise from scanning the folder
            max_age=max_age or None,
            allow_all_origins=False,
            charset=charset,
            mimetypes=_MEDIA_TYPES | dict(media_types),
            index_file=index,
            immutable_file_test=immutable,
        )
        self._root = str(self.directories[0][0])  # absolute, with a slash at its end
        self._prefix = prefix
        self._bare = prefix.rstrip("/") if index and prefix != "/" else None
        self._refused = _NOT_CANONICAL if dotfiles else _HIDDEN
        self._follow_links = follow_links
        self._fixed_headers = dict(fixed_headers)
        self._clock = clock
        self._known: dict[str, Found] = {}

    def recall(self, path: str) -> Found | Redirect | None:
        """What `path`, a PATH_INFO, means: from memory if that is fresh, otherwise from the disk."""
        found = self._known.get(path)
        return found if found is not None and self._clock() < found.until else self.look(path)

    def look(self, path: str) -> Found | Redirect | None:
        """What `path`, a PATH_INFO, means now; None if there is nothing to serve, for whatever reason."""
        self._known.pop(path, None)
        try:
            found = self._find(path.encode("latin-1").decode())
        except (OSError, NotARegularFileError, UnicodeError):
            return None
        if isinstance(found, Found):
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[path] = found
        return found

    def _find(self, url: str) -> Found | Redirect | None:
        if url == self._bare:
            FileEntry(self._root + self.index_file)
            return self.redirect(url, url + "/")
        relative = url[len(self._prefix) :]
        if self._refused.search(relative.removeprefix(".well-known/")):
            return None
        os.stat(self._root + relative)  # noqa: PTH116  # all that most misses cost
        found: Found | Redirect | None = self.find_file(url)
        return found

    @staticmethod
    def is_compressed_variant(path: str, stat_cache: object = None) -> bool:  # noqa: ARG004  # WhiteNoise's signature
        """`a.css.gz` can be asked for by its name too, where WhiteNoise hides it beside `a.css`."""
        return False

    def get_static_file(self, path: str, url: str, stat_cache: object = None) -> Found:  # noqa: ARG002  # the same
        headers = Headers([])
        self.add_mime_headers(headers, path, url)
        self.add_cache_headers(headers, path, url)
        headers["X-Content-Type-Options"] = "nosniff"
        for name, value in self._fixed_headers.items():
            headers[name] = value
        return self._found(self._files(path), headers)

    def add_cache_headers(self, headers: Headers, path: str, url: str) -> None:
        super().add_cache_headers(headers, path, url)
        headers.setdefault("Cache-Control", "no-cache")

    def _files(self, path: str) -> dict[str, tuple[str, os.stat_result]]:
        """Real path and `stat` of the file and of those siblings that are worth sending, by encoding."""
        real = self._real(path)
        plain: os.stat_result = FileEntry.stat_regular_file(real, os.stat)
        files = {IDENTITY: (real, plain)}
        for encoding, suffix in _SIBLINGS.items():
            try:
                real = self._real(path + suffix)
                packed = FileEntry.stat_regular_file(real, os.stat)
            except (OSError, NotARegularFileError):
                continue
            if packed.st_size < plain.st_size and packed.st_mtime_ns >= plain.st_mtime_ns - _SIBLING_LAG_NS:
                files[encoding] = real, packed
        return files

    def _real(self, path: str) -> str:
        """`path` without links; MissingFileError if they lead out of the folder and may not."""
        real = os.path.realpath(path)
        # The folder itself may be a link that a deployment turns: so it is resolved anew as well.
        root = os.path.realpath(self._root)
        if not self._follow_links and not real.startswith(root.rstrip("/") + "/"):
            raise MissingFileError(path)
        return real

    def _found(self, files: Mapping[str, tuple[str, os.stat_result]], headers: Headers) -> Found:
        if len(files) > 1:
            headers["Vary"] = ", ".join(filter(None, (headers["Vary"], "Accept-Encoding")))
        common = headers.items()
        return Found(
            {encoding: represent(real, encoding, common, facts) for encoding, (real, facts) in files.items()},
            tuple(sorted(files, key=lambda encoding: files[encoding][1].st_size)),
            self._clock() + _REMEMBERED_SECONDS,
        )


def open_file(known: Representation) -> tuple[io.FileIO, Representation]:
    """The file of `known`, and what it is now. OSError if it cannot be opened, NotARegularFileError if it is none."""
    descriptor = os.open(known.path, _OPEN_FLAGS)
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise NotARegularFileError(known.path)
    return io.FileIO(descriptor), known.as_of(facts)
