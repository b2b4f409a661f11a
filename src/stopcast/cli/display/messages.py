"""The sentences about a run: its plan, its progress and its totals. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from stopcast.api.meanings import message_shown
from stopcast.cli.display.list_messages import invalid_rows, left_out
from stopcast.i18n import _, duration, ngettext, status_counts, translate
from stopcast.report.opening import is_file, is_stream
from stopcast.report.totals import AccountFigures, Summary
from stopcast.tasks.intake import Intake
from stopcast.tasks.outcome import Outcome

if TYPE_CHECKING:
    from stopcast.cli.display.monitor import RunSnapshot
    from stopcast.cli.lists.remaining import RowsLeft

_APPS_SHOWN = 10
#: A moment within this time is shown to the second.
_SOON_SECONDS = 600
#: Digits of an estimate that mean something.
_ESTIMATED_DIGITS = 3


def list_names(names: Sequence[str]) -> str:
    """Return the first list's name and the number of the others."""
    first = _("standard input") if names[0] == "-" else names[0]
    if len(names) == 1:
        return first
    return ngettext("{name} and 1 more list", "{name} and {number:,} more lists", len(names) - 1, name=first)


def canary_passed(tasks: int) -> str:
    """Return that the first tasks have ended well."""
    return ngettext(
        "Canary passed: the first task ended well, and the others follow.",
        "Canary passed: the first {number:,} tasks ended well, and the others follow.",
        tasks,
    )


def cut_off(calls: int, *, asked: bool) -> str:
    """Return that calls were cut off by a second signal; ``asked`` says that they only asked about tasks."""
    if asked:
        return ngettext(
            "1 call in flight was cut off: --resume asks about its task again.",
            "{number:,} calls in flight were cut off: --resume asks about their tasks again.",
            calls,
        )
    return ngettext(
        "1 call in flight was cut off: it is not known whether its task was stopped.",
        "{number:,} calls in flight were cut off: it is not known whether their tasks were stopped.",
        calls,
    )


def rate_limit(calls_per_second: float, most: float, *, each_account: bool = False) -> str:
    """Return a rate that a person has set during a run."""
    if each_account:
        return _("at most {rate:g} calls a second for each account", rate=calls_per_second)
    return _("at most {rate:g} of {most:g} calls a second", rate=calls_per_second, most=most)


def plan(intake: Intake, invalid: Sequence[Outcome], *, pace: str, shares: Sequence[tuple[str, int]] = ()) -> str:
    """Return what a run would do.

    Args:
        intake: the rows, read and checked.
        invalid: the first outcomes of rows that name no task.
        pace: how long the run would take.
        shares: what each account would get, as pairs of a text and a number of tasks.
    """
    lines = [
        ngettext("1 task to stop: {pace}", "{number:,} tasks to stop: {pace}", intake.tasks, pace=pace)
        if intake.tasks
        else _("Nothing to stop.")
    ]
    lines += ["  " + _("{name}: {number:,}", name=name, number=number) for name, number in shares]
    lines += [
        "  " + _("AppId {app_id}: {number:,}", app_id=app_id, number=number)
        for app_id, number in intake.per_app.most_common(_APPS_SHOWN)
    ]
    if (rest := len(intake.per_app) - _APPS_SHOWN) > 0:
        lines.append("  " + ngettext("and 1 more AppId", "and {number:,} more AppIds", rest))
    if number := intake.duplicates:
        lines.append(ngettext("1 row given twice, sent once", "{number:,} rows given twice, sent once", number))
    if number := intake.excluded:
        lines.append(ngettext("1 row excluded by --except", "{number:,} rows excluded by --except", number))
    if number := intake.settled:
        lines.append(
            ngettext("1 row settled by the report already", "{number:,} rows settled by the report already", number)
        )
    lines += left_out(intake.left_out, intake.not_chosen)
    if number := intake.invalid:
        lines.append(ngettext("1 row without a valid task", "{number:,} rows without a valid task", number))
    lines += invalid_rows(invalid, intake.invalid)
    return "\n".join(lines)


