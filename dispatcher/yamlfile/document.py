"""A YAML file → plain data, and where every value and key stands: `Document`.

Data is what JSON knows: mappings with text as keys, lists, text, whole and other finite numbers, booleans and null, by
the core schema of YAML 1.2. Tags and other keys are problems, and so are duplicate keys; they are collected in
`Document.problems`. What makes the file unreadable raises `ConfigError` by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from dispatcher.errors import ConfigError, Place, Problem, Source
from dispatcher.yamlfile.nodes import ListNode, MapNode, Node, ScalarNode, compose
from dispatcher.yamlfile.scalars import Scalar, resolve
from dispatcher.yamlfile.syntax import YAMLSyntaxError

MAX_PROBLEMS: Final = 100

YAMLPath = tuple[str | int, ...]
_Entries = dict[str, tuple[Node, Node]]


class Document:
    """One YAML file as data: `data`, the `problems` found in making it, and the place of each value."""

    def __init__(self, source: Source, *, expand: Callable[[str], str] = str) -> None:
        """`expand` is applied to each scalar before its type is read; its ValueError becomes a problem."""
        self.source = source
        self._expand = expand
        self._found: dict[tuple[Node, str], YAMLPath] = {}  # by node, because an alias brings the same one again
        self._scalars: dict[ScalarNode, Scalar] = {}
        self._failed: set[ScalarNode] = set()
        self._entries: dict[MapNode, _Entries] = {}
        try:
            root = compose(source.text)
        except YAMLSyntaxError as error:
            raise ConfigError(Problem(error.what, place=source.place(error.index))) from None
        self._root = _check_root(source, root)
        self.data: dict[str, Any] = self._construct(self._root, ())
        self.problems: tuple[Problem, ...] = tuple(
            Problem(what, show_path(self.data, path), source.place(node.index))
            for (node, what), path in islice(self._found.items(), MAX_PROBLEMS)
        )

    def place(self, path: YAMLPath, *, key: bool = False) -> Place:
        """Where the value at `path` stands, or its key; of what is not in the file, the key that should hold it."""
        key_node: Node = self._root
        node: Node = self._root
        for step in path:
            if isinstance(node, MapNode) and step in self._entries[node]:
                key_node, node = self._entries[node][str(step)]
            elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
                key_node = node = node.items[step]
            elif not isinstance(node, ScalarNode):
                key = True
        empty = isinstance(node, ScalarNode) and node.plain and not node.text
        return self.source.place((key_node if key or empty else node).index)

    def problem(self, path: YAMLPath, what: str, *, key: bool = False) -> Problem:
        """`what` at the place of the value at `path`, or of its key; the path is shown by names, not by numbers."""
        return Problem(what, show_path(self.data, path), self.place(path, key=key))

    def _report(self, node: Node, path: YAMLPath, what: str) -> None:
        self._found.setdefault((node, what), path)

    def _construct(self, node: Node, path: YAMLPath) -> Any:
        if node.tag is not None:
            self._report(node, path, "tags are not read here; remove it, or put text that starts with '!' in quotes")
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, ListNode):
            return [self._construct(item, (*path, index)) for index, item in enumerate(node.items)]
        entries = self._read_entries(node, path)
        return {key: self._construct(value, (*path, key)) for key, (_, value) in entries.items()}

    def _scalar(self, node: ScalarNode, path: YAMLPath) -> Scalar:
        if node not in self._scalars:
            self._scalars[node] = None
            try:
                text = self._expand(node.text)
                self._scalars[node] = resolve(text) if node.plain else text
            except ValueError as error:
                self._failed.add(node)
                self._report(node, path, str(error))
        return self._scalars[node]

    def _read_entries(self, node: MapNode, path: YAMLPath) -> _Entries:
        """Key → key node and value node, as the mapping says itself or, for keys that it does not name, by ``<<``."""
        if node in self._entries:
            return self._entries[node]
        own: _Entries = {}
        merge: _Entries = {}
        for key_node, value in node.pairs():
            is_merge = isinstance(key_node, ScalarNode) and key_node.plain and key_node.text == "<<"
            key = "<<" if is_merge else self._key(key_node, path)
            if key is not None:
                self._add(merge if is_merge else own, key, (key_node, value), path)
        merged: _Entries = {}
        for _, value in merge.values():
            for source in self._merge_sources(value, path):
                merged = {**self._read_entries(source, path), **merged}
        self._entries[node] = {**merged, **own}
        return self._entries[node]

    def _add(self, entries: _Entries, key: str, entry: tuple[Node, Node], path: YAMLPath) -> None:
        first = entries.setdefault(key, entry)
        if first is not entry:
            line = self.source.place(first[0].index).line
            what = f"the same key as in line {line}; keep one of them"
            self._report(entry[0], (*path, key), what)

    def _key(self, node: Node, path: YAMLPath) -> str | None:
        if node.tag is not None or not isinstance(node, ScalarNode):
            self._report(node, path, "a key is text; put text that starts with '[', '{' or '!' in quotes")
            return None
        key = self._scalar(node, path)
        if isinstance(key, str):
            return key
        if node not in self._failed:
            means = "nothing" if key is None else "true or false" if isinstance(key, bool) else "a number"
            self._report(node, path, f"a key is text, and {node.text!r} means {means}; put it in quotes")
        return None

    def _merge_sources(self, value: Node, path: YAMLPath) -> list[MapNode]:
        sources = value.items if isinstance(value, ListNode) else [value]
        if all(isinstance(source, MapNode) for source in sources):
            return [source for source in sources if isinstance(source, MapNode)]
        self._report(value, path, "'<<' takes a mapping or a list of mappings, such as '<<: *defaults'")
        return []


def show_path(data: Any, path: YAMLPath) -> str:
    """``mounts./todos.middleware.rate_limit.limits[2]``: entries of middleware by their name, others count from 1."""
    shown = ""
    steps = list(path)
    here = data
    while steps:
        step = steps.pop(0)
        if isinstance(step, str):
            shown += f".{step}"
        elif shown.endswith("middleware") and (name := _name_of(_get(here, step))):
            same = [index for index, entry in enumerate(here) if _name_of(entry) == name]
            shown += f".{name}" + (f"[{same.index(step) + 1}]" if len(same) > 1 else "")
            if steps[:1] == [name]:
                here = here[step]
                step = steps.pop(0)
        else:
            shown += f"[{step + 1}]"
        here = _get(here, step)
    return shown.removeprefix(".")


def _get(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    return data[step] if isinstance(data, list) and isinstance(step, int) and step < len(data) else None


def _name_of(entry: Any) -> str:
    """The name of an entry of a `middleware:` list, which is a text or the only key of a mapping."""
    name = next(iter(entry)) if isinstance(entry, dict) and entry else entry
    return name if isinstance(name, str) else ""


def _check_root(source: Source, root: Node | None) -> MapNode:
    if isinstance(root, MapNode):
        return root
    if root is None or (isinstance(root, ScalarNode) and root.plain and not root.text):
        found = "holds only comments" if source.text.strip() else "is empty"
        what = f"the file {found}; a site needs at least 'mounts:'"
        raise ConfigError(Problem(what, place=Place(source.file, 0, 0)))
    found = "a list" if isinstance(root, ListNode) else "text"
    what = f"expected a mapping with keys such as 'mounts:', got {found}"
    raise ConfigError(Problem(what, place=source.place(root.index)))
