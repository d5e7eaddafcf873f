"""Text → the tree of YAML nodes, each with the index where it stands, within limits on depth and size.

The limits are held while libyaml's events come in, before anything is built from them: its own composer crashes on
200,000 open brackets, and merge keys and aliases of a few hundred bytes expand to gigabytes. An alias counts as all
the nodes that it stands for, so what this file returns can be walked without sharing in bounded time and depth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import yaml

from dispatcher.yamlfile import syntax
from dispatcher.yamlfile.syntax import YAMLSyntaxError

MAX_DEPTH: Final = 50
MAX_NODES: Final = 20_000  # 2,000 mounts are 10,000

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a build of PyYAML without libyaml is only slower
# What YAML 1.2 (section 5.1) does not count as printable.
_CONTROL: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A text; `plain` when it stands without quotes, so that it may mean a number, a boolean or nothing."""

    index: int
    tag: str | None
    text: str
    plain: bool
    weight: int = 1
    height: int = 0


@dataclass(slots=True, eq=False)
class ListNode:
    """A list; `weight` is the number of nodes in it, itself and what aliases stand for included."""

    index: int
    tag: str | None
    items: list[Node] = field(default_factory=list)
    weight: int = 0
    height: int = 1


@dataclass(slots=True, eq=False)
class MapNode:
    """A mapping as written: `items` are keys and values in turn, merge keys and duplicates still among them."""

    index: int
    tag: str | None
    items: list[Node] = field(default_factory=list)
    weight: int = 0
    height: int = 1

    def pairs(self) -> list[tuple[Node, Node]]:
        """Key and value of each entry."""
        return list(zip(self.items[::2], self.items[1::2], strict=True))


Node = ScalarNode | ListNode | MapNode


def compose(text: str) -> Node | None:
    """The root node of the one document in `text`, None when there is none; YAMLSyntaxError when it is no YAML."""
    if control := _CONTROL.search(text):
        what = f"the control character U+{ord(control[0]):04X} is not allowed in YAML, remove it"
        raise YAMLSyntaxError(control.start(), what)
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise syntax.explain(error, text) from None
    return builder.root


class _Builder:
    """Grows the tree event by event; `open` are the collections that are not closed yet, outermost first."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.open: list[ListNode | MapNode] = []
        self.anchors: dict[str, Node] = {}
        self.nodes = 0
        self.documents = 0

    def take(self, event: yaml.Event) -> None:
        index = event.start_mark.index if event.start_mark else 0
        match event:
            case yaml.AliasEvent():
                self._attach(self._target(event.anchor or "", index), index)
            case yaml.ScalarEvent():
                self._start(event, ScalarNode(index, event.tag, event.value, event.implicit[0]))
            case yaml.SequenceStartEvent():
                self._start(event, ListNode(index, event.tag))
            case yaml.MappingStartEvent():
                self._start(event, MapNode(index, event.tag))
            case yaml.CollectionEndEvent():
                self._close()
            case yaml.DocumentStartEvent():
                self._start_document(index)

    def _start_document(self, index: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise YAMLSyntaxError(index, "a second document starts here, a config is one document: remove the '---'")

    def _start(self, event: yaml.NodeEvent, node: Node) -> None:
        node.weight = 1
        self._attach(node, node.index)
        if event.anchor is not None:
            if event.anchor in self.anchors:
                raise YAMLSyntaxError(node.index, f"the anchor '&{event.anchor}' is there already, use another name")
            self.anchors[event.anchor] = node
        if not isinstance(node, ScalarNode):
            node.weight -= self.nodes  # closing adds the count that is reached by then
            self.open.append(node)

    def _close(self) -> None:
        node = self.open.pop()
        node.weight += self.nodes
        node.height = 1 + max((item.height for item in node.items), default=0)

    def _target(self, name: str, index: int) -> Node:
        target = self.anchors.get(name)
        if target is None:
            raise YAMLSyntaxError(
                index, f"no anchor '&{name}' before this alias; put a text that starts with '*' in quotes"
            )
        if target in self.open:
            raise YAMLSyntaxError(index, f"'*{name}' stands inside of '&{name}', a value cannot contain itself")
        return target

    def _attach(self, node: Node, index: int) -> None:
        self.nodes += node.weight
        if self.nodes > MAX_NODES:
            raise YAMLSyntaxError(
                index, f"more than {MAX_NODES:,} values, with what aliases stand for; make the file smaller"
            )
        if len(self.open) + node.height > MAX_DEPTH:
            raise YAMLSyntaxError(index, f"more than {MAX_DEPTH} levels deep, with what aliases stand for; nest less")
        if self.open:
            self.open[-1].items.append(node)
        else:
            self.root = node
