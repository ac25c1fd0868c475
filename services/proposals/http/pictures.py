"""Pictures of a signature: a data URL (RFC 2397) with a PNG, or with an SVG of paths alone."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

MAX_URL_BYTES: Final = 256 * 1024
MAX_PIXELS_A_SIDE: Final = 4096
MAX_DEPTH: Final = 16
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_CRITICAL: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_BIT_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""By the colour type (PNG specification, table 12)."""
_SVG: Final = "http://www.w3.org/2000/svg"
_ELEMENTS: Final = frozenset(f"{_SVG} {name}" for name in ("svg", "g", "path"))
_ATTRIBUTES: Final = frozenset(
    [
        "class",
        "d",
        "fill",
        "fill-opacity",
        "fill-rule",
        "height",
        "id",
        "opacity",
        "preserveAspectRatio",
        "stroke",
        "stroke-dasharray",
        "stroke-linecap",
        "stroke-linejoin",
        "stroke-miterlimit",
        "stroke-opacity",
        "stroke-width",
        "transform",
        "version",
        "viewBox",
        "width",
        "x",
        "y",
    ]
)
_VALUE: Final = re.compile(r"(?!.*url)[\w\s.,#%()+\-]*", re.ASCII | re.IGNORECASE | re.DOTALL)
"""Numbers, colours, path data and transforms; nothing that refers to anything."""


class NoPicture(Exception):
    """The data URL holds no picture that is taken; the text says why."""


def check_picture(url: str) -> None:
    """Raises NoPicture when `url` is no data URL of at most 256 KiB that holds a PNG, or an SVG of paths alone."""
    if len(url.encode()) > MAX_URL_BYTES:
        raise NoPicture("Expected at most 256 KiB.")
    head, comma, payload = url.partition(",")
    media_type, *parameters = head.lower().removeprefix("data:").split(";")
    if not head.lower().startswith("data:") or not comma or media_type not in ("image/png", "image/svg+xml"):
        raise NoPicture("Expected a data URL with a PNG or SVG image.")
    try:
        is_base64 = "base64" in parameters
        content = base64.b64decode(payload, validate=True) if is_base64 else unquote_to_bytes(payload)
    except (binascii.Error, ValueError) as error:
        raise NoPicture("The base64 of the data URL cannot be decoded.") from error
    if media_type == "image/png":
        _check_png(content)
    else:
        _check_svg(content)


def _check_png(content: bytes) -> None:
    chunks = list(_chunks(content))
    names = [name for name, _ in chunks]
    critical = [name for name in names if name in _CRITICAL or not name[0] & 0x20]
    is_in_order = names[:1] == [b"IHDR"] and names[-1:] == [b"IEND"] and b"IDAT" in names
    is_known = _CRITICAL.issuperset(critical)
    is_single = all(names.count(name) <= 1 for name in (b"IHDR", b"PLTE", b"IEND"))
    data = [index for index, name in enumerate(names) if name == b"IDAT"]
    is_together = data == list(range(data[0], data[0] + len(data))) if data else False
    if not (is_in_order and is_known and is_single and is_together):
        raise NoPicture("The data URL does not hold a PNG image.")
    _check_header(chunks[0][1], has_palette=b"PLTE" in names)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's type and data. Raises NoPicture where one is cut short, or its check sum is wrong."""
    if not content.startswith(_PNG):
        raise NoPicture("The data URL does not hold a PNG image.")
    place = len(_PNG)
    while place < len(content):
        length, name = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        end = place + 8 + length
        sum_of_it = int.from_bytes(content[end : end + 4])
        if end + 4 > len(content) or not name.isalpha() or zlib.crc32(content[place + 4 : end]) != sum_of_it:
            raise NoPicture("The PNG image is damaged.")
        yield name, content[place + 8 : end]
        place = end + 4


def _check_header(header: bytes, *, has_palette: bool) -> None:
    if len(header) != 13:
        raise NoPicture("The PNG image is damaged.")
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    depth, colour, compression, filtering, interlacing = header[8:]
    is_right = depth in _BIT_DEPTHS.get(colour, ()) and (compression, filtering) == (0, 0) and interlacing in (0, 1)
    if not is_right or (colour == 3 and not has_palette):
        raise NoPicture("The PNG image is damaged.")
    if not (1 <= width <= MAX_PIXELS_A_SIDE and 1 <= height <= MAX_PIXELS_A_SIDE):
        raise NoPicture(f"Expected at most {MAX_PIXELS_A_SIDE} pixels a side.")


class _Paths:
    """The parser's events: raises NoPicture at the first that is not of an SVG of paths alone."""

    def __init__(self) -> None:
        self._depth = 0

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if name not in _ELEMENTS or (self._depth == 1) != name.endswith(" svg") or self._depth > MAX_DEPTH:
            raise NoPicture("Expected an SVG image of svg, g and path alone.")
        for attribute, value in attributes.items():
            if attribute not in _ATTRIBUTES or not _VALUE.fullmatch(value):
                raise NoPicture(f"The SVG image cannot have the attribute {attribute[:50]} with this value.")

    def end(self, _: str) -> None:
        self._depth -= 1

    def text(self, text: str) -> None:
        if text.strip():
            raise NoPicture("Expected an SVG image without text.")

    def refuse(self, *_: Any) -> None:
        raise NoPicture("Expected an SVG image without document type, entities and instructions.")


def _check_svg(content: bytes) -> None:
    parser, paths = expat.ParserCreate("UTF-8", namespace_separator=" "), _Paths()
    parser.StartElementHandler, parser.EndElementHandler = paths.begin, paths.end
    parser.CharacterDataHandler = paths.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = parser.ProcessingInstructionHandler = paths.refuse
    try:
        parser.Parse(content, True)  # it has no name there
    except expat.ExpatError as error:
        raise NoPicture("The data URL does not hold an SVG image.") from error
