"""The text of ``stopcast --help``."""

HELP = """\
Usage: stopcast COMMAND [OPTIONS] [ARGS]...

  Stop Volcengine RTC cloud-recording (webcast) tasks in bulk, within the
  account's 150 calls a second.

  Try it without a real account:        stopcast run tasks.csv --sandbox
  Check key, network and clock:         stopcast doctor
  See what a run would do:              stopcast run tasks.csv --dry-run
  Stop the tasks:                       stopcast run tasks.csv -o report.jsonl
  Continue after a crash or Ctrl-C:     the same command with --resume
  Check that the tasks have ended:      stopcast verify report.jsonl

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  run         Stop the tasks of lists, and write a report with a line for each.
  verify      Ask the API whether the tasks have ended, and why.
  enqueue     Put the tasks of lists into a queue on Redis.
  worker      Stop the tasks of a queue, together with its other workers.
  status      Show the state of a queue and of a shared quota.
  configure   Change the settings that all workers of a queue share, or a quota.
  doctor      Check whether a run would work from here, and what to fix.
  summary     Show the totals of reports, also as an HTML page.
  sandbox     Serve an emulator of the API on this machine.
  help        Explain a topic or an error code; alone, list the topics.
  completion  Print the script that completes commands in bash, zsh or fish.

"stopcast COMMAND --help" shows the options of a command.
"""
