"""What the lines of reports add up to: totals, reasons, latency, and when it all happened."""

from stopcast.figures.figures import OTHERS, Figures, Kept, Kind, Sample, Total
from stopcast.figures.timeline import Bin, Timeline, WorstSecond

__all__ = ["OTHERS", "Bin", "Figures", "Kept", "Kind", "Sample", "Timeline", "Total", "WorstSecond"]
