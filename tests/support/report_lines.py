"""The keys of a report's lines, in their order."""

from __future__ import annotations

At = tuple[str, ...]
REPORT = "stopcast-report.jsonl"
KEYS = [
    "AppId", "RoomId", "TaskId", "status", "attempts", "code", "message", "http_status", "request_id", "source", "line",
    "finished_at", "seconds",
]  # fmt: skip
