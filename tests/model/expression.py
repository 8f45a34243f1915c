"""Expressions: a tuple of sql.py and a scope become a Python function of a row, and a type. NULL is None, logic has three values."""

import re
from decimal import Decimal
from typing import NamedTuple, Optional

from sql import freeze  # noqa: F401
from values import FLOATS, INTEGERS, cast, round_float, wider, wrap


class Column(NamedTuple):
    table: Optional[str]
    name: str
    type: str
    role: Optional[str] = None  # "start", "end", "time": of a window; "rowtime"; "proctime"; "was_time" behind a window function


class Scope:
    """Columns that expressions may name; `made` maps expressions that a row already holds (aggregates, grouped expressions) to their index."""

    def __init__(self, columns, made=None):
        self.columns = columns
        self.made = made or {}

    def find(self, table, name):
        found = [i for i, column in enumerate(self.columns) if column.name == name and (table is None or column.table == table)]
        if not found:
            raise KeyError(f"no column {table + '.' if table else ''}{name} in {[c.name for c in self.columns]}")
        return found[0]


def compile_expression(tree, scope):
    """(function of a row, type)"""
    try:
        index = scope.made.get(tree)
    except TypeError:  # no tree of this model, so it has no hash
        raise NotImplementedError("a query as a value") from None
    if index is not None:
        return (lambda row: row[index]), scope.columns[index].type
    return FORMS[tree[0]](tree, scope)


def constant(tree, scope):
    value = tree[1]
    return (lambda row: value), tree[2]


def column(tree, scope):
    index = scope.find(tree[1], tree[2])
    return (lambda row: row[index]), scope.columns[index].type


def logic_and(tree, scope):
    a, b = compile_expression(tree[1], scope)[0], compile_expression(tree[2], scope)[0]

    def run(row):
        x = a(row)
        if x is False:
            return False
        y = b(row)
        return False if y is False else None if x is None or y is None else True
    return run, "BOOLEAN"


def logic_or(tree, scope):
    a, b = compile_expression(tree[1], scope)[0], compile_expression(tree[2], scope)[0]

    def run(row):
        x = a(row)
        if x is True:
            return True
        y = b(row)
        return True if y is True else None if x is None or y is None else False
    return run, "BOOLEAN"


def logic_not(tree, scope):
    a = compile_expression(tree[1], scope)[0]

    def run(row):
        x = a(row)
        return None if x is None else not x
    return run, "BOOLEAN"


COMPARE = {"=": lambda x, y: x == y, "<>": lambda x, y: x != y, "<": lambda x, y: x < y, "<=": lambda x, y: x <= y,
           ">": lambda x, y: x > y, ">=": lambda x, y: x >= y}


def comparable(a, a_type, b, b_type):
    """Both in one type: FLOAT and DOUBLE against anything compare as doubles."""
    floats = a_type in FLOATS or b_type in FLOATS
    to_float = (lambda f: lambda row: None if (x := f(row)) is None else float(x))
    return (to_float(a) if floats and a_type not in FLOATS else a), (to_float(b) if floats and b_type not in FLOATS else b)


def compare(tree, scope):
    (a, a_type), (b, b_type) = compile_expression(tree[2], scope), compile_expression(tree[3], scope)
    a, b = comparable(a, a_type, b, b_type)
    test = COMPARE[tree[1]]

    def run(row):
        x, y = a(row), b(row)
        return None if x is None or y is None else test(x, y)
    return run, "BOOLEAN"


def between(tree, scope):
    low = ("compare", ">=", tree[1], tree[2])
    return compile_expression(("and", low, ("compare", "<=", tree[1], tree[3])), scope)


def one_of(tree, scope):
    made = None
    for item in tree[2]:
        test = ("compare", "=", tree[1], item)
        made = test if made is None else ("or", made, test)
    return compile_expression(made, scope)


def like(tree, scope):
    a, b = compile_expression(tree[1], scope)[0], compile_expression(tree[2], scope)[0]

    def run(row):
        x, y = a(row), b(row)
        if x is None or y is None:
            return None
        pattern = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in y)
        return re.fullmatch(pattern, x, re.S) is not None
    return run, "BOOLEAN"


def is_null(tree, scope):
    a = compile_expression(tree[1], scope)[0]
    return (lambda row: a(row) is None), "BOOLEAN"


def is_truth(tree, scope):
    a, wanted = compile_expression(tree[1], scope)[0], tree[2]
    return (lambda row: a(row) is wanted), "BOOLEAN"


def distinct_from(tree, scope):
    a, b = compile_expression(tree[1], scope)[0], compile_expression(tree[2], scope)[0]
    return (lambda row: a(row) != b(row)), "BOOLEAN"


