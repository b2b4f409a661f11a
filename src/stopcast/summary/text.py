"""What ``stopcast summary`` says: the figures of reports in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from stopcast.api.meanings import explain
from stopcast.i18n import STATUS_WORDS, Language, duration, visible
from stopcast.summary import Figures, Total
from stopcast.summary.as_json import moment
from stopcast.summary.latency import Times
from stopcast.tasks.outcome import Status
from stopcast.tasks.task import OTHERS

_APPS_SHOWN: Final = 20
_ATTEMPTS_SHOWN: Final = 6


def summary_text(figures: Figures, reports: Sequence[str], language: Language, *, report: str) -> str:
    """Return the summary.

    Args:
        figures: of the reports.
        reports: their names.
        language: to tell it in.
        report: how a command names them.
    """
    return "\n".join(_Teller(figures, language, report).lines(reports))


class _Teller:
    def __init__(self, figures: Figures, language: Language, report: str) -> None:
        self._figures = figures
        self._report = report
        self._t = language

    def lines(self, reports: Sequence[str]) -> Iterator[str]:
        t, total = self._t, self._figures.total
        yield self._rows(total)
        if self._figures.replaced:
            n = self._figures.replaced
            yield t(
                f"{n:,} further lines speak of tasks told better by another, and are left out",
                f"另有 {n:,} 行所述任务已由其他行给出更确定的结果，不计入",
            )
        for name in self._figures.torn:
            yield t(
                f"the last line of {visible(name)} is not whole (still written, or cut off by a crash): left out",
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
                t("run again what did not go well: ", "重新执行未成功的行：")
                + f"stopcast run {self._report} -o again.jsonl"
            )

    def _rows(self, total: Total) -> str:
        rows = self._t("row" if total.rows == 1 else "rows", "行")
        return f"{total.rows:,} {rows}{self._t(': ', '：')}{self._statuses(total) or self._t('none', '无')}"

    def _statuses(self, total: Total) -> str:
        told = [
            f"{number:,} {self._t(*words)}"
            for status, words in STATUS_WORDS.items()
            if (number := total.statuses[status])
        ]
        return self._t(", ", "，").join(told)

    def _apps(self) -> Iterator[str]:
        apps = self._figures.by_app()
        if apps:
            yield ""
            yield self._t("By AppId", "按 AppId")
        for one in apps[:_APPS_SHOWN]:
            name = self._t("others", "其他") if one.key == OTHERS else visible(one.key)
            yield f"  {name}{self._t(': ', '：')}{self._rows(one)}"
        if len(apps) > _APPS_SHOWN:
            n, rows = len(apps) - _APPS_SHOWN, sum(one.rows for one in apps[_APPS_SHOWN:])
            yield self._t(f"  and {n:,} more with {rows:,} rows: --json", f"  另有 {n:,} 个，共 {rows:,} 行：--json")

    def _codes(self) -> Iterator[str]:
        codes = self._figures.by_reason()
        if codes:
            yield ""
            yield self._t("By code", "按错误码")
        for one in codes:
            if one.key == OTHERS:
                yield f"  {self._t('others', '其他')}{self._t(': ', '：')}{self._statuses(one)}"
                continue
            sample = self._figures.samples[one.key]
            meaning, advice = explain(one.key, self._t, http_status=sample.http_status, report=self._report)
            yield f"  {visible(one.key)}{self._t(': ', '：')}{self._statuses(one)}"
            yield f"      {meaning}"
            yield f"      {advice}"
            if sample.message:
                yield f"      {self._t('it says: ', '返回信息：')}{visible(sample.message)}"
            if sample.request_id:
                yield f"      {self._t('such as RequestId ', '示例 RequestId：')}{visible(sample.request_id)}"

    def _calls(self) -> Iterator[str]:
        t, figures = self._t, self._figures
        sent, worst = figures.attempts.total(), figures.timeline.worst_second()
        yield ""
        yield t("Calls", "调用")
        yield (
            "  "
            + t(f"{figures.calls:,} calls for {sent:,} tasks: ", f"{sent:,} 个任务共 {figures.calls:,} 次调用：")
            + (t(", ", "，").join(self._attempts()))
        )
        began, ended = moment(figures.timeline.began_at), moment(figures.timeline.ended_at)
        if began is None or ended is None:
            return
        took = duration(figures.timeline.ended_at - figures.timeline.began_at, t)
        yield "  " + t(f"{took}, from {began} to {ended}", f"历时 {took}，自 {began} 至 {ended}")
        yield (
            "  "
            + t("a call, of the tasks that took one: ", "单次调用耗时（仅一次调用的任务）：")
            + self._times(figures.one_call)
        )
        both = figures.one_call + figures.more_calls
        yield (
            "  "
            + t("first call to end, of every task sent: ", "首次调用到结束（所有已发送任务）：")
            + self._times(both)
        )
        further = figures.calls - sent
        yield "  " + t(
            f"worst second: {worst.calls:,} first calls, up to {moment(worst.ended_at)}",
            f"最繁忙的一秒：{worst.calls:,} 次首次调用，截至 {moment(worst.ended_at)}",
        )
        if further:
            yield "  " + t(
                f"  (the {further:,} further calls are not in it: a report does not tell when they were made)",
                f"  （其余 {further:,} 次重试不在其中：报告没有记录它们的时刻）",
            )

    def _attempts(self) -> Iterator[str]:
        attempts = sorted(self._figures.attempts.items())
        for number, tasks in attempts[:_ATTEMPTS_SHOWN]:
            yield self._t(f"{tasks:,} took {number}", f"{tasks:,} 个用 {number} 次")
        if rest := attempts[_ATTEMPTS_SHOWN:]:
            tasks, least, most = sum(tasks for _, tasks in rest), rest[0][0], rest[-1][0]
            yield self._t(f"{tasks:,} took {least} to {most}", f"{tasks:,} 个用 {least} 至 {most} 次")

    def _times(self, times: Times) -> str:
        told = times.as_json()
        if not told.pop("tasks"):
            return self._t("none", "无")
        return self._t(", ", "，").join(f"{name} {_seconds(value)}" for name, value in told.items())


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"
