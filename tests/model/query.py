"""A query of sql.py as a graph of operators."""

import join
import match
import over
import process
import rank
import sql
from aggregate import Aggregate, find_calls
from expression import Column, Scope, columns_of, compile_expression, conjuncts, freeze
from stream import Map, Merge, SetOperation
from window import GroupAggregate, SessionFunction, WindowAggregate, WindowFunction

LEGACY = {"TUMBLE", "HOP", "SESSION"}
LEGACY_COLUMNS = {"START": "window_start", "END": "window_end", "ROWTIME": "window_time"}
RANKS = {"ROW_NUMBER", "RANK", "DENSE_RANK"}


class Relation:
    def __init__(self, node, columns):
        self.node, self.columns = node, columns

    def scope(self):
        return Scope(self.columns)

    def named(self, alias):
        return Relation(self.node, [c._replace(table=alias) for c in self.columns]) if alias else self

    def where(self, condition):
        if condition is None:
            return self
        return Relation(self.node.feeds(Map(compile_expression(condition, self.scope())[0], None)), self.columns)

    def index_of(self, tree):
        """Index of a plain column, else None."""
        return self.scope().find(tree[1], tree[2]) if tree[0] == "col" else None

    def role_of(self, tree):
        return self.columns[self.index_of(tree)].role if tree[0] == "col" else None

    def by_role(self, role):
        return next((i for i, c in enumerate(self.columns) if c.role == role), None)