def until(seconds: float) -> str:
    """Return when no call is to be in flight any more, as a moment and as the time that is left."""
    return _("Until {moment}, in {duration}.", moment=moment(seconds, dated=True), duration=duration(seconds))


def moment(seconds: float, *, dated: bool = False) -> str:
    """Return the local time of day some seconds from now, with its day if that is not today or if ``dated``."""
    at = local_time(seconds)
    clock = "%H:%M:%S" if seconds < _SOON_SECONDS else "%H:%M"
    return at.strftime(f"%Y-%m-%d {clock}" if dated or at.date() != local_time(0).date() else clock)


def local_time(seconds: float) -> datetime:
    """Return the local time some seconds from now, to the nearest second: 06:00 is never shown as 05:59."""
    return (datetime.now().astimezone() + timedelta(seconds=seconds + 0.5)).replace(microsecond=0)


def progress(snapshot: RunSnapshot) -> str:
    """Return the state of a run in one line."""
    parts = [
        _("{done:,} of {total} done", done=snapshot.done, total=total(snapshot)),
        _("{number:,} bad", number=snapshot.bad),
    ]
    if not snapshot.paused:
        parts.append(_("{rate:.1f} a second", rate=snapshot.rate))
        if snapshot.quota_away:
            parts.append(_("the shared quota cannot be used"))
        if snapshot.slowed_to is not None:
            parts.append(_("slowed to {rate:.0f} by throttling", rate=snapshot.slowed_to))
    parts += [
        _("{number:,} in flight", number=snapshot.in_flight),
        _("{number:,} waiting", number=snapshot.waiting),
    ]
    if snapshot.seconds_left is not None:
        parts.append(_("{duration} left", duration=duration(snapshot.seconds_left)))
    if (most := snapshot.commonest_error) is not None:
        fields = {**most._asdict(), "code": translate(most.code), "message": message_shown(most.code, most.message)}
        parts.append(_("most often {code} ({number:,} times): {message}", **fields))
    if snapshot.paused and snapshot.to_continue:
        parts.append(_("to continue: {ways}", ways=_(", or ").join(snapshot.to_continue)))
    return _(", ").join(filter(None, [snapshot.state, *parts]))


def total(snapshot: RunSnapshot) -> str:
    """Return the number of all rows: ``410``, ``about 28,400``, or ``?`` where it is unknown."""
    to_do = snapshot.to_do
    return "?" if to_do is None else _number_of(snapshot.done + to_do.number, exact=to_do.exact)


def _number_of(number: int, *, exact: bool) -> str:
    """Return an exact number, or an estimate without digits that mean nothing."""
    if exact:
        return f"{number:,}"
    return _("about {number:,}", number=round(number, min(0, _ESTIMATED_DIGITS - len(str(number)))))


def totals(
    summary: Summary, report: str, *, done: int = 0, to_do: RowsLeft | None = None, sandbox: bool = False
) -> str:
    """Return the end of a run in a few lines.

    Args:
        summary: of the run.
        report: its path.
        done: rows that have their outcome, or need none.
        to_do: rows without an outcome, None where the number is unknown.
        sandbox: whether the calls went to the sandbox.
    """
    counts = status_counts(summary.statuses) or _("none")
    lines = [ngettext("1 row: {counts}", "{number:,} rows: {counts}", summary.good + summary.bad, counts=counts)]
    if not (summary.statuses.total() or summary.calls or summary.not_finished):
        lines = [_("Nothing to ask about.") if summary.asked else _("Nothing to stop.")]
    lines += _calls(summary)
    if number := summary.settled_earlier:
        lines.append(
            ngettext(
                "1 row had been settled by an earlier run", "{number:,} rows had been settled by an earlier run", number
            )
        )
    lines += left_out(summary.left_out, summary.not_chosen)
    if number := summary.too_old:
        lines.append(
            ngettext(
                "1 row not asked about: finished more than 72 hours ago by the clock of this machine, {now}. The API "
                "no longer knows its task, which ends by itself within 24 hours",
                "{number:,} rows not asked about: finished more than 72 hours ago by the clock of this machine, {now}. "
                "The API no longer knows their tasks; each task ends by itself within 24 hours",
                number,
                now=moment(0, dated=True),
            )
        )
    if left := _left(done, to_do, unfinished=summary.not_finished):
        lines.append(left if is_stream(report) else _with_sent_again(left, summary))
    if is_file(report):
        lines.append(_("report: {path}", path=report))
    if sandbox:
        lines.append(_("a rehearsal with --sandbox: nothing real was stopped"))
    return "\n".join(lines)


