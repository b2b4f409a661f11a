"""Objects on the way of a call change their own attributes only: what comes from elsewhere is asked, not written to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import stopcast.engine

PACKAGE = Path(stopcast.engine.__file__).parent.parent
FILES = [path for folder in ("engine", "stopper", "accounts", "limiters") for path in (PACKAGE / folder).glob("*.py")]


def _written(function: ast.AST) -> Iterator[ast.Attribute]:
    """Yield the attributes that a function assigns or deletes."""
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node


def _made(function: ast.AST) -> set[str]:
    """Return the names to which a function assigns the result of a call: what it makes there is its own."""
    assignments = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
    names = [each.targets[0] for each in assignments if isinstance(each.value, ast.Call)]
    return {name.id for name in names if isinstance(name, ast.Name)}


def test_no_module_assigns_an_attribute_of_an_object_that_another_one_owns() -> None:
    foreign = [
        f"{path.name}:{attribute.lineno}: {ast.unparse(attribute)}"
        for path in FILES
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for attribute in _written(function)
        if ast.unparse(attribute.value) not in {"self", "cls", *_made(function)}
    ]
    assert foreign == []
