"""Main text of a web page: what stands around it, for finding the way or for programs, is left out."""

import re
from collections.abc import Iterator
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from bawn.indexer.contents import decode
from bawn.indexer.documents.text import Text

_LEAST: Final = 100
"""Characters of text below which a page is no document."""
_MAIN: Final = ("main", "[role=main]", "article", "#content")
_UNREAD: Final = frozenset(
    {
        "button", "canvas", "dialog", "form", "head", "iframe", "math", "nav", "noscript", "object", "script", "select",
        "style", "svg", "template",
    }
)  # fmt: skip
_AROUND: Final = frozenset({"aside", "footer", "header"})
_BLOCKS: Final = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "div", "dl", "dt", "fieldset",
        "figcaption", "figure", "footer", "header", "hr", "li", "main", "ol", "p", "section", "summary", "table",
        "tbody", "tfoot", "thead", "tr", "ul",
    }
)  # fmt: skip
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_CODE: Final = frozenset({"code", "kbd", "pre", "samp", "tt"})
_TIGHT: Final = frozenset({"li", "tr", "dd"})
_ANCHOR: Final = re.compile(r"[\s¶§#\U0001f517]+$")
"""The sign at the end of a heading that links to itself."""
_TEMPLATE: Final = re.compile(r"\{\{|\{%|<%|<\?(?:php|=)")
_CHARSET: Final = re.compile(rb"charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE)


def page_text(content: bytes) -> str | None:
    """The main text of a web page, headings marked as in Markdown; None where it is source more than something to read.

    Raises:
        LeftOut: it has more text than a document has.
    """
    source = _decoded(content)
    tree = LexborHTMLParser(source)
    if tree.body is None or (_TEMPLATE.search(source) and _is_template(tree.body)):
        return None
    title = tree.css_first("title")
    found = _of_main(tree) or _text_of(tree.body, _UNREAD | _AROUND)
    text = found.joined()
    if len(text) < _LEAST:
        return None
    heading = " ".join(title.text().split()) if title is not None and not found.has_headings else ""
    return f"# {heading}\n\n{text}" if heading else text


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _CHARSET.search(content[:4_096])
    if declared is None or content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return decode(content)
    try:
        return content.decode(declared.group(1).decode(), errors="replace")
    except LookupError:
        return decode(content)


def _of_main(tree: LexborHTMLParser) -> Text | None:
    for selector in _MAIN:
        found = tree.css(selector)
        if len(found) == 1:
            text = _text_of(found[0], _UNREAD)
            return text if len(text.joined()) >= _LEAST else None
    return None


def _is_template(body: LexborNode) -> bool:
    """Whether a program makes the page from this file; one about templates has their marks in its code alone."""
    nodes = _nodes(body, _UNREAD | _CODE)
    return any(node.is_text_node and _TEMPLATE.search(node.text_content or "") for node, _ in nodes)


def _nodes(root: LexborNode, unread: frozenset[str]) -> Iterator[tuple[LexborNode, bool]]:
    """Texts and elements from `root` on, less what is `unread`; an element comes again at its end, with True."""
    # Not recursion: a page may be nested deeper than Python's stack.
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, ends = stack.pop()
        if ends or node.is_text_node:
            yield node, ends
        elif node.is_element_node and node.tag not in unread:
            yield node, False
            stack.append((node, True))
            child = node.last_child
            while child is not None:
                stack.append((child, False))
                child = child.prev


def _text_of(root: LexborNode, unread: frozenset[str]) -> Text:
    walk = _Walk()
    for node, ends in _nodes(root, unread):
        if node.is_text_node:
            walk.characters(node.text_content or "")
        elif ends:
            walk.end(node.tag or "")
        else:
            walk.begin(node.tag or "")
    walk.flush()
    return walk.text


class _Walk:
    """Makes lines of the elements of a page as they come."""

    def __init__(self) -> None:
        self.text = Text()
        self._words: list[str] = []
        self._first = ""
        self._apart = True
        self._pre = 0

    def begin(self, tag: str) -> None:
        if tag == "pre":
            if not self._pre:
                self.flush()
            self._pre += 1
        elif tag == "br":
            self.flush()
            self._apart = False
        elif tag in ("td", "th"):
            self._words.append(" | " if self._words else "")
        elif tag in _BLOCKS or tag in _HEADINGS:
            self.flush()
            self._apart = tag not in _TIGHT
            self._first = "- " if tag == "li" else ""

    def end(self, tag: str) -> None:
        if tag == "pre":
            self._pre -= 1
            if not self._pre:
                self.text.code("".join(self._words))
                self._words.clear()
        elif level := _HEADINGS.get(tag):
            self.text.heading(level, _ANCHOR.sub("", "".join(self._words)))
            self._words.clear()
        elif tag in _BLOCKS:
            self.flush()

    def characters(self, data: str) -> None:
        self._words.append(data)

    def flush(self) -> None:
        """Write what was collected as a paragraph; within code, it is a line."""
        if self._pre:
            if self._words and not self._words[-1].endswith("\n"):
                self._words.append("\n")
            return
        words = "".join(self._words)
        self._words.clear()
        if words.strip():
            self.text.paragraph(words, self._first, apart=self._apart)
            self._first = ""
            self._apart = True
