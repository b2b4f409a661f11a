"""The tables of the page: codes, AppIds, attempts, and the tasks that need attention."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Final

from stopcast.api.meanings import explain
from stopcast.i18n import STATUS_WORDS, Language, _
from stopcast.summary import ListedRow, ReportFigures, Total
from stopcast.summary.page.markup import percent, text
from stopcast.tasks.task import OTHERS

_CODES_SHOWN: Final = 30
_APPS_SHOWN: Final = 30
#: Up to this many attempts have a row each; more attempts share rows.
_ATTEMPTS_ALONE: Final = 5
_ATTEMPTS_TOGETHER: Final = ((6, 10), (11, 20), (21, 10**9))
_MESSAGE_CUT_AT: Final = 80
_ID_CUT_AT: Final = 128


def codes(figures: ReportFigures, language: Language, report: str) -> str:
    """Return each code with its meaning and advice; ``report`` stands for the report in a command."""
    totals = figures.by_reason()
    parts = [_code(figures, total, language, report) for total in totals[:_CODES_SHOWN]]
    if rest := totals[_CODES_SHOWN:]:
        parts.append(f'<p class="soft">{_more(rest, language)}</p>')
    return "".join(parts)


def _code(figures: ReportFigures, total: Total, language: Language, report: str) -> str:
    sample = figures.samples.get(total.key)
    counts = f"<span>{statuses(total, language)}</span>"
    if sample is None:
        return f"<article><h3>{language('Other codes', '其他错误码')}{counts}</h3></article>"
    meaning, advice = explain(total.key, http_status=sample.http_status, report=report)
    more = []
    if sample.message:
        more.append(f"{language('For example', '返回信息示例')}: {text(sample.message)}")
    if sample.request_id:
        more.append(
            f'{language("For example RequestId", "示例 RequestId")}: <span class="id">{text(sample.request_id)}</span>'
        )
    return (
        f"<article><h3><b>{_breakable(text(total.key, cut_at=_ID_CUT_AT))}</b>{counts}</h3>"
        f'<p>{text(meaning)}</p><p class="do">{text(advice, cut_at=400)}</p>'
        + "".join(f'<p class="soft">{line}</p>' for line in more)
        + "</article>"
    )


def apps(figures: ReportFigures, language: Language) -> str:
    """Return the AppIds, each with its statuses as a bar."""
    totals = figures.by_app()
    most = max(total.rows for total in totals)
    head = _head(("AppId", ""), (language("rows", "行"), "n"), (language("not good", "未成功"), "n"), ("", ""))
    body = "".join(
        f"<tr><td class=id>{_app_name(total, language)}<td class=n>{total.rows:,}<td class=n>{total.bad:,}"
        f'<td class=w><span class="bar" style="width:{max(total.rows / most * 100, 1):.1f}%">{segments(total)}</span>'
        for total in totals[:_APPS_SHOWN]
    )
    rest = totals[_APPS_SHOWN:]
    more = f'<p class="soft">{_more(rest, language)}</p>' if rest else ""
    return f"<table>{head}<tbody>{body}</table>{more}"


def _app_name(total: Total, language: Language) -> str:
    return language("others", "其他") if total.key == OTHERS else text(total.key, cut_at=_ID_CUT_AT)


def attempts(figures: ReportFigures, language: Language) -> str:
    """Return the number of tasks by their number of calls."""
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
    """Return the column names of the table of tasks."""
    return (
        *(language("status", "状态"), language("code", "错误码"), "AppId", "RoomId", "TaskId"),
        *(language("line", "行"), "RequestId"),
    )


def rows(figures: ReportFigures, language: Language, *, most_bytes: int) -> tuple[str, int]:
    """Return the table of the tasks that need attention, and the number of its rows: as many as there is room for."""
    head = _head(*((name, "") for name in columns(language)))
    room = most_bytes - len(head.encode())

    def fits(row: str) -> bool:
        nonlocal room
        room -= len(row.encode())
        return room >= 0

    shown = list(takewhile(fits, (_row(row, figures) for row in figures.listed)))
    return f'<table id="tasks">{head}<tbody>{"".join(shown)}</table>', len(shown)


def _row(row: ListedRow, figures: ReportFigures) -> str:
    """Return a row without the end tags that HTML does not require: they would be a quarter of its size."""
    sample = figures.samples.get(row.reason or "")
    message = ""
    if row.message and (sample is None or row.message != sample.message):
        message = f" <span class=of>{text(row.message, cut_at=_MESSAGE_CUT_AT)}</span>"
    place = "" if row.line is None else f"{text(row.source or '', cut_at=60)}:{row.line}"
    ids = "".join(f"<td class=id>{text(part, cut_at=_ID_CUT_AT)}" for part in row.task)
    return (
        f"<tr><td><span class='is {row.status}'>{_(STATUS_WORDS[row.status])}</span>"
        f"<td>{_breakable(text(row.reason or '', cut_at=_ID_CUT_AT))}{message}{ids}<td>{_breakable(place)}"
        f"<td class=id>{text(row.request_id or '', cut_at=_ID_CUT_AT)}"
    )


def _breakable(markup: str) -> str:
    """Return a code or a place with line breaks allowed between its parts, for narrow columns."""
    return re.sub(r"([.:])(?=\w)", r"\1<wbr>", markup)


def statuses(total: Total, language: Language) -> str:
    """Return the number of rows by status, in words."""
    return language(", ", "，").join(
        f"{number:,} {_(words)}" for status, words in STATUS_WORDS.items() if (number := total.statuses[status])
    )


def segments(total: Total) -> str:
    """Return the parts of a bar."""
    return "".join(
        f'<i class="{status}" style="flex:{number}"></i>'
        for status in STATUS_WORDS
        if (number := total.statuses[status])
    )


def _head(*columns: tuple[str, str]) -> str:
    return "<thead><tr>" + "".join(_heading(*column) for column in columns) + "</thead>"


def _heading(name: str, css_class: str) -> str:
    return f"<th scope=col{f' class={css_class}' if css_class else ''}>{name}"


def _more(rest: Sequence[Total], language: Language) -> str:
    number, rows = len(rest), sum(total.rows for total in rest)
    return language(
        f"And {number:,} more, with {rows:,} rows; stopcast summary --json lists them.",
        f"另有 {number:,} 项，共 {rows:,} 行；用 stopcast summary --json 查看。",
    )


def legend(total: Total) -> Iterator[str]:
    """Yield each status with its colour, number and share."""
    for status, words in STATUS_WORDS.items():
        if number := total.statuses[status]:
            share = percent(number, total.rows)
            yield f'<li class="{status}">{_(words)} {number:,} <span class="of">{share}</span>'
