"""Figures of reports. Nothing here reads files or prints.

``figures`` counts the lines one by one: their rows by ``totals``, of which each task has one (``latest_per_task``), the
``samples`` that are kept of them, and their ``calls`` with ``latency`` and ``timeline``. The figures are shown as
``text``, ``as_json`` and ``page``, with the ``next_steps`` that are left to do.
"""

from stopcast.summary.calls import Kind
from stopcast.summary.figures import ReportFigures

__all__ = ["Kind", "ReportFigures"]