def integer_divide(x, y):
    quotient = abs(x) // abs(y)
    return quotient if (x < 0) == (y < 0) else -quotient


def arithmetic(tree, scope):
    sign = tree[1]
    (a, a_type), (b, b_type) = compile_expression(tree[2], scope), compile_expression(tree[3], scope)
    if sign == "||":
        return with_nulls(a, b, lambda x, y: x + y), "STRING"
    if a_type.startswith("TIMESTAMP") and b_type == "INTERVAL":
        return with_nulls(a, b, (lambda x, y: x + y) if sign == "+" else (lambda x, y: x - y)), a_type
    kind = wider(a_type, b_type)
    if kind in INTEGERS:
        bits = INTEGERS[kind]
        work = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": integer_divide,
                "%": lambda x, y: x - y * integer_divide(x, y)}[sign]
        return with_nulls(a, b, lambda x, y: wrap(work(x, y), bits)), kind
    convert = Decimal if kind.startswith("DECIMAL") else float
    work = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y}[sign]
    if kind == "FLOAT":
        return with_nulls(a, b, lambda x, y: round_float(work(x, y))), kind
    return with_nulls(a, b, lambda x, y: work(convert(x), convert(y))), kind


def with_nulls(a, b, work):
    def run(row):
        x, y = a(row), b(row)
        return None if x is None or y is None else work(x, y)
    return run


def negative(tree, scope):
    a, kind = compile_expression(tree[1], scope)
    return (lambda row: None if (x := a(row)) is None else wrap(-x, INTEGERS[kind]) if kind in INTEGERS else -x), kind


def common_type(kinds):
    made = "NULL"
    for kind in kinds:
        made = wider(made, kind)
    return made


def case(tree, scope):
    branches = [(compile_expression(when, scope)[0], compile_expression(then, scope)) for when, then in tree[1]]
    otherwise = compile_expression(tree[2], scope)
    kind = common_type([then[1] for _, then in branches] + [otherwise[1]])

    def run(row):
        for when, then in branches:
            if when(row) is True:
                return cast(then[0](row), then[1], kind)
        return cast(otherwise[0](row), otherwise[1], kind)
    return run, kind


def cast_form(tree, scope):
    a, kind = compile_expression(tree[1], scope)
    to = tree[2]
    return (lambda row: cast(a(row), kind, to)), to


def call(tree, scope):
    name, arguments = tree[1], [compile_expression(argument, scope) for argument in tree[2]]
    runs, kinds = [a for a, _ in arguments], [kind for _, kind in arguments]
    if name in ("COALESCE", "IFNULL"):
        kind = common_type(kinds)

        def first(row):
            for run, own in arguments:
                value = run(row)
                if value is not None:
                    return cast(value, own, kind)
            return None
        return first, kind
    if name == "IF":
        return case(("case", [(tree[2][0], tree[2][1])], tree[2][2]), scope)
    if name == "NULLIF":
        same = compile_expression(("compare", "=", *tree[2]), scope)[0]
        return (lambda row: None if same(row) else runs[0](row)), kinds[0]
    if name in ("GREATEST", "LEAST"):
        best = max if name == "GREATEST" else min

        def pick(row):
            values = [run(row) for run in runs]
            return None if None in values else best(values)
        return pick, common_type(kinds)
    if name not in SCALAR:
        raise NotImplementedError(f"function {name}")
    work, kind = SCALAR[name]

    def run(row):
        values = [a(row) for a in runs]
        return None if None in values else work(*values)
    return run, kinds[0] if kind is None else kind


SCALAR = {"ABS": (abs, None), "UPPER": (str.upper, "STRING"), "LOWER": (str.lower, "STRING"), "CHAR_LENGTH": (len, "INT"),
          "CONCAT": (lambda *parts: "".join(parts), "STRING"), "MOD": (lambda x, y: x - y * integer_divide(x, y), None),
          "SUBSTRING": (lambda text, at, size=None: text[at - 1:] if size is None else text[at - 1:at - 1 + size], "STRING")}

FORMS = {"lit": constant, "col": column, "and": logic_and, "or": logic_or, "not": logic_not, "compare": compare, "between": between,
         "in": one_of, "like": like, "is_null": is_null, "is_truth": is_truth, "distinct_from": distinct_from, "bin": arithmetic,
         "neg": negative, "case": case, "cast": cast_form, "call": call}


def columns_of(tree):
    """Every ("col", ..) below a tree."""
    if isinstance(tree, tuple) and len(tree) == 3 and tree[0] == "col":
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [found for part in tree for found in columns_of(part)]
    return []


def conjuncts(tree):
    if tree is None:
        return []
    if tree[0] == "and":
        return conjuncts(tree[1]) + conjuncts(tree[2])
    return [tree]
