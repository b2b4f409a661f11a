"""What a code means and what to do about it, in English and Chinese: reads ``meanings.toml``, which holds the texts.

A code without an entry of its own is explained as its family or its verdict, so every code can be explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from stopcast.api.answers import Reply
from stopcast.api.verdict import Verdict, judge
from stopcast.i18n import Both, Language, Verbatim, language, translate, visible
from stopcast.marking import N_

#: Reasons that are shown where an answer has no code. "HTTP 502" is one more.
NO_ANSWER: Final = N_("no answer")
NO_CONNECTION: Final = N_("no connection")
NOT_SENT: Final = N_("not sent")
NO_TASK: Final = N_("no task")
NO_ACCOUNT: Final = N_("no account")
NOT_ENDED: Final = N_("not ended")
WITHOUT_CODE: Final = frozenset({NO_ANSWER, NO_CONNECTION, NOT_SENT, NO_TASK, NO_ACCOUNT, NOT_ENDED})
HTTP: Final = "HTTP "


def without_code(http_status: int | None, *, sent: bool) -> str:
    """Return what replaces the code of an attempt whose answer has none; ``sent`` is whether there was a connection."""
    if http_status is not None:
        return f"{HTTP}{http_status}"
    return NO_ANSWER if sent else NO_CONNECTION


def message_shown(reason: str | None, message: str) -> Verbatim:
    """Return a message in the language of the command if it is ours. One that came with a code is the API's."""
    ours = reason is None or reason in WITHOUT_CODE or reason.startswith(HTTP)
    return Verbatim(visible(translate(message) if ours else message))


class Explanation(NamedTuple):
    """What a code means, and what to do about it."""

    meaning: Both
    advice: Both


class Meanings(NamedTuple):
    """All texts.

    Attributes:
        verdicts: of a code without an entry of its own.
        codes: by code, or by one of the reasons above.
        without_code: of an answer that has only an HTTP status, which replaces ``{status}``.
    """

    verdicts: Mapping[Verdict, Explanation]
    codes: Mapping[str, Explanation]
    without_code: Both


@cache
def meanings() -> Meanings:
    """Return the texts. They are read once, and not before a code has to be explained."""
    import tomllib  # noqa: PLC0415 - few commands explain codes
    from importlib.resources import files  # noqa: PLC0415

    tables = tomllib.loads(files("stopcast.api").joinpath("meanings.toml").read_text("utf-8"))
    verdicts = {verdict: _explanation(tables["verdicts"][verdict.name.lower()]) for verdict in Verdict}
    codes = {
        code: _explanation({"advice": verdicts[judge(Reply(None, code=code))].advice._asdict(), **texts})
        for code, texts in tables["codes"].items()
    }
    return Meanings(verdicts, codes, Both(**tables["without_code"]["meaning"]))


def _explanation(texts: dict[str, Any]) -> Explanation:
    return Explanation(Both(**texts["meaning"]), Both(**texts["advice"]))


def explain(
    reason: str, *, http_status: int | None = None, report: str = "REPORT", into: Language | None = None
) -> tuple[str, str]:
    """Return the meaning of a code, or of a reason that replaces it, and what to do about it.

    Args:
        reason: an error code of the API, one of the reasons above, or "HTTP " and a status.
        http_status: of an answer with that code; it decides where the code is unknown.
        report: the report's path in a command.
        into: the language of the two texts, None for that of the command.
    """
    if reason.startswith(HTTP):
        status = reason.removeprefix(HTTP)
        meaning = Both(*(text.format(status=status) for text in meanings().without_code))
        advice = meanings().verdicts[judge(Reply(int(status), readable=False))].advice
        explanation = Explanation(meaning, advice)
    else:
        explanation = explanation_of(reason, judge(Reply(http_status, code=reason)))
    into = into or language()
    return explanation.meaning.of(into), explanation.advice.of(into).replace("REPORT", report)


def explanation_of(code: str, verdict: Verdict) -> Explanation:
    """Return the explanation of a code, of its family where that has the same verdict, or of the verdict."""
    codes = meanings().codes
    family = code
    while family:
        if family in codes and judge(Reply(None, code=family)) in {verdict, judge(Reply(None, code=code))}:
            return codes[family]
        family = family.rpartition(".")[0]
    return meanings().verdicts[verdict]
