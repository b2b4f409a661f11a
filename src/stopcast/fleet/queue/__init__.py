"""A queue of tasks on Redis Streams: many programs put tasks in, many workers share them, and no task is lost.

A task is an entry of the stream until its outcome is durable: ``queue`` puts entries in and counts them, ``consumer``
takes them out. What has to happen in one step is a script beside this file; the rest are commands that Redis 6.2 and
Valkey know. An error of Redis is a ``redis.RedisError`` inside, and a QueueError for callers.
"""

from stopcast.fleet.queue.consumer import RedisConsumer
from stopcast.fleet.queue.queue import Put, QueueStatus, RedisQueue, WorkerStatus

__all__ = ["Put", "QueueStatus", "RedisConsumer", "RedisQueue", "WorkerStatus"]