def _calls(summary: Summary) -> Iterator[str]:
    if summary.calls:
        calls = _number_of_calls(summary.calls)
        took, worst = duration(summary.seconds), summary.worst_second
        if not _says_something(summary, summary.seconds):
            text = _(
                "{calls} in {duration}, never more than {worst} in any second", calls=calls, duration=took, worst=worst
            )
        else:
            text = _(
                "{calls} in {duration}, {rate:.1f} a second, never more than {worst} in any second",
                calls=calls,
                duration=took,
                rate=summary.mean_per_second,
                worst=worst,
            )
        yield _("{calls} of one account", calls=text) if summary.accounts else text
    if summary.unsent:
        yield ngettext(
            "1 attempt had no connection; nothing was sent in it",
            "{number:,} attempts had no connection; nothing was sent in them",
            summary.unsent,
        )
    for name, account in summary.accounts.items():
        calls = _calls_of_account(account, rated=_says_something(account, summary.seconds))
        if account.given_up:
            calls = _("{calls}; given up", calls=calls)
        yield "  " + _("account {name}: {calls}", name=name, calls=calls)


def _says_something(calls: Summary | AccountFigures, seconds: float) -> bool:
    """Return whether the mean rate says something.

    It does not over less than a second, nor if all calls were made within one, nor if it would be shown as 0.0.
    """
    return seconds >= 1 and calls.calls > calls.worst_second and round(calls.mean_per_second, 1) > 0


def _calls_of_account(account: AccountFigures, *, rated: bool) -> str:
    if not account.calls:
        return _("no calls")
    calls, worst = _number_of_calls(account.calls), account.worst_second
    if not rated:
        return _("{calls}, never more than {worst} in any second", calls=calls, worst=worst)
    return _(
        "{calls}, {rate:.1f} a second, never more than {worst} in any second",
        calls=calls,
        rate=account.mean_per_second,
        worst=worst,
    )


def _number_of_calls(number: int) -> str:
    return ngettext("1 call", "{number:,} calls", number)


def _left(done: int, to_do: RowsLeft | None, *, unfinished: int) -> str:
    """Return what a run that ended early leaves undone, "" for nothing."""
    if to_do is None:
        if not unfinished:
            return ""
        return ngettext(
            "1 row read but not finished; more may not have been read",
            "{number:,} rows read but not finished; more may not have been read",
            unfinished,
        )
    if not to_do.number:
        return ""
    # Rounded as a person expects it, but something left is never 0 % and something done never leaves 100 %.
    percent = min(max(round(100 * to_do.number / (done + to_do.number)), 1), 99 if done else 100)
    number = _number_of(to_do.number, exact=to_do.exact)
    return ngettext(
        "{percent} % of the list is left ({rows} row)",
        "{percent} % of the list is left ({rows} rows)",
        to_do.number,
        percent=percent,
        rows=number,
    )


def _with_sent_again(left: str, summary: Summary) -> str:
    """Return what is left, and how many rows of the report ``--resume`` sends, or asks about, again besides."""
    number = sum(number for status, number in summary.statuses.items() if not status.settled)
    if not number:
        return left
    if summary.asked:
        return ngettext(
            "{left}; --resume asks about 1 of the others again",
            "{left}; --resume asks about {number:,} of the others again",
            number,
            left=left,
        )
    return ngettext(
        "{left}; --resume sends 1 of the others again", "{left}; --resume sends {number:,} of the others again",
        number, left=left,
    )  # fmt: skip
