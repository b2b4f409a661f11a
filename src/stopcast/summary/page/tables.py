"""The page's tables: codes, AppIds, attempts, and the tasks that did not go well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from stopcast.api.meanings import explain
from stopcast.i18n import STATUS_WORDS, Language
from stopcast.summary import Figures, Kept, Total
from stopcast.summary.page.markup import percent, text
from stopcast.tasks.task import OTHERS

_CODES_SHOWN: Final = 30
_APPS_SHOWN: Final = 30
#: Attempts from here on share rows.
_ATTEMPTS_ALONE: Final = 5
_ATTEMPTS_TOGETHER: Final = ((6, 10), (11, 20), (21, 10**9))
_MESSAGE_CUT_AT: Final = 80
_ID_CUT_AT: Final = 128


def codes(figures: Figures, language: Language, report: str) -> str:
    """Return each code with what it means and what to do about it; ``report`` is how a command names the report."""
    told = figures.by_reason()
    parts = [_code(figures, one, language, report) for one in told[:_CODES_SHOWN]]
    if rest := told[_CODES_SHOWN:]:
        parts.append(f'<p class="soft">{_more(len(rest), sum(one.rows for one in rest), language)}</p>')
    return "".join(parts)


def _code(figures: Figures, one: Total, language: Language, report: str) -> str:
    sample = figures.samples.get(one.key)
    if sample is None:
        return (
            f"<article><h3>{language('Other codes', '其他错误码')}<span>{statuses(one, language)}</span></h3></article>"
        )
    meaning, advice = explain(one.key, language, http_status=sample.http_status, report=report)
    more = []
    if sample.message:
        more.append(f"{language('It says', '返回信息')}: {text(sample.message)}")
    if sample.request_id:
        more.append(f'RequestId, {language("for example", "示例")}: <span class="id">{text(sample.request_id)}</span>')
    return (
        f"<article><h3><b>{_breakable(text(one.key, cut_at=_ID_CUT_AT))}</b><span>{statuses(one, language)}</span></h3>"
        f'<p>{text(meaning)}</p><p class="do">{text(advice, cut_at=400)}</p>'
        + "".join(f'<p class="soft">{line}</p>' for line in more)
        + "</article>"
    )


def apps(figures: Figures, language: Language) -> str:
    """Return the AppIds, each with its statuses as a bar."""
    told = figures.by_app()
    most = max(one.rows for one in told)
    head = _head(("AppId", ""), (language("rows", "行"), "n"), (language("not well", "未成功"), "n"), ("", ""))
    body = "".join(
        f"<tr><td class=id>{_app_name(one, language)}<td class=n>{one.rows:,}<td class=n>{one.bad:,}"
        f'<td class=w><span class="bar" style="width:{max(one.rows / most * 100, 1):.1f}%">{segments(one)}</span>'
        for one in told[:_APPS_SHOWN]
    )
    rest = told[_APPS_SHOWN:]
    more = f'<p class="soft">{_more(len(rest), sum(one.rows for one in rest), language)}</p>' if rest else ""
    return f"<table>{head}<tbody>{body}</table>{more}"


def _app_name(one: Total, language: Language) -> str:
    return language("others", "其他") if one.key == OTHERS else text(one.key, cut_at=_ID_CUT_AT)


def attempts(figures: Figures, language: Language) -> str:
    """Return how many tasks took how many calls."""
    counted = [(str(number), figures.attempts[number]) for number in range(1, _ATTEMPTS_ALONE + 1)]
    for least, most in _ATTEMPTS_TOGETHER:
        tasks = sum(tasks for number, tasks in figures.attempts.items() if least <= number <= most)
        counted.append((f"{least}–{most}" if most < 10**9 else f"{least}+", tasks))
    total, largest = figures.attempts.total(), max(tasks for _, tasks in counted)
    head = _head((language("calls", "调用次数"), ""), (language("tasks", "任务"), "n"), ("", "n"), ("", ""))
    body = "".join(
        f"<tr><td>{name}<td class=n>{tasks:,}<td class=n>{percent(tasks, total)}"
        f'<td class=w><span class="bar"><i style="width:{tasks / largest * 100:.1f}%"></i></span>'
        for name, tasks in counted
        if tasks
    )
    return f"<table>{head}<tbody>{body}</table>"


def columns(language: Language) -> Sequence[str]:
    """Return the names of the columns of the table of tasks."""
    return (
        *(language("status", "状态"), language("code", "错误码"), "AppId", "RoomId", "TaskId"),
        *(language("line", "行"), "RequestId"),
    )


def rows(figures: Figures, language: Language, *, most_bytes: int) -> tuple[str, int]:
    """Return the table of the tasks that did not go well, and how many of them it holds: what there is room for."""
    head = _head(*((name, "") for name in columns(language)))
    room = most_bytes - len(head.encode())

    def fits(row: str) -> bool:
        nonlocal room
        room -= len(row.encode())
        return room >= 0

    shown = list(takewhile(fits, (_row(kept, figures, language) for kept in figures.kept)))
    return f'<table id="tasks">{head}<tbody>{"".join(shown)}</table>', len(shown)


def _row(kept: Kept, figures: Figures, language: Language) -> str:
    """Return a row without the end tags that HTML does not ask for: they would be a quarter of it."""
    sample = figures.samples.get(kept.reason or "")
    message = ""
    if kept.message and (sample is None or kept.message != sample.message):
        message = f" <span class=of>{text(kept.message, cut_at=_MESSAGE_CUT_AT)}</span>"
    place = "" if kept.line is None else f"{text(kept.source or '', cut_at=60)}:{kept.line}"
    ids = "".join(f"<td class=id>{text(part, cut_at=_ID_CUT_AT)}" for part in kept.task)
    return (
        f"<tr><td><span class='is {kept.status}'>{language(*STATUS_WORDS[kept.status])}</span>"
        f"<td>{_breakable(text(kept.reason or '', cut_at=_ID_CUT_AT))}{message}{ids}<td>{_breakable(place)}"
        f"<td class=id>{text(kept.request_id or '', cut_at=_ID_CUT_AT)}"
    )


def _breakable(markup: str) -> str:
    """Return a code or a place so that a narrow column breaks it where its parts meet."""
    return re.sub(r"([.:])(?=\w)", r"\1<wbr>", markup)


def statuses(one: Total, language: Language) -> str:
    """Return rows by status in words."""
    return language(", ", "，").join(
        f"{number:,} {language(*words)}" for status, words in STATUS_WORDS.items() if (number := one.statuses[status])
    )


def segments(one: Total) -> str:
    """Return the parts of a bar."""
    return "".join(
        f'<i class="{status}" style="flex:{number}"></i>' for status in STATUS_WORDS if (number := one.statuses[status])
    )


def _head(*columns: tuple[str, str]) -> str:
    return "<thead><tr>" + "".join(_heading(*column) for column in columns) + "</thead>"


def _heading(name: str, css_class: str) -> str:
    return f"<th scope=col{f' class={css_class}' if css_class else ''}>{name}"


def _more(number: int, counted: int, language: Language) -> str:
    return language(
        f"And {number:,} more, with {counted:,} rows: stopcast summary --json.",
        f"另有 {number:,} 项，共 {counted:,} 行：stopcast summary --json。",
    )


def legend(one: Total, language: Language) -> Iterator[str]:
    """Yield each status with its colour, its number and its share."""
    for status, words in STATUS_WORDS.items():
        if number := one.statuses[status]:
            share = percent(number, one.rows)
            yield f'<li class="{status}">{language(*words)} {number:,} <span class="of">{share}</span>'
