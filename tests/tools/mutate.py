"""Small changes to a Python module, one at a time: what a mutation run tries its tests on.

Operators, comparisons, numbers, truth values, negations, returned values and statements are
changed. Annotations, texts and module-level unions of types are not: no test should depend on how
a message is worded.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
FUNCTIONS = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "maximum": "minimum",
    "minimum": "maximum",
    "argmin": "argmax",
    "sin": "cos",
    "cos": "sin",
}


@dataclass(frozen=True)
class Mutant:
    """One change of one module; it is made when it is asked for.

    Attributes:
        source: of the module as it is.
        node: number of the node that is changed, in the order of ``ast.walk``.
        number: which of the changes of that node.
    """

    source: str
    node: int
    number: int

    def make(self) -> tuple[ast.Module, int, str]:
        """The changed module, the line, and what was changed into what, for people."""
        tree = ast.parse(self.source)
        target = next(islice(ast.walk(tree), self.node, None))
        before, line = ast.unparse(target), getattr(target, "lineno", 0)
        replacement = list(_changes(target))[self.number](target)
        if replacement is not target:
            _replace(tree, target, replacement)
        text = f"{_short(before)} -> {_short(ast.unparse(replacement))}"
        return ast.fix_missing_locations(tree), line, text


def mutants(source: str) -> Iterator[Mutant]:
    """All mutants of a module's source, in the order of its nodes."""
    tree = ast.parse(source)
    skipped = _skipped(tree)
    for index, node in enumerate(ast.walk(tree)):
        if id(node) not in skipped:
            for number, _ in enumerate(_changes(node)):
                yield Mutant(source, index, number)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 70 else line[:67] + "..."


def _skipped(tree: ast.Module) -> set[int]:
    """Ids of nodes that are no behaviour: annotations, decorators, unions of types."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef():
                roots += [node.returns, *node.decorator_list]
            case ast.ClassDef():
                roots += node.decorator_list
            case ast.arg() | ast.AnnAssign():
                roots.append(node.annotation)
    roots += [n for n in tree.body if isinstance(n, ast.Assign) and _is_union(n.value)]
    return {id(node) for root in roots if root is not None for node in ast.walk(root)}


def _is_union(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)


Change = Callable[[ast.AST], ast.AST]


def _changes(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=ops):
            for k, op in enumerate(ops):
                for other in COMPARISONS[type(op)]:
                    yield lambda n, k=k, other=other: _set_item(n, "ops", k, other())
        case ast.BoolOp(op=op):
            other_bool = ast.Or if isinstance(op, ast.And) else ast.And
            yield lambda n: _set(n, "op", other_bool())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield lambda n: n.operand
        case ast.BinOp(op=op) if type(op) in OPERATORS:
            yield lambda n: _set(n, "op", OPERATORS[type(n.op)]())
        case ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield lambda n: _set(n, "op", OPERATORS[type(n.op)]())
        case ast.Constant(value=bool() as value):
            yield lambda n: _set(n, "value", not value)
        case ast.Constant(value=int() | float() as value):
            yield lambda n: _set(n, "value", value + 1)
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            yield lambda n: _set(n, "func", ast.Name(FUNCTIONS[name], ast.Load()))
        case ast.Call(func=ast.Attribute(attr=name)) if name in FUNCTIONS:
            yield lambda n: _set_attribute(n, FUNCTIONS[name])
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare):
            yield lambda n: _set(n, "test", ast.UnaryOp(ast.Not(), n.test))
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield lambda n: _set(n, "value", ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield lambda n: ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Tuple()]) | ast.AugAssign():
            yield lambda n: ast.Pass()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _set(node: ast.AST, name: str, value: object) -> ast.AST:
    setattr(node, name, value)
    return node


def _set_item(node: ast.AST, name: str, index: int, value: object) -> ast.AST:
    getattr(node, name)[index] = value
    return node


def _set_attribute(node: ast.Call, name: str) -> ast.AST:
    node.func.attr = name
    return node


def _replace(tree: ast.AST, target: ast.AST, replacement: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, replacement)
                return
            if isinstance(value, list):
                for k, item in enumerate(value):
                    if item is target:
                        value[k] = replacement
                        return
