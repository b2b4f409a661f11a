"""The page as a whole: its sections, and the limit on its size."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from stopcast.i18n import Language, counted
from stopcast.summary import ReportFigures
from stopcast.summary.page import charts, tables
from stopcast.summary.page.markup import moment, percent, rate, seconds, text, took
from stopcast.tasks.outcome import ASKED, Status

#: The beginning of every page. Only a file that begins like this is overwritten.
PAGE_BEGINS: Final = "<!doctype html>\n<!-- stopcast summary -->\n"
#: The largest size of a page, whatever the size of the report.
PAGE_BYTES: Final = 300_000
_NAMES_SHOWN: Final = 5
_SPARE_BYTES: Final = 2000


@dataclass(frozen=True, slots=True)
class Subject:
    """What a page shows beside the figures.

    Attributes:
        reports: the names of the reports.
        cap: calls a second, drawn as a line in the chart of calls.
        language: of the page.
        version: of the program.
    """

    reports: tuple[str, ...]
    cap: float
    language: Language
    version: str

    @property
    def named(self) -> str:
        """The reports as arguments of a command."""
        few = len(self.reports) <= _NAMES_SHOWN
        return shlex.join(self.reports) if few else f"{shlex.join(self.reports[:_NAMES_SHOWN])} ..."


def page(figures: ReportFigures, subject: Subject) -> str:
    """Return the page. It loads nothing, and its content security policy allows no script but its own."""
    draft = _Page(figures, subject)
    without_rows = draft.whole("")
    rows = draft.rows(PAGE_BYTES - len(without_rows.encode()) - _SPARE_BYTES)
    return draft.whole(rows)


class _Page:
    def __init__(self, figures: ReportFigures, subject: Subject) -> None:
        self._figures = figures
        self._subject = subject
        self._t = subject.language
        self._total = figures.total

    def whole(self, rows: str) -> str:
        t = self._t
        style, script = (
            files("stopcast.summary.page").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
        )
        # On a phone each cell shows the name of its column.
        for number, name in enumerate(tables.columns(t), 1):
            style += f"#tasks td:nth-child({number}) {{ --of: '{name}'; }}\n"
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
        headline, body = self._headline(), self._body()
        return (
            f'{PAGE_BEGINS}<html lang="{t("en", "zh-CN")}"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            f'<meta name="viewport" content="width=device-width,initial-scale=1">'
            f'<meta name="referrer" content="no-referrer"><title>{headline} · stopcast</title>'
            f"<style>{style}</style></head><body><main>{body}{rows}</main>{self._footer()}"
            f"<script>{script}</script></body></html>\n"
        )

    def _headline(self) -> str:
        t, statuses = self._t, self._total.statuses
        tasks = self._total.rows - statuses[Status.DUPLICATE]
        good = tasks - self._total.bad
        if statuses.keys() & ASKED:
            return t(f"{good:,} of {counted(tasks, 'task')} ended", f"{tasks:,} 个任务中 {good:,} 个已结束")
        return t(f"{good:,} of {counted(tasks, 'task')} stopped", f"{tasks:,} 个任务中 {good:,} 个已停止")

    def _body(self) -> str:
        t, figures = self._t, self._figures
        sections = [f"<header><h1>{self._headline()}</h1>{self._about()}</header>", self._whole_bar(), self._facts()]
        if figures.timeline.bins:
            sections += [
                self._section(t("Calls over time", "调用随时间变化"), self._calls()),
                self._section(t("Outcomes over time", "任务结果随时间变化"), charts.ends_chart(figures.timeline, t)),
            ]
        if figures.attempts:
            sections.append(f'<div class="two">{self._latency()}{self._attempts()}</div>')
        if figures.by_reason():
            sections.append(
                self._section(
                    t("Codes, and what to do", "错误码与处理建议"), tables.codes(figures, t, self._subject.named)
                )
            )
        if figures.by_app():
            sections.append(self._section(t("AppIds", "AppId"), tables.apps(figures, t)))
        return "".join(sections)

    def _section(self, name: str, content: str) -> str:
        return f"<section><h2>{name}</h2>{content}</section>"

    def _about(self) -> str:
        t, reports = self._t, self._subject.reports
        names = t(", ", "，").join(text(name) for name in reports[:_NAMES_SHOWN])
        if len(reports) > _NAMES_SHOWN:
            names += t(f" and {len(reports) - _NAMES_SHOWN} more", f" 等 {len(reports)} 份")
        lines = [t(f"From {names}", f"来自 {names}")]
        began, ended = self._figures.timeline.began_at, self._figures.timeline.ended_at
        if began:
            lines[0] += t(f", {moment(began)} to {moment(ended)} UTC", f"，{moment(began)} 至 {moment(ended)}（UTC）")
        if n := self._figures.superseded:
            lines.append(
                t(
                    "1 line was superseded by another about the same task"
                    if n == 1
                    else f"{n:,} lines were superseded by others about the same tasks",
                    f"已被关于同一任务的其他行取代的 {n:,} 行不计入",
                )
            )
        if self._figures.torn:
            lines.append(t("The last line is incomplete and is not counted", "最后一行不完整，不计入"))
        return "".join(f'<p class="soft">{line}{t(".", "。")}</p>' for line in lines)

    def _whole_bar(self) -> str:
        label = tables.statuses(self._total, self._t)
        legend = "".join(tables.legend(self._total))
        return (
            f'<div class="whole" role="img" aria-label="{label}">{tables.segments(self._total)}</div>'
            f'<ul class="legend">{legend}</ul>'
        )

    def _facts(self) -> str:
        t, figures = self._t, self._figures
        sent = figures.attempts.total()
        if not sent:
            return ""
        facts = [self._fact(t("calls", "调用"), f"{figures.calls:,}", self._retries(figures.calls - sent))]
        began, ended = figures.timeline.began_at, figures.timeline.ended_at
        if began:
            facts.append(self._fact(t("time", "历时"), took(ended - began), self._mean(ended - began)))
            worst = figures.timeline.worst_second()
            when = moment(worst.ended_at, dated=False)
            facts.append(
                self._fact(
                    t("busiest second", "最繁忙的一秒"),
                    t(counted(worst.calls, "call"), f"{worst.calls:,} 次"),
                    t(f"first calls, up to {when} UTC", f"首次调用，截至 {when}（UTC）"),
                )
            )
        if figures.one_call.by_length:
            p50, p95, p99 = figures.one_call.percentiles((50, 95, 99))
            facts.append(
                self._fact(
                    t("duration of a call", "单次调用耗时"),
                    t(f"median {seconds(p50)}", f"中位数 {seconds(p50)}"),
                    t(
                        f"95% within {seconds(p95)}, 99% within {seconds(p99)}",
                        f"95% 在 {seconds(p95)} 以内，99% 在 {seconds(p99)} 以内",
                    ),
                )
            )
        return f"<dl>{''.join(facts)}</dl>"

    def _fact(self, name: str, value: str, more: str) -> str:
        return f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>"

    def _retries(self, retries: int) -> str:
        if not retries:
            return self._t("one for each task", "每个任务一次")
        share = percent(retries, self._figures.calls)
        return self._t(f"including {retries:,} retries ({share})", f"其中重试 {retries:,} 次（{share}）")

    def _mean(self, passed: float) -> str:
        mean = rate(self._figures.calls / max(passed, 1.0), self._t)
        return self._t(f"{mean} on average, pauses included", f"平均{mean} 次（含间歇）")

    def _calls(self) -> str:
        t, figures = self._t, self._figures
        chart = charts.calls_chart(figures.timeline, self._subject.cap, t)
        if figures.calls == figures.attempts.total():
            return chart
        return chart + (
            '<p class="soft">'
            + t(
                "A report records the times of a task's first call and of its end. Retries are drawn where they "
                "usually are between the two, and are not part of the busiest second.",
                "报告只记录任务首次调用与结束的时刻。重试按通常的间隔绘制，且不计入最繁忙的一秒。",
            )
            + "</p>"
        )

    def _latency(self) -> str:
        t, durations = self._t, self._figures.one_call
        if not durations.by_length:
            return ""
        note = t("Only tasks that took one call are included.", "仅统计一次调用即结束的任务。")
        content = f'{charts.latency_chart(durations, t)}<p class="soft">{note}</p>'
        return self._section(t("Duration of a call", "单次调用耗时"), content)

    def _attempts(self) -> str:
        return self._section(
            self._t("Calls for each task", "每个任务的调用次数"), tables.attempts(self._figures, self._t)
        )

    def rows(self, most_bytes: int) -> str:
        t, bad = self._t, self._total.bad
        if not bad:
            return ""
        table, shown = tables.rows(self._figures, t, most_bytes=most_bytes)
        statuses = "|".join(s.value for s in Status if not s.good and self._total.statuses[s])
        names = self._subject.named
        listing = f"""grep -hE '"status":"({statuses})"' {names}"""
        head = t(f"{shown:,} of {bad:,} are listed here. ", f"此处列出 {bad:,} 行中的 {shown:,} 行。")
        head += (
            t("This lists all of them, superseded lines included:", "列出全部（含已被取代的行）：")
            if self._figures.superseded
            else t("This lists all of them:", "列出全部：")
        )
        if shown == bad:
            head = t(f"All {bad:,} are listed here.", f"此处列出全部 {bad:,} 行。")
        commands = "" if shown == bad else f'<code class="command">{text(listing, cut_at=2000)}</code>'
        again = text(f"stopcast run {names} -o again.jsonl", cut_at=2000)
        return self._section(
            t("Needs attention", "需要处理的任务"),
            f"<p>{head}</p>{commands}<p>{t('To run them again:', '重新执行：')}</p><code class=command>{again}</code>"
            f'<div class="search" hidden><label for="find">{t("Search", "搜索")}</label>'
            f'<input id="find" type="search" autocomplete="off" spellcheck="false" aria-controls="tasks">'
            f'<span id="found" class="soft" role="status"></span></div>'
            f'<p class="print soft">{t("Only the first 40 are printed.", "打印时仅含前 40 行。")}</p>{table}',
        )

    def _footer(self) -> str:
        t = self._t
        return (
            '<footer class="soft"><p>'
            + t(
                f"Written by stopcast {text(self._subject.version)} from the lines of the report. Times are accurate "
                "to about 2 ms, percentiles above one second to 0.5%.",
                f"由 stopcast {text(self._subject.version)} 根据报告内容生成。时刻精确到约 2 毫秒，"
                "超过一秒的百分位数误差不超过 0.5%。",
            )
            + "</p></footer>"
        )
