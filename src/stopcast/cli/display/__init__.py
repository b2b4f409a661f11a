"""What a user sees while a command runs, and the sentences that commands print.

``monitor`` takes snapshots of a run, with what ``attempt_stats`` counts. ``progress`` shows them: on a terminal the
``screen`` draws the lines of ``frame``; elsewhere the log has a line of ``messages``. The sentences about lists are in
``list_messages``, those about queues in ``queue_messages``, and the commands to type next in ``next_commands``.
"""
