"""The text of ``stopcast --help``."""

HELP = """\
Usage: stopcast COMMAND [OPTIONS] [ARGS]...

  Stop Volcengine RTC cloud-recording (webcast) tasks in bulk, within the
  account's 150 calls a second.

  Try it, with nothing real behind it:   stopcast run tasks.csv --sandbox
  Is all well? (key, network, clock):    stopcast doctor
  Look before you leap:                  stopcast run tasks.csv --dry-run
  Stop the tasks:                        stopcast run tasks.csv -o report.jsonl
  Go on after a crash or Ctrl-C:         the same, and --resume
  Prove that they have ended:            stopcast verify report.jsonl

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  run         Stop the tasks of these lists, and write what became of each.
  verify      Ask the API whether the tasks have ended, and why.
  enqueue     Put the tasks of these lists into a queue on Redis.
  worker      Stop the tasks of a queue, together with its other workers.
  status      Tell how a queue stands.
  doctor      Find out whether a run would work from here, and what to mend.
  summary     Tell what reports add up to, also as a page to pass on.
  sandbox     Serve an emulator of the API on this machine.
  help        Tell about a topic or an error code; alone, list the topics.
  completion  Print what makes bash, zsh or fish complete all this.

stopcast COMMAND --help tells a command's options.
"""