class Planner:
    """`tables` maps a name to a Relation; `operators` collects every node, for savepoints and the clock."""

    def __init__(self, tables, program):
        self.tables, self.program = tables, program
        self.by_clock = False  # windows go by the clock

    def ttl(self):
        """`state_ttl` of the rule, in seconds there."""
        return int(self.program.get("settings", {}).get("state_ttl", "0s")[:-1]) * 1000

    # ---- FROM

    def table(self, tree):
        made = getattr(self, "from_" + type(tree).__name__.lower())(tree)
        return made.named(getattr(tree, "alias", None))

    def from_table(self, tree):
        return self.tables[tree.name].named(tree.name)

    def from_nested(self, tree):
        return self.query(tree.query)

    def from_window(self, tree):
        source = self.table(tree.table)
        time = source.scope().find(None, tree.time)
        if source.columns[time].role == "proctime":
            self.by_clock = True
        if tree.kind == "SESSION":
            keys = [source.index_of(e) for e in tree.partition]
            node = SessionFunction(tree.lengths[0], time, keys)
        else:
            node = WindowFunction(tree.kind, tree.lengths, time)
        node.by_clock = self.by_clock
        source.node.feeds(node)
        return Relation(node, with_window(source.columns, time))

    def from_join(self, tree):
        return join.plan(self, tree, None)

    def from_match(self, tree):
        return match.plan(self, tree)

    def from_function(self, tree):
        return process.plan(self, tree)

    # ---- queries

    def query(self, tree):
        if isinstance(tree, sql.Union):
            return self.union(tree)
        return self.select(tree)

    def union(self, tree):
        left, right = self.query(tree.left), self.query(tree.right)
        node = Merge(2) if tree.kind == "UNION" else SetOperation(tree.kind == "EXCEPT", tree.all)
        left.node.feeds(node, 0)
        right.node.feeds(node, 1)
        columns = [a._replace(role=a.role if a.role == b.role else None) for a, b in zip(left.columns, right.columns)]
        made = Relation(node, columns)
        return made if tree.all or tree.kind != "UNION" else self.distinct(made)

    def distinct(self, made):
        keys = [lambda row, i=i: row[i] for i in range(len(made.columns))]
        node = GroupAggregate(keys, [list(range(len(keys)))], [])
        node.timed = False  # which of two equal rows came first may depend on how batches were cut
        made.node.feeds(node)
        count = len(keys)
        cut = node.feeds(Map(None, [lambda row, i=i: row[i] for i in range(count)]))
        return Relation(cut, [c._replace(table=None) for c in made.columns])

    def select(self, tree):
        tree = old_windows(tree)
        source, where = self.source_of(tree)
        source = self.semi_joins(source.where(where_of(plain(where))), [c for c in where if c not in plain(where)])
        items = expand(tree.items, source.columns)
        if tree.group is not None or find_calls([e for e, _ in items]) or tree.having is not None:
            made = self.aggregate(tree, items, source)
        elif any(find_over(e) for e, _ in items):
            made = over.plan(self, tree, items, source)
        else:
            made = project(source.node, items, source.scope(), source)
        return self.distinct(made) if tree.distinct else made

    def source_of(self, tree):
        """The relation in FROM, and what is left of WHERE when ranks and joins have taken their part."""
        where = conjuncts(tree.where)
        if isinstance(tree.table, sql.Join):
            return join.plan(self, tree.table, where)
        if isinstance(tree.table, sql.Nested) and isinstance(tree.table.query, sql.Select):
            ranked = rank.plan(self, tree.table, where)
            if ranked:
                return ranked
        return self.table(tree.table), where

    def semi_joins(self, source, conditions):
        for condition in conditions:
            source = join.semi(self, source, condition)
        return source

    # ---- GROUP BY

    def aggregate(self, tree, items, source):
        grouped = [resolve(e, items, source) for e in (tree.group_all or [])]
        sets = [[resolve(e, items, source) for e in one] for one in (tree.group if tree.group is not None else [[]])]
        roles = [source.role_of(e) for e in grouped]
        windowed = "start" in roles and "end" in roles and all({"start", "end"} <= {source.role_of(e) for e in one} for one in sets)
        keys = [e for e, role in zip(grouped, roles) if not (windowed and role in ("start", "end", "time"))]
        scope = source.scope()
        compiled = [compile_expression(e, scope) for e in keys]
        items = [(grouping_ids(resolve(e, [], source)), name_of(e, alias, i)) for i, (e, alias) in enumerate(items)]
        having = grouping_ids(resolve(freeze(tree.having), [], source))
        if join.holds_query([e for e, _ in items]):
            raise NotImplementedError("a query within an aggregate")
        calls = list(dict.fromkeys(find_calls([e for e, _ in items]) + find_calls(having)))
        aggregates = [Aggregate(call, scope) for call in calls]
        indexes = [[keys.index(e) for e in one if e in keys] for one in sets]
        runs = [run for run, _ in compiled]
        columns = [Column(None, f"$key{i}", kind) for i, (_, kind) in enumerate(compiled)]
        columns += [Column(None, f"$mark{i}", "BIGINT") for i in range(len(keys))]
        columns += [Column(None, f"$aggregate{i}", a.type) for i, a in enumerate(aggregates)]
        made = {freeze(e): i for i, e in enumerate(keys)}
        made.update({("call", "GROUPING", (freeze(e),), False, None, None): len(keys) + i for i, e in enumerate(keys)})
        made.update({call: 2 * len(keys) + i for i, call in enumerate(calls)})
        if windowed:
            node = WindowAggregate(runs, indexes, aggregates, source.by_role("start"), source.by_role("end"))
            node.by_clock = self.by_clock
            self.mark_session(source.node)
            for e, role in zip(grouped, roles):
                if role in ("start", "end", "time"):
                    made[freeze(e)] = len(columns) + ("start", "end", "time").index(role)
            columns += [source.columns[source.by_role(role)]._replace(table=None) if source.by_role(role) is not None
                        else Column(None, "window_time", "TIMESTAMP(3)", role) for role in ("start", "end", "time")]
        else:
            node = GroupAggregate(runs, indexes, aggregates, self.ttl())
        source.node.feeds(node)
        scope = Scope([c._replace(table=None) for c in columns], made)
        if tree.having is not None:
            node = node.feeds(Map(compile_expression(having, scope)[0], None))
        return project(node, items, scope, Relation(node, columns))

    def mark_session(self, node):
        if isinstance(node, SessionFunction):
            node.aggregated = True


