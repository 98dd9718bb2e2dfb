"""Definitions of Python, by its own parser."""

import ast
import inspect
import warnings

from bench.search.code.definitions import Definition


def python_definitions(text: str) -> list[Definition]:
    """Functions, methods and classes with their docstrings; none where this Python can't read the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    lines = text.split("\n")
    found = [
        _definition(node, lines)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not _overload(node)
    ]
    return sorted(found, key=lambda definition: definition.start)


def _overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether it says only how the function below it may be called."""
    return any(ast.unparse(decorator).rpartition(".")[2] == "overload" for decorator in node.decorator_list)


def _definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, lines: list[str]) -> Definition:
    sort = "type" if isinstance(node, ast.ClassDef) else "function"
    made = Definition(name=node.name, sort=sort, start=node.lineno, end=node.end_lineno or node.lineno)
    said = node.body[0]
    if not (isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant) and isinstance(said.value.value, str)):
        return made
    first, last = said.lineno, said.end_lineno or said.lineno
    # A docstring beside other code on its line stays, and nothing is asked of it.
    before, after = lines[first - 1][: said.col_offset], lines[last - 1].encode()[said.end_col_offset or 0 :].decode()
    if before.strip() or after.strip():
        return made
    return Definition(
        name=node.name,
        sort=sort,
        start=node.lineno,
        end=made.end,
        doc=inspect.cleandoc(said.value.value),
        comment=(first, last),
        hollow=len(node.body) == 1,
    )
