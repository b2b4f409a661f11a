"""The page that ``stopcast summary --html`` writes: one file, to be passed on."""

from stopcast.summary.page.page import PAGE_BEGINS, PAGE_BYTES, Subject, page

__all__ = ["PAGE_BEGINS", "PAGE_BYTES", "Subject", "page"]
