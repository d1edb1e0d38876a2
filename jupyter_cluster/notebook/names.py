"""Which variables of the notebook a cell reads. Pure.

The cell is Python by then: IPython has turned magics and shell commands into calls that have the
rest of the line as a text, in which names are looked for as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[^\W\d]\w*")
# In a shell command $name, ${name} and {expression} are of Python.
_IN_COMMAND = re.compile(r"\$\{?([^\W\d]\w*)|\{([^{}]*)\}")
_COMMANDS = {"system", "getoutput", "run_cell_magic"}
_CALLS = _COMMANDS | {"run_line_magic"}


def names_read(source: str) -> set[str]:
    """Names that a cell reads and has not surely bound itself before.

    A name that is read in one branch and bound in another counts as read: to send too much costs
    time, to send too little costs the cell.

    >>> sorted(names_read("y = f(x)\\nz = y + 1"))
    ['f', 'x']

    Raises
    ------
    SyntaxError
        It is no Python.
    """
    tree = compile(source, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    reader = _Reader()
    reader.block(tree.body)
    return reader.read


class _Reader(ast.NodeVisitor):
    """Goes through statements in the order in which they run."""

    def __init__(self, bound: Iterable[str] = ()) -> None:
        self.read: set[str] = set()
        self.bound = set(bound)

    def block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    def _inner(self, nodes: Iterable[ast.AST | None], bound: Iterable[str]) -> None:
        """What runs in a scope of its own: what is bound there is not bound here."""
        inner = _Reader(self.bound | set(bound))
        for node in nodes:
            if node is not None:
                inner.visit(node)
        self.read |= inner.read

    def _maybe(self, *blocks: Iterable[ast.stmt]) -> None:
        """Blocks of which each may be left out: what they bind may not be bound after them."""
        before = set(self.bound)
        for block in blocks:
            self.block(block)
            self.bound = set(before)

    # -- names --------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            if node.id not in self.bound:
                self.read.add(node.id)
        elif isinstance(node.ctx, ast.Store):
            self.bound.add(node.id)
        else:
            self.bound.discard(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.read.add(node.target.id)
        self.visit(node.target)

    def visit_Import(self, node: ast.Import) -> None:
        self.bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.bound |= {alias.asname or alias.name for alias in node.names}

    # -- scopes -------------------------------------------------------------------------------

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.decorator_list, node.returns):
            if part is not None:
                self.visit(part)
        self._arguments(node.args)
        self.bound.add(node.name)
        outside = {
            name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names
        }
        local = _bound_in(node.body) - outside
        self._inner(node.body, {*_parameters(node.args), *local})

    visit_FunctionDef = _visit_function
    visit_AsyncFunctionDef = _visit_function

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self._inner([node.body], _parameters(node.args))

    def _arguments(self, arguments: ast.arguments) -> None:
        """Defaults and annotations are read where the function is defined."""
        listed = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        for one in (*listed, arguments.vararg, arguments.kwarg):
            if one is not None and one.annotation is not None:
                self.visit(one.annotation)
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._inner(node.body, ())
        self.bound.add(node.name)

    def _visit_comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
    ) -> None:
        targets = {name for part in node.generators for name in _stored(part.target)}
        self.visit(node.generators[0].iter)
        inner: list[ast.AST] = [part.iter for part in node.generators[1:]]
        inner += [condition for part in node.generators for condition in part.ifs]
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inner([*inner, *results], targets)

    visit_ListComp = _visit_comprehension
    visit_SetComp = _visit_comprehension
    visit_GeneratorExp = _visit_comprehension
    visit_DictComp = _visit_comprehension

    # -- what may not run ---------------------------------------------------------------------

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._maybe(node.body, node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._maybe(node.body, node.orelse)

    def _visit_for(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = set(self.bound)
        self.visit(node.target)
        self.block(node.body)
        self.bound = before
        self._maybe(node.orelse)

    visit_For = _visit_for
    visit_AsyncFor = _visit_for

    def visit_Try(self, node: ast.Try) -> None:
        self._maybe(node.body)
        for handler in node.handlers:
            if handler.type is not None:
                self.visit(handler.type)
            inner = _Reader(self.bound | ({handler.name} if handler.name else set()))
            inner.block(handler.body)
            self.read |= inner.read
        self._maybe([*node.body, *node.orelse])
        self.block(node.finalbody)

    visit_TryStar = visit_Try  # type: ignore[assignment]

    def visit_match_case(self, node: ast.match_case) -> None:
        inner = _Reader(self.bound | _captured(node.pattern))
        for part in (node.pattern, node.guard, *node.body):
            if part is not None:
                inner.visit(part)
        self.read |= inner.read

    # -- magics -------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS:
            texts = [part.value for part in node.args if isinstance(part, ast.Constant)]
            for name in _names_in_magic(node.func.attr, [str(text) for text in texts]):
                if name not in self.bound:
                    self.read.add(name)


def _names_in_magic(call: str, texts: list[str]) -> Iterator[str]:
    """Names in the text of a magic or a command; what is not Python may hold some all the same."""
    if call in ("system", "getoutput"):
        for name, expression in _IN_COMMAND.findall(" ".join(texts)):
            yield from [name] if name else _words(expression)
    else:
        for text in texts[1:]:
            yield from _words(text)


def _words(text: str) -> set[str]:
    try:
        return names_read(text.strip())
    except SyntaxError:  # options come first, e.g. %timeit -n 5 f(x)
        return set(_WORD.findall(text))


def _parameters(arguments: ast.arguments) -> set[str]:
    listed = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return {one.arg for one in (*listed, arguments.vararg, arguments.kwarg) if one is not None}


def _stored(node: ast.AST) -> set[str]:
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def _captured(pattern: ast.AST) -> set[str]:
    found = set()
    for part in ast.walk(pattern):
        for field in ("name", "rest"):
            if isinstance(name := getattr(part, field, None), str):
                found.add(name)
    return found


def _bound_in(statements: Iterable[ast.stmt]) -> set[str]:
    """Names that are local to a function with these statements."""
    found: set[str] = set()
    for statement in statements:
        for part in _own_parts(statement):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                found.add(part.id)
            elif isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(part.name)
            elif isinstance(part, (ast.Import, ast.ImportFrom)):
                found |= {(a.asname or a.name).partition(".")[0] for a in part.names}
            elif isinstance(part, ast.ExceptHandler) and part.name:
                found.add(part.name)
            elif isinstance(part, ast.match_case):
                found |= _captured(part.pattern)
    return found


def _own_parts(node: ast.AST) -> Iterator[ast.AST]:
    """A node and what is in it, without the insides of other functions and classes."""
    yield node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        return
    for child in ast.iter_child_nodes(node):
        yield from _own_parts(child)
