"""MATCH_RECOGNIZE: what its clauses mean as stages of a pattern, and how DEFINE and MEASURES see the rows."""

from aggregate import NAMES, Aggregate
from expression import Column, Scope, columns_of, compile_expression
from nfa import Graph
from pattern import Patterns

OFFSETS = ("FIRST", "LAST")


def specials_of(tree, variables):
    """What reads rows of the match: FIRST, LAST, aggregates, columns of a variable."""
    if isinstance(tree, tuple) and tree:
        if tree[0] == "call" and len(tree) == 6 and (tree[1] in OFFSETS or tree[1] in NAMES):
            return [tree]
        if tree[0] == "col" and len(tree) == 3 and tree[1] in variables:
            return [tree]
    if isinstance(tree, (tuple, list)):
        return [found for part in tree for found in specials_of(part, variables)]
    return []


def unqualified(tree, variables):
    if isinstance(tree, tuple) and len(tree) == 3 and tree[0] == "col" and tree[1] in variables:
        return ("col", None, tree[2])
    return tuple(unqualified(part, variables) for part in tree) if isinstance(tree, tuple) else tree


class Special:
    """One of them: a function of the rows of the match, each (variable, row)."""

    def __init__(self, tree, columns, variables):
        scope = Scope(columns)
        names = {c[1] for c in columns_of(tree) if c[1] in variables}
        self.variable = names.pop() if names else None
        if tree[0] == "col":
            run, self.type = compile_expression(("col", None, tree[2]), scope)
            self.pick = lambda rows: run(rows[-1]) if rows else None
        elif tree[1] in OFFSETS:
            run, self.type = compile_expression(unqualified(tree[2][0], variables), scope)
            offset = tree[2][1][1] if len(tree[2]) > 1 else 0
            self.pick = self.offset(run, offset, tree[1] == "FIRST")
        else:
            aggregate = Aggregate(unqualified(tree, variables), scope)
            self.type = aggregate.type
            self.pick = lambda rows: aggregate.of([(True, row) for row in rows])

    def offset(self, run, offset, first):
        def pick(rows):
            if offset >= len(rows):
                return None
            return run(rows[offset if first else -1 - offset])
        return pick

    def value(self, rows):
        return self.pick([row for name, row in rows if self.variable in (None, name)])


class Reader:
    """An expression over a row and the rows of its match."""

    def __init__(self, tree, columns, variables):
        trees = list(dict.fromkeys(specials_of(tree, variables)))
        self.specials = [Special(each, columns, variables) for each in trees]
        made = [Column(None, f"$special{i}", special.type) for i, special in enumerate(self.specials)]
        scope = Scope(list(columns) + made, {each: len(columns) + i for i, each in enumerate(trees)})
        self.run, self.type = compile_expression(tree, scope)

    def value(self, row, rows):
        return self.run(row + tuple(special.value(rows) for special in self.specials))


def plan(planner, tree):
    from query import Relation
    source = planner.table(tree.table)
    columns = source.columns
    variables = {name for name, _, _, _ in tree.pattern}
    stages = [stage_of(item, tree, columns, variables, number) for number, item in enumerate(tree.pattern)]
    measures = [(Reader(value, columns, variables), name) for value, name in tree.measures]
    keys = [source.index_of(e) for e in tree.partition]

    def result(path):
        rows = [(name, row) for name, _, row in path]
        last = rows[-1][1]
        return tuple(last[i] for i in keys) + tuple(reader.value(last, rows) for reader, _ in measures)
    order = [(compile_expression(e, source.scope())[0], descending, last) for e, descending, last in tree.order[1:]]
    node = Patterns(keys, Graph(stages, tree.within), tree.within, tree.skip, result, order)
    node.strict_skip = True
    time = source.index_of(tree.order[0][0])
    if columns[time].role == "proctime":
        node.immediate = time
    source.node.feeds(node)
    made = [columns[i]._replace(table=None, role=None) for i in keys]
    return Relation(node, made + [Column(None, name, reader.type) for reader, name in measures])


def stage_of(item, tree, columns, variables, number):
    name, low, high, greedy = item
    single = (low, high) == (1, 1)
    choice = (low, high) == (0, 1)
    where = lambda event, path: True  # noqa: E731
    if name in tree.define:
        reader = Reader(tree.define[name], columns, variables)

        def where(event, path):
            rows = [(variable, row) for variable, _, row in path]
            return reader.value(event, rows + [(name, event)]) is True
    return {"name": name, "contiguity": "begin" if number == 0 else "next", "low": max(1, low), "high": high,
            "loop": None if single or choice else "consecutive", "optional": low == 0, "greedy": greedy and not choice and low != high,
            "where": where, "until": None}
