"""When another attempt follows a failed one: tenacity's stop and wait, asked only after a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, stop_any, stop_before_delay, stop_never
from tenacity.wait import wait_random_exponential

from stopcast.checks import check_number, check_whole_number

#: RetryCallState requires one, although neither stop nor wait looks at it.
_UNUSED: Final = AsyncRetrying()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with full jitter.

    The defaults ride out an outage of 60 s: the chance that 20 attempts all fall into it is below one in a million.

    Attributes:
        max_attempts: calls for one task, the first one included.
        first_wait_seconds: the upper end of the first wait. Each further one doubles it.
        longest_wait_seconds: the upper end does not grow beyond this.
        longest_retry_after_seconds: the server's Retry-After is honoured up to this.
        give_up_after_seconds: no attempt begins later than this after the first one; None for no such bound. Time in
            which calls are paused, or the shared quota is away, does not count.

    Raises:
        ConfigurationError: less than one attempt, or seconds below 0.
    """

    max_attempts: int = 20
    first_wait_seconds: float = 0.5
    longest_wait_seconds: float = 30.0
    longest_retry_after_seconds: float = 60.0
    give_up_after_seconds: float | None = None

    def __post_init__(self) -> None:
        check_whole_number("max_attempts", self.max_attempts, least=1)
        check_number("first_wait_seconds", self.first_wait_seconds, least=0)
        check_number("longest_wait_seconds", self.longest_wait_seconds, least=0)
        check_number("longest_retry_after_seconds", self.longest_retry_after_seconds, least=0)
        if self.give_up_after_seconds is not None:
            check_number("give_up_after_seconds", self.give_up_after_seconds, least=0)

    def is_over(self, seconds: float) -> bool:
        """Return whether no attempt may begin this long after the first one."""
        return self.give_up_after_seconds is not None and seconds > self.give_up_after_seconds

    def next_wait(self, *, attempts: int, seconds: float, retry_after: float | None) -> float | None:
        """Return the seconds to wait after ``attempts`` failed ones in ``seconds``, None to give up."""
        state = RetryCallState(_UNUSED, None, (), {})
        state.attempt_number = attempts
        state.outcome_timestamp = state.start_time + seconds
        wait = wait_random_exponential(multiplier=self.first_wait_seconds, max=self.longest_wait_seconds)(state)
        wait = max(wait, min(retry_after or 0.0, self.longest_retry_after_seconds))
        state.upcoming_sleep = wait
        limit = self.give_up_after_seconds
        out_of_time = stop_never if limit is None else stop_before_delay(limit)
        return None if stop_any(stop_after_attempt(self.max_attempts), out_of_time)(state) else wait
