"""The parts of a report, whatever it is written as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tasks.report.notices import Notice
from tasks.report.tables import Table


@final
@dataclass(frozen=True, slots=True)
class Image:
    """A figure in each form that is needed.

    Attributes:
        name: the name of its file, without an ending.
        alt: what it shows, for a reader who cannot see it.
        caption: a sentence below it.
        png: the PNG file's content.
        wide: SVG for a page, or "" for a picture.
        narrow: SVG for a phone, where it differs.
        large: whether it takes the whole width.
    """

    name: str
    alt: str
    caption: str
    png: bytes
    wide: str = ""
    narrow: str = ""
    large: bool = False


@final
@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what follows it; ``anchor`` is its name in links."""

    anchor: str
    heading: str
    text: str = ""
    notices: tuple[Notice, ...] = ()
    images: tuple[Image, ...] = ()
    tables: tuple[Table, ...] = ()
    commands: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    title: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
