"""What says when the next call may go. All fill ``stopcast.ports.Limiter``."""

from stopcast.limiters.token_bucket import TokenBucket, Unlimited

__all__ = ["TokenBucket", "Unlimited"]
