"""What the lines of reports add up to: totals, reasons, latency, and when it all happened."""

from stopcast.figures.figures import Figures
from stopcast.figures.samples import Kept, Sample
from stopcast.figures.timeline import Bin, Timeline, WorstSecond
from stopcast.figures.totals import Kind, Total

__all__ = ["Bin", "Figures", "Kept", "Kind", "Sample", "Timeline", "Total", "WorstSecond"]
