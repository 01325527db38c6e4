"""A page as a tree, to walk over it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br"}


@dataclass
class Node:
    """An element; text nodes are strings among its children."""

    tag: str
    attributes: dict[str, str]
    parent: Node | None = None
    children: list[Node | str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        """Its classes."""
        return set(self.attributes.get("class", "").split())

    def walk(self) -> Iterator[Node]:
        """Yield it and every element below."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def found(self, *, tag: str = "", kind: str = "") -> list[Node]:
        """Return the elements below of a tag and a class."""
        return [n for n in self.walk() if n is not self and tag in ("", n.tag) and (not kind or kind in n.classes)]

    def within(self, *kinds: str) -> bool:
        """Tell whether it or an element around it has one of some classes."""
        node: Node | None = self
        while node is not None:
            if node.classes & set(kinds):
                return True
            node = node.parent
        return False

    @property
    def text(self) -> str:
        """What a reader sees."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return re.sub(r"\s+", " ", " ".join(parts)).strip()


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("document", {})
        self.here = self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(node)
        if tag not in VOID:
            self.here = node

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.children.append(data)


def parsed(html: str) -> Node:
    """Return the page as a tree, without scripts and style sheets; tags that do not nest are an error."""
    builder = _Builder()
    builder.feed(re.sub(r"<(script|style)[^>]*>.*?</\1>", "", html, flags=re.DOTALL))
    builder.close()
    assert builder.here is builder.root, f"<{builder.here.tag}> is never closed"
    return builder.root


def figures_of(html: str) -> dict[str, dict]:
    """Return the Plotly specifications that a page carries, with their shared axes in place."""
    figures, shared = (
        json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL)[1])
        for name in ("figures", "shared")
    )
    for figure in figures.values():
        for line in figure["data"]:
            if isinstance(line.get("x"), int):
                line["x"] = shared[line["x"]]
    return figures
