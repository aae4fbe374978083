"""Write a report as one HTML file, and as Markdown beside it."""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from bilevel.errors import ConfigurationError
from tasks.report.curve_notices import curve_notices
from tasks.report.lines import panels
from tasks.report.masking import masking_notices
from tasks.report.material import gather
from tasks.report.methods import settings
from tasks.report.notices import Notice, notices
from tasks.report.tables import Table, main_table
from tasks.run import Run, RunError
from tasks.run_files import reason, write_atomically

if TYPE_CHECKING:
    from tasks.report.page import Document

_MARKDOWN_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#~$"} | {"\n": " "})


@final
@dataclass(frozen=True, slots=True)
class Summary:
    """The part of a report that a terminal can show.

    Attributes:
        tables: accuracies, a table a setting, the main one first.
        notices: what to notice, cautions last.
    """

    tables: tuple[Table, ...]
    notices: tuple[Notice, ...]


def summarise(runs: Sequence[Run]) -> Summary:
    """Compute the tables and sentences of a report without drawing anything.

    Raises:
        ConfigurationError: if there are no runs, or a result is out of its range.
        RunError: if a file of a run is damaged, or the runs hold nothing to report.
    """
    material = gather(runs)
    compared = settings(material.results)
    found = [notice for setting in compared for notice in notices(setting)] + curve_notices(panels(material.curves))
    found += masking_notices(material.results)
    return Summary(
        tuple(main_table(setting) for setting in compared), tuple(sorted(found, key=lambda notice: notice.caution))
    )


def write_report(runs: Sequence[Run], target: Path, *, title: str, tables: Sequence[Table] = ()) -> Path:
    """Write a report of one run or many.

    Beside the HTML file, which needs no other file, the same is written as Markdown (``.md``), with its figures in
    a folder ``<name>_files``.

    Args:
        runs: the runs; the same folder named twice counts once.
        target: the HTML file to write (replaced if it is there), or a folder for ``report.html``.
        title: the heading.
        tables: further tables, which stand first.

    Returns:
        The HTML file.

    Raises:
        ConfigurationError: if there are no runs, a result is out of its range, or ``target`` is no HTML file's name.
        RunError: if a file of a run is damaged, the runs hold nothing to report, or the report cannot be written.
    """
    _require_extra()
    from tasks.report.document import compose

    target = target / "report.html" if target.is_dir() else target
    if target.suffix not in {".html", ".htm"}:
        raise ConfigurationError(f"a report is an HTML file: name it {target.with_suffix('.html')}, not {target}")
    document = compose(gather(runs), title, tables)
    folder = target.with_name(f"{target.stem}_files")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the folder {folder}: {reason(error)}") from error
    for section in document.sections:
        for image in section.images:
            write_atomically(folder / f"{image.name}.png", image.png)
    write_atomically(target.with_suffix(".md"), markdown(document, folder.name))
    write_atomically(target, html(document))
    return target


def html(document: Document) -> str:
    """Return the report as one HTML page that loads nothing."""
    from tasks.report.drawing.style import THEME

    return str(_environment().get_template("report.html.j2").render(document=document, theme=THEME))


def markdown(document: Document, folder: str) -> str:
    """Return the report as Markdown, its figures in ``folder``."""
    text = _environment().get_template("report.md.j2").render(document=document, folder=folder)
    return str(text).strip() + "\n"


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("tasks.report"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda raw: base64.b64encode(raw).decode()
    environment.filters["md"] = lambda text: str(text).translate(_MARKDOWN_SPECIAL)
    return environment


def _require_extra() -> None:
    missing = [name for name in ("jinja2", "matplotlib") if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"a report needs {' and '.join(missing)}, of the extra 'vision': pip install 'bilevel[vision]'")
