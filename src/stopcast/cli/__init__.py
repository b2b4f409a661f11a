"""The command line, and its entry point.

``group`` finds the command, which is a module of ``commands``. Its options are declared in ``options``. Around it
``log_output`` writes the log on standard error, and ``errors`` turns an error into lines and an exit status; ``output``
prints on standard output. Both streams are those of ``standard_streams``. A signal ends a command by ``interrupts``, or
by ``signals`` where an ``event_loop`` runs. A command reads its lists by ``lists``, makes its calls by ``running``, and
shows what it does by ``display``. What click itself prints is translated by ``click_texts``.

Nothing is imported before it is needed, click included, so that ``stopcast --help`` answers at once.
"""

import sys

from stopcast.cli.standard_streams import StandardStreams
from stopcast.cli.usage import HELP


def main() -> None:
    """Run the command that the arguments name."""
    with StandardStreams():
        try:
            if sys.argv[1:] in (["--help"], ["-h"]):
                sys.stdout.write(_help())
            else:
                _run()
        except Exception as error:  # noqa: BLE001 - the last net
            from stopcast.cli.unexpected import report_unexpected

            sys.exit(report_unexpected(error))


def _help() -> str:
    import os

    from stopcast.i18n import Language, gettext, speaking

    with speaking(Language.chosen((), os.environ)):
        return gettext(HELP)


def _run() -> None:
    import signal

    from stopcast.cli.interrupts import exiting_on_signals, raise_on_signals

    raise_on_signals()
    try:
        with exiting_on_signals():
            from stopcast.cli.group import group

            group(prog_name="stopcast")
    finally:
        # The work is done: one more signal must not change the status, nor print a traceback. Blocked first, because
        # Python reports it as an error if one arrives in the moment of the change to SIG_IGN.
        late = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
        signal.pthread_sigmask(signal.SIG_BLOCK, late)
        for number in late:
            signal.signal(number, signal.SIG_IGN)
