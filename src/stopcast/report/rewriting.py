"""Writing a report anew, and putting the new file in its place. What its lines say is not known here."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from stopcast.report.blocking import is_at, sync
from stopcast.report.line import LINE_BYTES, lines_in, looks_like_a_line
from stopcast.threads import in_thread

#: Lines handled before the event loop has its turn.
_LINES_AT_ONCE: Final = 500
#: How a file system says that a file cannot take the place of this one, which may still be written to.
_NOT_REPLACEABLE: Final = frozenset({errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES})


async def rewrite(descriptor: int, path: Path, rewritten: Callable[[bytes], bytes]) -> os.stat_result:
    """Write the report anew with each line as ``rewritten`` returns it, and put the new file in its place at once.

    Returned is the status of the file that holds the report's lines then.

    A file that cannot be replaced, such as a bind mount, is overwritten. ``PATH.tidied`` has all lines until that is
    done, and the next run that continues with the report finishes it. A report that another program has moved stays as
    it is: another file may have its name.

    Raises:
        OSError: there is no room for the new file; the report is as it was.
    """
    before = os.fstat(descriptor)
    if not is_at(path, descriptor):
        return before
    path, fresh, whole = _files(path)
    _remove_leftover(fresh)
    try:
        with fresh.open("xb") as out:
            async for lines in lines_of(descriptor):
                out.writelines(map(rewritten, lines))
            out.flush()
            await in_thread(partial(sync, out.fileno()), name="sync")
        with suppress(OSError):  # some network file systems have no modes
            fresh.chmod(before.st_mode & 0o777)
        if not is_at(path, descriptor):
            fresh.unlink()
            return before
        after = fresh.stat()
        try:
            fresh.replace(path)
        except OSError as error:
            if error.errno not in _NOT_REPLACEABLE:
                raise
            _remove_leftover(whole)
            fresh.rename(whole)
            await finish_overwriting(descriptor, path)
            return before
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return after


def _files(path: Path) -> tuple[Path, Path, Path]:
    """Return the report's real file, so that a link to it stays one, the new file, and the whole copy."""
    path = path.resolve()
    return path, path.with_name(f"{path.name}.tidying"), path.with_name(f"{path.name}.tidied")


def _remove_leftover(path: Path) -> None:
    """Remove what a killed run left under this name, or a link; a file that stopcast did not write is an error."""
    if path.is_file() and not path.is_symlink():
        with path.open("rb") as file:
            if not looks_like_a_line(file.readline(LINE_BYTES)):
                raise FileExistsError(errno.EEXIST, f"{path} exists and was not written by stopcast")
    path.unlink(missing_ok=True)


def is_half_overwritten(path: Path) -> bool:
    """Return whether an unfinished ``rewrite`` left a whole copy beside the report."""
    return _files(path)[2].exists()


async def finish_overwriting(descriptor: int, path: Path) -> None:
    """Overwrite the report with the whole copy beside it, if an unfinished ``rewrite`` left one."""
    path, _, whole = _files(path)
    # An empty report is a new one; the copy belonged to another.
    if os.fstat(descriptor).st_size and whole.is_file() and not whole.is_symlink():
        await in_thread(partial(_overwrite, path, whole), name="overwriting")


def _overwrite(path: Path, whole: Path) -> None:
    with whole.open("rb") as source, path.open("r+b") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.truncate()
        target.flush()
        sync(target.fileno())
    whole.unlink()


async def lines_of(descriptor: int) -> AsyncIterator[list[bytes]]:
    """Yield the file's lines from its start, some at a time."""
    with os.fdopen(os.dup(descriptor), "rb", buffering=1 << 20) as report:
        report.seek(0)
        for lines in lines_in(report, _LINES_AT_ONCE):
            yield lines
            await asyncio.sleep(0)
