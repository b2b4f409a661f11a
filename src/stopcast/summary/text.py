"""The figures of reports as the text that ``stopcast summary`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stopcast.api.meanings import explain
from stopcast.i18n import STATUS_WORDS, Language, counted, duration, visible
from stopcast.summary import ReportFigures, Total
from stopcast.summary.as_json import utc
from stopcast.summary.latency import Durations
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS

_APPS_SHOWN: Final = 20
_ATTEMPTS_SHOWN: Final = 6


def summary_text(figures: ReportFigures, reports: Sequence[str], language: Language, *, report: str) -> str:
    """Return the summary.

    Args:
        figures: of the reports.
        reports: their names.
        language: of the text.
        report: their names as they stand in a command.
    """
    return "\n".join(_SummaryText(figures, language, report).lines(reports))


class _SummaryText:
    def __init__(self, figures: ReportFigures, language: Language, report: str) -> None:
        self._figures = figures
        self._report = report
        self._t = language

    def lines(self, reports: Sequence[str]) -> Iterator[str]:
        t, total = self._t, self._figures.total
        yield self._rows(total)
        if n := self._figures.superseded:
            yield t(
                "1 line was superseded by another about the same task"
                if n == 1
                else f"{n:,} lines were superseded by others about the same tasks",
                f"另有 {n:,} 行已被关于同一任务的其他行取代，不计入",
            )
        for name in self._figures.torn:
            yield t(
                f"the last line of {visible(name)} is incomplete (still being written, or cut off by a crash) and is "
                "not counted",
                f"{visible(name)} 的最后一行不完整（正在写入或因崩溃中断），不计入",
            )
        yield from self._apps()
        yield from self._codes()
        if self._figures.calls:
            yield from self._calls()
        yield ""
        yield t("report: ", "报告：") + ", ".join(map(visible, reports))
        if total.bad > total.statuses[Status.INVALID]:
            yield (
                t("run the rows again that are not good: ", "重新执行未成功的行：")
                + f"stopcast run {self._report} -o again.jsonl"
            )

    def _rows(self, total: Total) -> str:
        rows = self._t(counted(total.rows, "row"), f"{total.rows:,} 行")
        return f"{rows}{self._t(': ', '：')}{self._statuses(total) or self._t('none', '无')}"

    def _statuses(self, total: Total) -> str:
        counts = [
            f"{number:,} {self._t(*words)}"
            for status, words in STATUS_WORDS.items()
            if (number := total.statuses[status])
        ]
        return self._t(", ", "，").join(counts)

    def _apps(self) -> Iterator[str]:
        apps = self._figures.by_app()
        if apps:
            yield ""
            yield self._t("By AppId", "按 AppId")
        for app in apps[:_APPS_SHOWN]:
            name = self._t("others", "其他") if app.key == OTHERS else visible(app.key)
            yield f"  {name}{self._t(': ', '：')}{self._rows(app)}"
        if len(apps) > _APPS_SHOWN:
            n, rows = len(apps) - _APPS_SHOWN, sum(app.rows for app in apps[_APPS_SHOWN:])
            yield self._t(
                f"  and {counted(n, 'more AppId')} with {counted(rows, 'row')}; --json lists them",
                f"  另有 {n:,} 个，共 {rows:,} 行；用 --json 查看",
            )

    def _codes(self) -> Iterator[str]:
        codes = self._figures.by_reason()
        if codes:
            yield ""
            yield self._t("By code", "按错误码")
        for code in codes:
            if code.key == OTHERS:
                yield f"  {self._t('others', '其他')}{self._t(': ', '：')}{self._statuses(code)}"
                continue
            sample = self._figures.samples[code.key]
            meaning, advice = explain(code.key, self._t, http_status=sample.http_status, report=self._report)
            yield f"  {visible(code.key)}{self._t(': ', '：')}{self._statuses(code)}"
            yield f"      {meaning}"
            yield f"      {advice}"
            if sample.message:
                yield f"      {self._t('for example: ', '返回信息示例：')}{visible(sample.message)}"
            if sample.request_id:
                yield f"      {self._t('for example RequestId ', '示例 RequestId：')}{visible(sample.request_id)}"

    def _calls(self) -> Iterator[str]:
        t, figures = self._t, self._figures
        sent, worst = figures.attempts.total(), figures.timeline.worst_second()
        yield ""
        yield t("Calls", "调用")
        yield (
            "  "
            + t(
                f"{counted(figures.calls, 'call')} for {counted(sent, 'task')}: ",
                f"{sent:,} 个任务共 {figures.calls:,} 次调用：",
            )
            + (t(", ", "，").join(self._attempts()))
        )
        began, ended = utc(figures.timeline.began_at), utc(figures.timeline.ended_at)
        if began is None or ended is None:
            return
        took = duration(figures.timeline.ended_at - figures.timeline.began_at, t)
        yield "  " + t(f"{took}, from {began} to {ended}", f"历时 {took}，自 {began} 至 {ended}")
        yield (
            "  "
            + t("a call (of the tasks that took one): ", "单次调用耗时（仅一次调用的任务）：")
            + self._durations(figures.one_call)
        )
        yield (
            "  "
            + t("first call to end (of all tasks sent): ", "首次调用到结束（所有已发送任务）：")
            + self._durations(figures.one_call + figures.more_calls)
        )
        yield "  " + t(
            f"busiest second: {counted(worst.calls, 'first call')}, up to {utc(worst.ended_at)}",
            f"最繁忙的一秒：{worst.calls:,} 次首次调用，截至 {utc(worst.ended_at)}",
        )
        if retries := figures.calls - sent:
            yield "  " + t(
                f"  (not included: {retries:,} retries, because a report does not record their times)"
                if retries != 1
                else "  (not included: 1 retry, because a report does not record its time)",
                f"  （另有 {retries:,} 次重试不在其中：报告没有记录它们的时刻）",
            )

    def _attempts(self) -> Iterator[str]:
        attempts = sorted(self._figures.attempts.items())
        for number, tasks in attempts[:_ATTEMPTS_SHOWN]:
            yield self._t(f"{tasks:,} took {number}", f"{tasks:,} 个用 {number} 次")
        if rest := attempts[_ATTEMPTS_SHOWN:]:
            tasks, least, most = sum(tasks for _, tasks in rest), rest[0][0], rest[-1][0]
            yield self._t(f"{tasks:,} took {least} to {most}", f"{tasks:,} 个用 {least} 至 {most} 次")

    def _durations(self, durations: Durations) -> str:
        values = durations.as_json()
        if not values.pop("tasks"):
            return self._t("none", "无")
        return self._t(", ", "，").join(f"{name} {_seconds(value)}" for name, value in values.items())


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"
