"""Figures of reports: totals, reasons, latency and the course of time. Nothing here reads files or prints."""

from stopcast.summary.figures import ReportFigures
from stopcast.summary.samples import ListedRow, Sample
from stopcast.summary.timeline import Bin, Timeline, WorstSecond
from stopcast.summary.totals import RowGroup, Total

__all__ = ["Bin", "ListedRow", "ReportFigures", "RowGroup", "Sample", "Timeline", "Total", "WorstSecond"]
