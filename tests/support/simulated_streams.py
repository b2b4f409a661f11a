"""What a Redis keeps for a queue: hashes, streams with their consumer groups, and scripts in an interpreter of Lua.

Only the commands that ``stopcast.fleet.queue`` uses, with the answers of Redis 7. Nothing here waits, or has a network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from hashlib import sha1
from typing import Any, Final

from lupa import lua51

from support.simulated_stream import EntryId, Pending, Stream, between, id_of, text_of

OK: Final = "OK"
#: What XREADGROUP answers when it has waited in vain.
NOTHING: Final = object()


class RefusedError(Exception):
    """An error that Redis answers with."""


class SimulatedStreams:
    """Carries out one command after the other.

    Args:
        clock: returns Unix time in seconds.
        on_hold: is called with a consumer and the field ``task`` whenever an entry becomes or stays the consumer's.

    Attributes:
        streams: what it keeps.
        hashes: what it keeps.
    """

    def __init__(self, clock: Callable[[], float], on_hold: Callable[[bytes, bytes], None]) -> None:
        self.streams: dict[bytes, Stream] = {}
        self.hashes: dict[bytes, dict[bytes, bytes]] = {}
        self._clock = clock
        self._on_hold = on_hold
        self._scripts: dict[bytes, Any] = {}
        self._lua = lua51.LuaRuntime(unpack_returned_tuples=True, encoding=None)
        self._redis = self._lua.table_from(
            {b"call": self._call, b"pcall": self._pcall, b"error_reply": self._error_reply}
        )

    def clear(self) -> None:
        """Lose everything."""
        self.streams.clear()
        self.hashes.clear()

    def kept(self) -> Callable[[], None]:
        """Return how to go back to what is kept now."""
        streams, hashes = deepcopy(self.streams), deepcopy(self.hashes)

        def go_back() -> None:
            self.streams, self.hashes = streams, hashes

        return go_back

    def forget_scripts(self) -> None:
        """Forget the scripts, as a server does that starts anew."""
        self._scripts.clear()

    def do(self, words: Sequence[bytes]) -> Any:
        """Carry out a command, and return its answer.

        Raises:
            RefusedError: Redis answers with an error.
        """
        return getattr(self, f"_{words[0].decode().lower()}")(*words[1:])

    # Scripts.

    def _script(self, _: bytes, text: bytes) -> bytes:
        digest = sha1(text).hexdigest().encode()
        self._scripts[digest] = self._lua.execute(b"return function(redis, KEYS, ARGV)\n" + text + b"\nend")
        return digest

    def _evalsha(self, digest: bytes, number: bytes, *words: bytes) -> Any:
        if digest not in self._scripts:
            raise RefusedError("NOSCRIPT No matching script. Please use EVAL.")
        table, keys = self._lua.table_from, int(number)
        return self._from_lua(self._scripts[digest](self._redis, table(words[:keys]), table(words[keys:])))

    def _from_lua(self, value: Any) -> Any:
        if value is None or value is False:
            return None
        if isinstance(value, bytes):
            return value
        if isinstance(value, int | float):
            return int(value)
        if (error := value[b"err"]) is not None:
            raise RefusedError(error.decode())
        return [self._from_lua(value[place]) for place in range(1, len(value) + 1)]

    def _to_lua(self, value: Any) -> Any:
        if value is None:
            return False
        if isinstance(value, list):
            return self._lua.table_from([self._to_lua(each) for each in value])
        return value.encode() if isinstance(value, str) else value

    def _call(self, *words: Any) -> Any:
        return self._to_lua(self.do([word if isinstance(word, bytes) else b"%d" % word for word in words]))

    def _pcall(self, *words: Any) -> Any:
        try:
            return self._call(*words)
        except RefusedError as error:
            return self._error_reply(str(error).encode())

    def _error_reply(self, text: bytes) -> Any:
        return self._lua.table_from({b"err": text})

    # Hashes and the connection.

    def _client(self, *_: bytes) -> str:
        return OK

    def _time(self) -> list[bytes]:
        now = self._clock()
        return [b"%d" % now, b"%d" % (now % 1 * 1e6)]

    def _hget(self, key: bytes, name: bytes) -> bytes | None:
        return self.hashes.get(key, {}).get(name)

    def _hmget(self, key: bytes, *names: bytes) -> list[bytes | None]:
        return [self._hget(key, name) for name in names]

    def _hset(self, key: bytes, *words: bytes) -> int:
        kept = self.hashes.setdefault(key, {})
        before = len(kept)
        kept.update(zip(words[::2], words[1::2], strict=True))
        return len(kept) - before

    def _hsetnx(self, key: bytes, name: bytes, value: bytes) -> int:
        return 0 if self._hexists(key, name) else self._hset(key, name, value)

    def _hexists(self, key: bytes, name: bytes) -> int:
        return int(name in self.hashes.get(key, {}))

    def _hlen(self, key: bytes) -> int:
        return len(self.hashes.get(key, {}))

    def _hdel(self, key: bytes, *names: bytes) -> int:
        return sum(self.hashes.get(key, {}).pop(name, None) is not None for name in names)

    def _expire(self, *_: bytes) -> int:
        return 1

    # Streams.

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _xlen(self, key: bytes) -> int:
        return len(self.streams[key].entries) if key in self.streams else 0

    def _xadd(self, key: bytes, _: bytes, *fields: bytes) -> bytes:
        stream = self.streams.setdefault(key, Stream())
        stream.last = max((self._now(), 0), (stream.last[0], stream.last[1] + 1))
        stream.entries[stream.last] = list(fields)
        return text_of(stream.last)

    def _xrange(self, key: bytes, low: bytes, high: bytes, *count: bytes) -> list[Any]:
        entries = self.streams[key].entries if key in self.streams else {}
        most = int(count[1]) if count else None
        return [[text_of(each), entries[each]] for each in between(entries, low, high)[:most]]

    def _xdel(self, key: bytes, *ids: bytes) -> int:
        entries = self.streams[key].entries if key in self.streams else {}
        return sum(entries.pop(id_of(each), None) is not None for each in ids)

    def _xgroup(self, act: bytes, key: bytes, group: bytes, *words: bytes) -> Any:
        if act == b"CREATE":
            stream = self.streams.setdefault(key, Stream())
            if stream.group is not None:
                raise RefusedError("BUSYGROUP Consumer Group name already exists")
            stream.group = group
            return OK
        stream = self._group(key, group)
        held = [each for each, pending in stream.pending.items() if pending.consumer == words[0]]
        stream.consumers.pop(words[0], None)
        for each in held:
            del stream.pending[each]
        return len(held)

    def _group(self, key: bytes, group: bytes) -> Stream:
        stream = self.streams.get(key)
        if stream is None or stream.group != group:
            raise RefusedError(f"NOGROUP No such key '{key.decode()}' or consumer group '{group.decode()}'")
        return stream

    def _xinfo(self, about: bytes, key: bytes, *group: bytes) -> list[Any]:
        if key not in self.streams:
            raise RefusedError("ERR no such key")
        if about == b"GROUPS":
            name, last = self.streams[key].group, text_of(self.streams[key].delivered)
            return [] if name is None else [[b"name", name, b"last-delivered-id", last]]
        stream, now = self._group(key, group[0]), self._now()
        held = [pending.consumer for pending in stream.pending.values()]
        return [
            [b"name", name, b"pending", held.count(name), b"idle", now - seen]
            for name, seen in stream.consumers.items()
        ]

    def _xreadgroup(self, *words: bytes) -> Any:
        _, group, consumer, *rest = words
        key, count = rest[-2], int(rest[rest.index(b"COUNT") + 1])
        stream, now = self._group(key, group), self._now()
        stream.consumers[consumer] = now
        new = [each for each in stream.entries if each > stream.delivered][:count]
        for each in new:
            stream.pending[each] = Pending(consumer, now)
            stream.delivered = each
            self._hold(stream, each, consumer)
        return [[key, [[text_of(each), stream.entries[each]] for each in new]]] if new else NOTHING

    def _hold(self, stream: Stream, each: EntryId, consumer: bytes) -> None:
        fields = stream.entries[each]
        self._on_hold(consumer, fields[fields.index(b"task") + 1])

    def _xack(self, key: bytes, group: bytes, *ids: bytes) -> int:
        pending = self._group(key, group).pending
        return sum(pending.pop(id_of(each), None) is not None for each in ids)

    def _xpending(self, key: bytes, group: bytes, low: bytes, high: bytes, count: bytes, *consumer: bytes) -> list[Any]:
        stream, now = self._group(key, group), self._now()
        found = [
            [text_of(each), held.consumer, now - held.since_ms, held.deliveries]
            for each in between(stream.pending, low, high)
            if (held := stream.pending[each]).consumer in (consumer or (held.consumer,))
        ]
        return found[: int(count)]

    def _xclaim(self, key: bytes, group: bytes, consumer: bytes, _: bytes, *words: bytes) -> list[Any]:
        """Claim with JUSTID: deliveries are not counted."""
        stream, claimed = self._group(key, group), []
        stream.consumers[consumer] = self._now()
        for each in map(id_of, words[:-1]):
            if each in stream.entries and each in stream.pending:
                held = stream.pending[each]
                held.consumer, held.since_ms = consumer, self._now()
                self._hold(stream, each, consumer)
                claimed.append(text_of(each))
            else:
                stream.pending.pop(each, None)
        return claimed

    def _xautoclaim(
        self, key: bytes, group: bytes, consumer: bytes, idle_ms: bytes, start: bytes, *count: bytes
    ) -> list[Any]:
        stream, now, most = self._group(key, group), self._now(), int(count[1])
        stream.consumers[consumer] = now
        claimed, gone, cursor = list[Any](), list[bytes](), b"0-0"
        for each in between(stream.pending, start, b"+"):
            if len(claimed) == most:
                cursor = text_of(each)
                break
            held = stream.pending[each]
            if each not in stream.entries:
                del stream.pending[each]
                gone.append(text_of(each))
            elif now - held.since_ms >= int(idle_ms):
                stream.pending[each] = Pending(consumer, now, held.deliveries + 1)
                self._hold(stream, each, consumer)
                claimed.append([text_of(each), stream.entries[each]])
        return [cursor, claimed, gone]
