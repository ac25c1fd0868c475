"""Pictures of a signature: what is taken, and what is not."""

from __future__ import annotations

import zlib
from base64 import b64encode
from urllib.parse import quote

import pytest

from services.proposals.http.pictures import MAX_URL_BYTES, NoPicture, check_picture
from tests.support.pictures import chunk, header, png

DATA, END = chunk(b"IDAT", zlib.compress(b"\x00\xff")), chunk(b"IEND")
NS = "xmlns='http://www.w3.org/2000/svg'"
PATH = "<path d='M0 0 C1.5-2e1,3 4,5 6z' fill='none' stroke='#000' stroke-width='2' stroke-linecap='round'/>"


def of_png(content: bytes) -> str:
    return "data:image/png;base64," + b64encode(content).decode()


def of_svg(text: str) -> str:
    return "data:image/svg+xml," + quote(text)


@pytest.mark.parametrize(
    "content",
    [
        png(),
        png(header(4096, 4096), DATA, END),
        png(header(), chunk(b"tEXt", b"Title"), DATA, DATA, chunk(b"tIME", bytes(7)), END),
        png(header(kind=b"\x08\x03\x00\x00\x01"), chunk(b"PLTE", bytes(3)), DATA, END),
        png(header(kind=b"\x08\x06\x00\x00\x00"), DATA, END),
    ],
)
def test_a_png_is_taken(content: bytes):
    check_picture(of_png(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + b"0" * 64,
        png()[:-1],
        png() + b"x",
        png() + b"<script>",
        png().replace(b"IDAT", b"IDAU"),
        png()[:40] + bytes([png()[40] ^ 1]) + png()[41:],
        png(DATA, header(), END),
        png(header(), END),
        png(header(), DATA),
        png(header(), header(), DATA, END),
        png(header(), DATA, END, END),
        png(header(), DATA, chunk(b"tEXt"), DATA, END),
        png(header(), chunk(b"EVIL"), DATA, END),
        png(header(), chunk(b"1234"), DATA, END),
        png(header(0, 1), DATA, END),
        png(header(4097, 1), DATA, END),
        png(header(1, 2**31), DATA, END),
        png(header(kind=b"\x03\x00\x00\x00\x00"), DATA, END),
        png(header(kind=b"\x08\x03\x00\x00\x00"), DATA, END),
        png(header(kind=b"\x08\x00\x01\x00\x00"), DATA, END),
        png(chunk(b"IHDR", b"short"), DATA, END),
        b"GIF89a",
    ],
)
def test_what_is_no_whole_png_is_refused(content: bytes):
    with pytest.raises(NoPicture):
        check_picture(of_png(content))


@pytest.mark.parametrize(
    "text",
    [
        f"<svg {NS}/>",
        f"<?xml version='1.0' encoding='UTF-8'?>\n<svg {NS} viewBox='0 0 1 1' width='10' height='100%'>{PATH}</svg>",
        f"<svg {NS} xmlns:xlink='http://www.w3.org/1999/xlink'><g transform='translate(1, 2)'>{PATH}{PATH}</g></svg>",
        "<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:path d='M0,0'/></s:svg>",
        f"<svg {NS}><!-- drawn --><path d='M0 0' fill='rgb(0, 0, 0)'/></svg>",
    ],
)
def test_an_svg_of_paths_is_taken(text: str):
    check_picture(of_svg(text))
    check_picture("data:image/svg+xml;base64," + b64encode(text.encode()).decode())
    check_picture("data:image/svg+xml;utf8," + text.replace("#", "%23").replace("100%", "100%25"))


@pytest.mark.parametrize(
    "inside",
    [
        *(
            "<script>alert(1)</script>",
            "<style>*{}</style>",
            "<foreignObject/>",
            "<image href='x'/>",
            "<use href='#a'/>",
        ),
        *("<a><path d='M0 0'/></a>", "<text>Jane</text>", "<animate/>", "<rect/>", "<svg/>", "Jane", "<![CDATA[x]]>"),
        *(
            "<path onclick='x'/>",
            "<path href='x'/>",
            "<path style='x'/>",
            "<path fill='url(#a)'/>",
            "<path d='URL(x)'/>",
        ),
        *(
            "<path fill='javascript:x'/>",
            "<path xml:base='x'/>",
            "<path d='M0 0&#x3c;'/>",
            "<?xml-stylesheet href='x'?>",
        ),
        *("<html xmlns='http://www.w3.org/1999/xhtml'/>", "<path xmlns=''/>", "<script xmlns=''/>", "&amp;", "&x;"),
        *(
            "<g>" * 16 + "</g>" * 16,
            "<path d='M0 0'",
            "</svg><svg>",
            "<path xmlns:xlink='http://www.w3.org/1999/xlink' xlink:href='x'/>",
        ),
    ],
)
def test_an_svg_of_anything_else_is_refused(inside: str):
    with pytest.raises(NoPicture):
        check_picture(of_svg(f"<svg {NS}>{inside}</svg>"))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "hello <svg",
            "<svg/>",
            f"<g {NS}/>",
            f"<html><svg {NS}/></html>",
            f"<svg {NS}>",
            f"<svg {NS} onload='x'/>",
        ),
        f"<!DOCTYPE svg><svg {NS}/>",
        f"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg {NS}>&a;</svg>",
        f"<!DOCTYPE svg SYSTEM 'http://a/b.dtd'><svg {NS}/>",
        f"<?xml-stylesheet href='x'?><svg {NS}/>",
        f"<svg {NS}/><script/>",
        f"<svg {NS} width='\x00'/>",
    ],
)
def test_what_is_no_svg_document_of_paths_is_refused(text: str):
    with pytest.raises(NoPicture):
        check_picture(of_svg(text))


@pytest.mark.parametrize(
    "url",
    [
        *("", "Jane", "data:,x", "data:image/gif;base64,R0lG", "data:image/png;base64,####", "data:text/html,<svg/>"),
        *("image/png;base64,aaaa", "data:image/png;base64,\u00e9", "data:image/png", "https://a/b.png"),
    ],
)
def test_what_is_no_data_url_of_a_picture_is_refused(url: str):
    with pytest.raises(NoPicture):
        check_picture(url)


def test_the_bound_counts_bytes():
    url = f"data:image/svg+xml;utf8,<svg {NS}><!--"
    fits = url + "\U0001f600" * ((MAX_URL_BYTES - len(url) - 9) // 4) + "--></svg>"
    check_picture(fits)
    with pytest.raises(NoPicture, match="256 KiB"):
        check_picture(fits.replace("-->", "\U0001f600-->"))
