"""PDF and Word files made by hand: plain ones, and those that somebody made to do harm."""

import io
import zipfile
import zlib
from collections.abc import Sequence

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MIB = 1 << 20


def pdf(pages: Sequence[str], *, trailer: bytes = b"") -> bytes:
    """A PDF of pages with the given lines of text."""
    return _pdf([(b"", _drawn(page)) for page in pages], trailer)


def encrypted_pdf() -> bytes:
    """A PDF that can't be opened without its password."""
    keys = b"/Encrypt<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>/ID[<00><00>]" % (b"00" * 32, b"11" * 32)
    return pdf(["hidden"], trailer=keys)


def pdf_bomb(size: int = 4096 * MIB) -> bytes:
    """A PDF of some kilobytes, whose page is `size` bytes of drawing once it is inflated twice."""
    # What was compressed after a full flush says the same wherever it stands: one block of it is enough.
    deflating = zlib.compressobj(9)
    first, block = (deflating.compress(b" " * MIB) + deflating.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    data = zlib.compress(first + block * (size // MIB) + deflating.flush(), 9)
    return _pdf([(b"/Filter[/FlateDecode/FlateDecode]", data)])


def _drawn(page: str) -> bytes:
    escaped = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in page.split("\n"))
    lines = b" ".join(b"(%s) Tj 0 -14 Td" % line.encode("latin-1") for line in escaped)
    return b"BT /F1 12 Tf 72 720 Td %s ET" % lines if page else b""


def _pdf(contents: Sequence[tuple[bytes, bytes]], trailer: bytes = b"") -> bytes:
    kids = b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(contents), kids),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for at, (how, data) in enumerate(contents):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
            % (5 + 2 * at)
        )
        objects.append(b"<</Length %d%s>>stream\n%s\nendstream" % (len(data), how, data))
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    places: list[int] = []
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj%s endobj\n" % (number, content))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, table))
    return out.getvalue()


def docx(body: str, styles: str = "", *, prologue: str = "") -> bytes:
    """A Word document whose body has the given XML, in the namespace `w`."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        if styles:
            archive.writestr("word/styles.xml", f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>')
        archive.writestr(
            "word/document.xml",
            f'<?xml version="1.0"?>{prologue}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
        )
    return made.getvalue()


def docx_bomb(size: int = 512 * MIB) -> bytes:
    """A Word document of some megabytes, whose text is `size` bytes once it is inflated."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("word/document.xml", "w") as part:
            part.write(f'<w:document xmlns:w="{WORD}"><w:body>'.encode())
            block = b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>" % (b"words " * 100_000)
            for _ in range(size // len(block)):
                part.write(block)
            part.write(b"</w:body></w:document>")
    return made.getvalue()


def paragraph(text: str, style: str = "", properties: str = "") -> str:
    """The XML of a paragraph."""
    style = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{style}{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
