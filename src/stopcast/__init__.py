"""Stops Volcengine RTC cloud-recording (webcast) tasks in bulk, within the account's quota.

    async with stopcast.Stopper() as stopper:
        outcome = await stopper.stop(stopcast.Task("app", "room", "task"))

The other public modules are ``stopcast.events``, ``prometheus``, ``otel``, ``redis_metrics``, ``sandbox`` and
``virtual_clock``. Each public name is imported when it is first used: a command that makes no call does not load an
HTTP client.
"""

from functools import cache as _cache


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - slow to import

        value: object = version(__name__)
    elif name == "__all__":
        value = sorted(_modules_by_name())
    elif not name.startswith("_") and (module := _modules_by_name().get(name)):
        from importlib import import_module  # noqa: PLC0415

        value = getattr(import_module(module), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({"__all__", "__version__", *_modules_by_name(), *globals()})


@_cache
def _modules_by_name() -> dict[str, str]:
    """Return the module of each public name, as the imports in ``__init__.pyi`` have it."""
    import ast  # noqa: PLC0415 - `stopcast --help` uses no public name, and must answer at once

    # Not open(): the package may lie in a zip file.
    stub = __spec__.loader.get_data(f"{__path__[0]}/__init__.pyi")
    imports = [node for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}
