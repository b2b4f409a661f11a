"""A simulator that looks for broken promises, after the model of TigerBeetle's VOPR.

One seed draws a ``World``: rows, settings, a story of restarts and signals, and which kinds of faults happen how often
("swarm": each world has only some kinds). The real command runs in it on virtual time: lists, intake, engine, report,
in-flight log, limiter, accounts, control file, signals. In other worlds it is two runs of it that share a quota, each
with a report of its own, a program that uses the library, several of those with a shared quota, or workers of one
queue. Only what lies below is simulated:

- ``loop``: the event loop and its clock. Processes are groups of tasks on it, which are stopped, continued and killed.
- ``network``: connections below aiohttp, whose real parser and connector run.
- ``api``: the vendor's API with its truth: which tasks run, and which call stopped each.
- ``disk``: real files, and a layer of faults over the functions of ``os``.
- ``fleet``: the Redis of a shared quota, which runs the quota's own script in an interpreter of Lua.
- ``redis_server``: the Redis of a queue, below redis-py, which runs the queue's own scripts.
- ``process``: one simulated process, which runs ``command``, ``library`` or ``worker``.
- ``machine``: what else a process takes from its machine: clocks, threads, signals, variables.
- ``author``: what happens to a world: first a phase with faults, then one without, in which all must come to its end.
- ``story``: everything that judges look at, and how it is lived through.
- ``troubles``: what happens to a process from outside: signals, kills, standstills, operators.
- ``judges``, and for each program ``command_judges``, ``library_judges`` and ``worker_judges``: violations, by the
  API's record, the files, what a program was given, and what Redis holds.
- ``runner``: seeds in forked processes, and shrinking. ``mutants``: proof that the simulator finds things.

Flows in: a seed. Flows out: violations, and a log of what happened. ``python -m simulation SEED`` replays a seed and
prints both. ``python -m simulation --seeds 20000`` looks for seeds that fail, on all cores, and shrinks each: kinds of
faults are switched off, and rows and restarts left out, while it still fails.

What can go wrong in the simulator itself:
- A run that depends on more than its seed. Time, random numbers, threads, hashes of tasks and garbage collection are
  therefore the simulator's; a test runs seeds twice, with other hashes of strings, and compares the logs.
- A killed process that still does something. Its callbacks are dropped and its tasks kept for ever, so that no clean-up
  runs; each function of ``os`` refuses it. Each seed runs in a forked process that ends with ``os._exit``.
- Draws that hang together: each draw is a hash of seed, kind and subject, so that a kind that is switched off leaves
  the others as they were.

Not simulated: a queue's Redis whose clock is set forward by more than the workers' margin; TLS, real threads, and real
signals' timing. Other tests have TLS, threads and signals.

To add a kind of fault: a line in ``world.KINDS``, and ``world.happens("my_kind", subject)`` where it is to happen, with
a subject that names the occasion, such as the task and the number of its call. To add a judge: a generator of sentences
in ``judges``, or in those of a program, and its name in ``JUDGES`` there. To add a mutant: see ``mutants``.
"""
