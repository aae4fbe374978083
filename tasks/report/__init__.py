"""Reports of one run or many: tables, figures and words, as HTML and as Markdown."""

from tasks.report.write import Summary, summarise, write_report

__all__ = ["Summary", "summarise", "write_report"]
