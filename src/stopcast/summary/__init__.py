"""Figures of reports: totals, reasons, latency and the course of time. Nothing here reads files or prints."""

from stopcast.summary.calls import CallFigures, Kind
from stopcast.summary.figures import ReportFigures
from stopcast.summary.samples import ListedRow, Place, Sample
from stopcast.summary.timeline import Bin, Timeline, WorstSecond
from stopcast.summary.totals import MessageTotal, RowGroup, Total

__all__ = [
    "Bin",
    "CallFigures",
    "Kind",
    "ListedRow",
    "MessageTotal",
    "Place",
    "ReportFigures",
    "RowGroup",
    "Sample",
    "Timeline",
    "Total",
    "WorstSecond",
]
