import pytest

from bawn.indexer.documents.extraction import is_document
from bawn.indexer.documents.page import page_text

PARAGRAPH = "A paragraph of the page that is long enough for it to be one that somebody may well like to sit and read. "


def _page(body: str, head: str = "<title>The title</title>") -> bytes:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode()


def _lines(content: bytes) -> list[str]:
    text = page_text(content)
    assert text is not None
    return text.split("\n")


def test_headings_paragraphs_lists_tables_and_code_keep_their_form() -> None:
    lines = _lines(
        _page(
            f"<h1>Orders <a href='#x'>¶</a></h1><p>{PARAGRAPH}<b>bold</b>&amp;<i>more</i><h2>Steps</h2>"
            "<ul><li>one<li>two <code>x</code></ul><pre>def a():\n    # no heading\n    pass</pre>"
            "<table><tr><th>Sku<th>Stock<tr><td>a<td>1</table><p>first<br>second"
        )
    )
    assert lines[0] == "# Orders"
    assert " ".join(lines[2:4]).endswith("bold&more")
    assert lines[5:] == [
        "## Steps", "- one", "- two x", "", "```", "def a():", "    # no heading", "    pass", "```",
        "Sku | Stock", "a | 1", "", "first", "second", "",
    ]  # fmt: skip


def test_what_is_for_finding_the_way_or_for_programs_is_left_out() -> None:
    around = "<nav>menu</nav><header>banner</header><aside>advert</aside><footer>imprint</footer>"
    programs = "<script>var secret</script><style>.x{}</style><noscript>enable</noscript><template>row</template>"
    main = f"<main><p>{PARAGRAPH}</p>{programs}</main><p>beside</p>"
    for body in (f"{around}<p>{PARAGRAPH}</p>{programs}", f"{around}{main}"):
        text = " ".join(_lines(_page(body)))
        assert PARAGRAPH.strip() in text
        for word in ("menu", "banner", "advert", "imprint", "secret", ".x", "enable", "row", "beside"):
            assert word not in text


def test_lines_of_code_that_are_elements_stay_lines() -> None:
    lines = _lines(_page(f"<p>{PARAGRAPH}</p><pre><div>one</div><div>  two\n</div>three<br>four</pre>"))
    assert lines[-7:] == ["```", "one", "  two", "three", "four", "```", ""]
    code = "<div>a line of code</div>" * 60_000
    assert len(_lines(_page(f"<p>{PARAGRAPH}</p><pre>{code}</pre>"))) > 60_000


def test_the_title_stands_in_for_headings() -> None:
    assert _lines(_page(f"<p>{PARAGRAPH}</p>"))[0] == "# The title"
    assert "# The title" not in _lines(_page(f"<h2>Own</h2><p>{PARAGRAPH}</p>"))


@pytest.mark.parametrize(
    "body", [f"<p>{PARAGRAPH}{{{{ user.name }}}}</p>", f"{{% block x %}}<p>{PARAGRAPH}</p>", "<p>Short.</p>"]
)
def test_templates_and_pages_with_little_to_read_are_source(body: str) -> None:
    assert page_text(_page(body)) is None


def test_a_page_about_templates_is_none() -> None:
    assert "{{ name }}" in " ".join(_lines(_page(f"<p>{PARAGRAPH}<code>{{{{ name }}}}</code></p>")))


@pytest.mark.parametrize(("charset", "words"), [("utf-8", "größer"), ("windows-1251", "Заказы"), ("Shift_JIS", "注文")])
def test_a_page_is_read_in_the_charset_that_it_declares(charset: str, words: str) -> None:
    text = _page(f"<p>{PARAGRAPH}{words}</p>", f'<meta charset="{charset}">').decode()
    assert words in " ".join(_lines(text.encode(charset)))


def test_an_unknown_charset_is_no_error() -> None:
    content = _page(f"<p>{PARAGRAPH}</p>", '<meta charset="base64">').replace(b"page", b"p\xe4ge")
    assert "päge" in " ".join(_lines(content))


def test_a_page_may_be_nested_deeper_than_any_stack() -> None:
    assert PARAGRAPH.strip() in " ".join(_lines(_page(f"{'<div>' * 5_000}{PARAGRAPH}")))


def test_pages_are_documents_among_documentation_or_where_a_program_made_them() -> None:
    page = _page(f"<p>{PARAGRAPH}</p>")
    assert is_document("docs/api/index.html", "html", page)
    assert not is_document("src/templates/index.html", "html", page)
    assert is_document("src/templates/index.html", "html", page, to_read=True)
    assert is_document("site/index.html", "html", _page("", '<meta name="generator" content="Docutils">'))
    assert not is_document("docs/part.html", "html", b"<div>no whole page</div>")
    assert not is_document("docs/conf.py", "python", page)
