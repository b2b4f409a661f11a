"""What the lines of reports add up to: totals, reasons, latency, and when it all happened."""

from stopcast.summary.figures import Figures
from stopcast.summary.samples import Kept, Sample
from stopcast.summary.timeline import Bin, Timeline, WorstSecond
from stopcast.summary.totals import Kind, Total

__all__ = ["Bin", "Figures", "Kept", "Kind", "Sample", "Timeline", "Total", "WorstSecond"]
