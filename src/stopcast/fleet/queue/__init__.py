"""A queue of tasks on Redis Streams: many put tasks in, many workers share them, and none is lost with one of them.

A task is an entry of the stream until its outcome is durable: ``queue`` puts entries in and tells how many there are,
``consumer`` takes them out. Whatever has to happen in one step is a script beside this file; the rest are commands that
Redis 6.2 and Valkey know. What can go wrong with Redis is a ``redis.RedisError`` inside, and a QueueError for others.
"""

from stopcast.fleet.queue.consumer import RedisConsumer
from stopcast.fleet.queue.queue import Put, QueueStatus, RedisQueue, WorkerStatus

__all__ = ["Put", "QueueStatus", "RedisConsumer", "RedisQueue", "WorkerStatus"]
