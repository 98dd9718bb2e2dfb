"""Text of a Word document: paragraphs, headings, lists and tables of its body.

The archive is read as a stream, so that what it would grow to is never in memory.
"""

import io
import zipfile
import zlib
from collections.abc import Callable
from typing import Final
from xml.parsers import expat

import msgspec

from bawn.indexer.documents.text import MAX_TEXT, LeftOut, Text

MAX_XML: Final = 50_000_000
"""Bytes that a part may inflate to."""
_READ: Final = 1 << 16
_DEEPEST: Final = 500
"""Nested elements; Word's own documents have some twenty."""
_BODY: Final = "word/document.xml"
_STYLES: Final = "word/styles.xml"
_WORD: Final = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main ",
    "http://purl.oclc.org/ooxml/wordprocessingml/main ",
)
_LEVELS: Final = {"title": 1} | {f"heading {level}": min(level, 6) for level in range(1, 10)}


def docx_text(content: bytes) -> str:
    """The text of a Word document, with headings marked as in Markdown.

    Raises:
        LeftOut: it is encrypted, damaged, or larger than a document is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            styles = _Styles()
            if _STYLES in names:
                _parse(archive, _STYLES, styles.begin, lambda _: None, lambda _: None)
            body = _Body(styles.levels)
            _parse(archive, _BODY, body.begin, body.end, body.characters)
            return body.text.joined()
    except RuntimeError as error:  # what zipfile says of a password
        raise LeftOut("encrypted") from error
    except zipfile.BadZipFile as error:
        # With a password, Word makes no archive but an OLE file.
        encrypted = content.startswith(b"\xd0\xcf\x11\xe0")
        raise LeftOut("encrypted" if encrypted else "damaged") from error
    except (KeyError, ValueError, EOFError, NotImplementedError, zlib.error, expat.ExpatError) as error:
        raise LeftOut("damaged") from error


_Begin = Callable[[str, dict[str, str]], None]


def _parse(
    archive: zipfile.ZipFile,
    name: str,
    begin: _Begin,
    end: Callable[[str], None],
    characters: Callable[[str], None],
) -> None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def started(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise LeftOut("damaged")
        begin(_local(tag), attributes)

    def ended(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(_local(tag))

    def doctype(*_: object) -> None:
        # No Word document has one; entities that grow, or that name files, come by it.
        raise LeftOut("damaged")

    parser.StartElementHandler = started
    parser.EndElementHandler = ended
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    size = 0
    if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise LeftOut("damaged")
    with archive.open(name) as part:
        while data := part.read(_READ):
            size += len(data)
            if size > MAX_XML:
                raise LeftOut("too_large")
            parser.Parse(data, False)
    parser.Parse(b"", True)


def _local(tag: str) -> str:
    """A tag of Word's own by its bare name; others with their namespace."""
    for namespace in _WORD:
        if tag.startswith(namespace):
            return tag.removeprefix(namespace)
    return tag


def _value(attributes: dict[str, str]) -> str:
    return next((value for name, value in attributes.items() if _local(name) == "val"), "")


class _Styles:
    """Which styles are headings: their names are English in every language of Word, their ids are not."""

    def __init__(self) -> None:
        self.levels: dict[str, int] = {}
        self._style = ""

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "style":
            self._style = next((value for name, value in attributes.items() if _local(name) == "styleId"), "")
        elif tag == "name" and (level := _LEVELS.get(_value(attributes).lower())):
            self.levels[self._style] = level
        elif tag == "outlineLvl" and (value := _value(attributes)).isdecimal() and int(value) < 9:
            self.levels.setdefault(self._style, min(int(value) + 1, 6))


class _Paragraph(msgspec.Struct):
    parts: list[str] = []
    level: int = 0
    listed: bool = False


class _Body:
    """Collects the text of the body, element by element."""

    def __init__(self, levels: dict[str, int]) -> None:
        self.text = Text()
        self._levels = levels
        # A text box has paragraphs within a paragraph.
        self._paragraphs: list[_Paragraph] = []
        self._rows: list[list[list[str]]] = []
        self._size = 0
        self._is_text = False
        self._unread = 0

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if self._unread or tag.endswith(" Fallback"):
            self._unread += 1  # says again, for old programs, what was said before
        elif tag == "p":
            self._paragraphs.append(_Paragraph())
        elif tag == "tr":
            self._rows.append([])
        elif tag == "tc" and self._rows:
            self._rows[-1].append([])
        elif self._paragraphs:
            self._within(tag, attributes, self._paragraphs[-1])

    def _within(self, tag: str, attributes: dict[str, str], paragraph: _Paragraph) -> None:
        if tag == "t":
            self._is_text = True
        elif tag in ("tab", "br", "cr"):
            paragraph.parts.append("\n" if tag != "tab" else "\t")
        elif tag == "noBreakHyphen":
            paragraph.parts.append("-")
        elif tag == "pStyle":
            paragraph.level = self._levels.get(_value(attributes), paragraph.level)
        elif tag == "outlineLvl" and (value := _value(attributes)).isdecimal() and int(value) < 9:
            paragraph.level = min(int(value) + 1, 6)
        elif tag == "numPr":
            paragraph.listed = True

    def characters(self, data: str) -> None:
        if self._is_text and self._paragraphs:
            self._size += len(data)
            if self._size > MAX_TEXT:
                raise LeftOut("too_large")
            self._paragraphs[-1].parts.append(data)

    def end(self, tag: str) -> None:
        if self._unread:
            self._unread -= 1
        elif tag == "t":
            self._is_text = False
        elif tag == "p" and self._paragraphs:
            self._write(self._paragraphs.pop())
        elif tag == "tr" and self._rows:
            self.text.paragraph(" | ".join(" ".join(cell) for cell in self._rows.pop()), apart=False)
        elif tag == "tbl":
            self.text.line("")

    def _write(self, paragraph: _Paragraph) -> None:
        text = "".join(paragraph.parts)
        if self._rows:
            if self._rows[-1] and text.strip():
                self._rows[-1][-1].append(" ".join(text.split()))
        elif paragraph.level:
            self.text.heading(paragraph.level, text)
        else:
            for at, line in enumerate(text.split("\n")):
                self.text.paragraph(line, "- " if paragraph.listed else "", apart=at == 0 and not paragraph.listed)