def with_window(columns, time):
    """Behind a window function the old time column is a plain one."""
    kind = columns[time].type
    plain_columns = [c._replace(role="was_time" if i == time else None) for i, c in enumerate(columns)]
    return plain_columns + [Column(None, "window_start", "TIMESTAMP(3)", "start"), Column(None, "window_end", "TIMESTAMP(3)", "end"),
                            Column(None, "window_time", kind, "time")]


def where_of(conditions):
    made = None
    for condition in conditions:
        made = condition if made is None else ("and", made, condition)
    return made


def is_semi(condition):
    inner = condition[1] if condition[0] == "not" else condition
    return inner[0] in ("exists", "in_query")


def plain(conditions):
    return [c for c in conditions if not is_semi(c)]


def expand(items, columns):
    """Items without *."""
    made = []
    for e, alias in items:
        if e[0] == "star":
            made += [(("col", c.table, c.name), c.name) for c in columns if (e[1] is None or c.table == e[1]) and c.role != "proctime"]
        else:
            made.append((freeze(e), alias))
    return made


def resolve(tree, items, source):
    """The tree with every column written with its table, and aliases of SELECT items put in place."""
    if isinstance(tree, tuple) and len(tree) == 3 and tree[0] == "col":
        try:
            found = source.columns[source.scope().find(tree[1], tree[2])]
            return ("col", found.table, found.name)
        except KeyError:
            for e, alias in items:
                if alias == tree[2]:
                    return resolve(e, [], source)
            raise
    if isinstance(tree, (list, tuple)):
        return tuple(resolve(part, items, source) for part in tree)
    return tree


def grouping_ids(tree):
    """GROUPING_ID(a, b) as 2 * GROUPING(a) + GROUPING(b)."""
    if isinstance(tree, tuple) and tree and tree[0] == "call" and tree[1] == "GROUPING_ID":
        made = None
        for argument in tree[2]:
            bit = ("call", "GROUPING", (argument,), False, None, None)
            made = bit if made is None else ("bin", "+", ("bin", "*", made, ("lit", 2, "BIGINT")), bit)
        return made
    return tuple(grouping_ids(part) for part in tree) if isinstance(tree, tuple) else tree


def name_of(e, alias, number):
    return alias or (e[2] if e[0] == "col" else f"EXPR${number}")


def project(node, items, scope, source):
    compiled = [compile_expression(e, scope) for e, _ in items]
    columns = []
    for number, (e, alias) in enumerate(items):
        role = None
        if e in scope.made:
            role = scope.columns[scope.made[e]].role
        elif e[0] == "col":
            role = scope.columns[scope.find(e[1], e[2])].role
        columns.append(Column(None, name_of(e, alias, number), compiled[number][1], role))
    return Relation(node.feeds(Map(None, [run for run, _ in compiled])), columns)


def find_over(tree):
    if isinstance(tree, tuple) and len(tree) == 6 and tree[0] == "call" and tree[5] is not None:
        return [tree]
    if isinstance(tree, (list, tuple)):
        return [found for part in tree for found in find_over(part)]
    return []


def old_windows(tree):
    """GROUP BY TUMBLE(ts, size) as a window function."""
    if tree.group_all is None:
        return tree
    window = next((e for e in tree.group_all if e[0] == "call" and e[1] in LEGACY), None)
    if window is None:
        return tree

    def swap(part):
        if part == window:
            return ("col", None, "window_start")
        if isinstance(part, tuple) and part and part[0] == "call" and part[1].partition("_")[0] in LEGACY:
            return ("col", None, LEGACY_COLUMNS[part[1].partition("_")[2]])
        if isinstance(part, (list, tuple)):
            return type(part)(swap(each) for each in part)
        return part
    partition = [e for e in tree.group_all if e != window]
    made = sql.Window(window[1], tree.table, window[2][0][2], [a[1] for a in window[2][1:]], partition)
    group = [[swap(e) for e in one] + [("col", None, "window_end")] for one in tree.group]
    return sql.Select(swap(tree.items), made, tree.where, group, swap(tree.group_all) + [("col", None, "window_end")],
                      swap(tree.having), tree.windows, tree.distinct)
