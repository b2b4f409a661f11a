"""What the commands that make calls share.

A job says what is done with which rows: ``stopping`` makes that of run, ``verification`` that of verify, and
``queue_worker`` that of worker. ``execution`` executes a ``job``, on the loop of ``cli.event_loop``:

1. Before the first call: ``checks`` refuses options and reports that cannot be used; ``targets`` finds the accounts,
   their ``places``, keys and limiters; ``open_files`` makes room for their sockets; ``guards`` asks, with the ``plan``
   of what the lists hold; ``lists.beginning`` refuses lists that cannot be understood.
2. ``facts`` logs what the run is, or the display shows it, and ``metrics`` serves its metrics.
3. During the run ``cli.signals`` and ``keys`` reach ``steering``, which also follows the control file; ``answer_watch``
   looks at what the API answers.
4. ``ending`` logs the totals and says how to go on, with the ``advice`` on what ended the run.

``session`` is what a run and the verification after it share. ``dry_run`` makes the checks that
need no key, and prints the ``plan``.
"""
