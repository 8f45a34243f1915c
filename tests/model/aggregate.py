"""Aggregates, computed from all rows of a group each time one is asked for."""

from decimal import ROUND_HALF_UP, Decimal

from expression import compile_expression, integer_divide
from values import INTEGERS, round_float, scale_of, wrap

MOMENTS = {"STDDEV_POP": (0, True), "STDDEV_SAMP": (1, True), "STDDEV": (1, True), "VAR_POP": (0, False), "VAR_SAMP": (1, False),
           "VARIANCE": (1, False)}  # (what the count is lessened by, whether the root is taken)
NAMES = {"COUNT", "SUM", "AVG", "MIN", "MAX", "FIRST_VALUE", "LAST_VALUE", "LISTAGG", "COLLECT", "ARRAY_AGG", "MIN_BY", "MAX_BY", *MOMENTS}


def find_calls(tree, names=NAMES):
    """Aggregate calls below a tree, outermost first."""
    if isinstance(tree, tuple) and tree and tree[0] == "call" and len(tree) == 6:
        if tree[1] in names and tree[5] is None:
            return [tree]
    if isinstance(tree, (list, tuple)):
        return [found for part in tree for found in find_calls(part, names)]
    return []


def net(values):
    """What is left when each value taken away has cancelled the first one equal to it."""
    left = []
    for add, value in values:
        if add:
            left.append(value)
        elif value in left:
            left.remove(value)
    return left


def count_of(rows):
    return sum(1 if add else -1 for add, _ in rows)


class Aggregate:
    def __init__(self, call, scope):
        _, self.name, arguments, self.distinct, only, _ = call
        self.only = compile_expression(only, scope)[0] if only else None
        self.star = bool(arguments) and arguments[0][0] == "star"
        compiled = [] if self.star else [compile_expression(a, scope) for a in arguments]
        self.arguments = [run for run, _ in compiled]
        self.argument_type = compiled[0][1] if compiled else None
        self.separator = arguments[1][1] if self.name == "LISTAGG" and len(arguments) > 1 else ","
        self.type = self.result_type()

    def result_type(self):
        if self.name == "COUNT":
            return "BIGINT"
        if self.name in MOMENTS and self.argument_type == "FLOAT":
            return "FLOAT"
        if self.name in ("SUM", "AVG") and self.argument_type.startswith("DECIMAL"):
            scale = scale_of(self.argument_type)
            return f"DECIMAL(38, {scale if self.name == 'SUM' else max(6, scale)})"
        if self.name in ("COLLECT", "ARRAY_AGG"):
            return f"ARRAY<{self.argument_type}>"
        return self.argument_type

    def of(self, rows):
        """rows: (whether it is added, else taken away, values), in order of arrival."""
        if self.only:
            rows = [row for row in rows if self.only(row[1]) is True]
        if self.star:
            return sum(1 if add else -1 for add, _ in rows)
        if len(self.arguments) > 1 and self.name == "COUNT":
            values = net([(add, tuple(run(row) for run in self.arguments)) for add, row in rows])
            values = [some for some in values if None not in some]
        elif self.name in ("MIN_BY", "MAX_BY"):
            return self.extreme(net([(add, tuple(run(row) for run in self.arguments)) for add, row in rows]))
        else:
            run = self.arguments[0]
            if self.name in MOMENTS and not self.distinct:
                return self.moment([(add, run(row)) for add, row in rows])
            values = net([(add, run(row)) for add, row in rows])
            if self.name != "ARRAY_AGG":
                values = [value for value in values if value is not None]
        if self.distinct:
            values = list(dict.fromkeys(values))
        return self.fold(values)

    def extreme(self, pairs):
        """The first of those whose second value is the least or greatest."""
        pairs = [pair for pair in pairs if pair[1] is not None]
        if not pairs:
            return None
        return (min if self.name == "MIN_BY" else max)(pairs, key=lambda pair: pair[1])[0]

    def moment(self, changes):
        """By Welford's method, one row after the other: its rounding shows in which results are new ones."""
        count, mean, squares = 0, 0.0, 0.0
        for add, value in changes:
            if value is None:
                continue
            count, value = count + (1 if add else -1), float(value)
            if count <= 0:
                mean = squares = 0.0
                continue
            before = mean
            mean = before + (value - before) / count if add else before - (value - before) / count
            squares += (value - before) * (value - mean) * (1 if add else -1)
        less, root = MOMENTS[self.name]
        if count <= less or squares < 0:
            return None
        made = squares / (count - less)
        made = made ** 0.5 if root else made
        return int(made) if self.argument_type in INTEGERS else round_float(made) if self.argument_type == "FLOAT" else made

    def fold(self, values):
        if self.name == "COUNT":
            return len(values)
        if not values:
            return () if self.name == "COLLECT" else None
        if self.name == "MIN":
            return min(values)
        if self.name == "MAX":
            return max(values)
        if self.name == "FIRST_VALUE":
            return values[0]
        if self.name == "LAST_VALUE":
            return values[-1]
        if self.name == "LISTAGG":
            return self.separator.join(values)
        if self.name in ("COLLECT", "ARRAY_AGG"):
            return tuple(values)
        if self.name in MOMENTS:
            return self.moment([(True, value) for value in values])
        return self.sum_or_average(values)

    def sum_or_average(self, values):
        total = sum(values)
        kind = self.argument_type
        if kind in INTEGERS:
            if self.name == "AVG":
                return wrap(integer_divide(wrap(total, 64), len(values)), INTEGERS[kind])
            return wrap(total, INTEGERS[kind])
        if self.name == "AVG":
            total = total / (Decimal(len(values)) if kind.startswith("DECIMAL") else len(values))
            if kind.startswith("DECIMAL"):
                total = total.quantize(Decimal(1).scaleb(-scale_of(self.type)), ROUND_HALF_UP)
        return round_float(total) if kind == "FLOAT" else total
