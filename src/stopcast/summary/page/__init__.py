"""The page that ``stopcast summary --html`` writes: one HTML file that loads nothing and can be passed on."""

from stopcast.summary.page.page import PAGE_BEGINS, PAGE_BYTES, Subject, page

__all__ = ["PAGE_BEGINS", "PAGE_BYTES", "Subject", "page"]
