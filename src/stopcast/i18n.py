"""English and Chinese: choosing a language, the words for statuses, and durations in both."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from stopcast.tasks.outcome import Status


class Language(StrEnum):
    """A language. Calling it with a text in both languages returns the text in this one."""

    EN = "en"
    ZH = "zh"

    def __call__(self, en: str, zh: str) -> str:
        """Return the text in this language."""
        return zh if self is Language.ZH else en

    @classmethod
    def of_locale(cls, environ: Mapping[str, str]) -> Language:
        """Return Chinese if the first locale variable that is set, in the order of POSIX, names it; else English."""
        names = (environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return cls.ZH if next(filter(None, names), "").lower().startswith("zh") else cls.EN


class Both(NamedTuple):
    """A text in both languages."""

    en: str
    zh: str


#: Each status as it reads in a sentence, in the order in which a summary lists them.
STATUS_WORDS: Final[Mapping[Status, Both]] = {
    Status.STOPPED: Both("stopped", "已停止"),
    Status.ALREADY_STOPPED: Both("already stopped", "此前已停止"),
    Status.PRESUMED_STOPPED: Both("presumed stopped", "推定已停止"),
    Status.DUPLICATE: Both("duplicate", "重复"),
    Status.FAILED: Both("failed", "失败"),
    Status.SET_ASIDE: Both("set aside", "搁置"),
    Status.GAVE_UP: Both("gave up", "放弃"),
    Status.INVALID: Both("invalid", "无效行"),
    Status.ENDED: Both("ended", "已结束"),
    Status.STILL_RUNNING: Both("still running", "仍在运行"),
    Status.NOT_STARTED: Both("not started yet", "尚未开始"),
    Status.UNKNOWN: Both("unknown", "未知"),
}


def counted(number: int, noun: str) -> str:
    """Return a number with its English noun: ``1 row``, ``2,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float, language: Language = Language.EN) -> str:
    """Return ``under 1 s``, ``4 s``, ``3 min 20 s``, ``18 h 31 min``."""
    if seconds < 1:
        return language("under 1 s", "不到 1 秒")
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return language(f"{whole} s", f"{whole} 秒")
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return language(f"{minutes} min {rest:02d} s", f"{minutes} 分 {rest:02d} 秒")
    hours, minutes = divmod(minutes, 60)
    return language(f"{hours} h {minutes:02d} min", f"{hours} 小时 {minutes:02d} 分")


def visible(text: str) -> str:
    """Return a text from outside with escapes for characters that are invisible or change the direction of text."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
