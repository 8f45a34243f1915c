"""A small reader of the SQL that conformance cases are written in: text to nested tuples and Select objects.

Expressions are tuples whose first item names the form: ("lit", value, type), ("col", table or None, name), ("call", NAME, arguments,
distinct, filter, over), ("bin", operator, a, b), ... Queries are Select and Union, tables are Table, Window, Nested, Join, Match, Function.
"""

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""\s+|--[^\n]*|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<text>'(?:[^']|'')*')|`(?P<quoted>[^`]*)`
    |(?P<word>[A-Za-z_$][A-Za-z_0-9$]*)|(?P<sign><>|!=|<=|>=|=>|\|\||\*\?|\+\?|\}\?|[-+*/%=<>(),.;{}\[\]?|^$])""", re.X)

UNIT_MS = {"MILLISECOND": 1, "SECOND": 1000, "MINUTE": 60000, "HOUR": 3600000, "DAY": 86400000}
WINDOW_FUNCTIONS = ("TUMBLE", "HOP", "CUMULATE", "SESSION")
CLAUSES = {"FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "ON", "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "ORDER", "FOR",
           "MATCH_RECOGNIZE", "AS", "AND", "OR", "SEMI", "ANTI", "QUALIFY"}


@dataclass
class Select:
    items: list = field(default_factory=list)  # (expression, alias or None)
    table: object = None
    where: tuple = None
    group: list = None  # of lists: grouping sets
    group_all: list = None  # every grouped expression, in order
    having: tuple = None
    windows: dict = field(default_factory=dict)
    distinct: bool = False


@dataclass
class Union:
    left: object
    right: object
    all: bool
    kind: str = "UNION"


@dataclass
class Table:
    name: str
    alias: str = None
    as_of: tuple = None


@dataclass
class Nested:
    query: object
    alias: str = None


@dataclass
class Window:
    kind: str
    table: object
    time: str
    lengths: list
    partition: list
    alias: str = None


@dataclass
class Join:
    kind: str
    left: object
    right: object
    on: tuple


@dataclass
class Match:
    table: object
    partition: list = field(default_factory=list)
    order: list = field(default_factory=list)
    measures: list = field(default_factory=list)
    skip: tuple = ("skip_to_next", None)
    pattern: list = field(default_factory=list)  # (variable, from, to, greedy)
    within: int = None
    define: dict = field(default_factory=dict)
    alias: str = None


@dataclass
class Function:
    name: str
    arguments: dict
    table: object = None
    partition: list = field(default_factory=list)
    order: list = field(default_factory=list)
    alias: str = None


def tokens_of(text):
    tokens, place = [], 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if not found:
            raise SyntaxError(f"SQL: {text[place:place + 20]!r}")
        kind = found.lastgroup
        if kind:
            tokens.append((kind, found.group(kind)))
        place = found.end()
    tokens.append(("end", ""))
    return tokens


class Parser:
    def __init__(self, text):
        self.tokens = tokens_of(text)
        self.at = 0
        self.views = {}

    # ---- tokens

    def word(self, ahead=0):
        if self.at + ahead >= len(self.tokens):
            return None
        kind, text = self.tokens[self.at + ahead]
        return text.upper() if kind == "word" else text if kind == "sign" else None

    def take(self, *words):
        for i, word in enumerate(words):
            if self.word(i) != word:
                return False
        self.at += len(words)
        return True

    def need(self, *words):
        if not self.take(*words):
            raise SyntaxError(f"SQL: expected {' '.join(words)}, found {self.tokens[self.at:self.at + 4]}")

    def name(self):
        kind, text = self.tokens[self.at]
        if kind not in ("word", "quoted"):
            raise SyntaxError(f"SQL: expected a name, found {text!r}")
        self.at += 1
        return text

    def alias(self):
        if self.take("AS"):
            return self.name()
        kind, text = self.tokens[self.at]
        if kind == "quoted" or (kind == "word" and text.upper() not in CLAUSES):
            return self.name()
        return None

    def list_of(self, one):
        items = [one()]
        while self.take(","):
            items.append(one())
        return items

    # ---- queries

    def whole(self):
        query = self.query()
        self.take(";")
        if self.tokens[self.at][0] != "end":
            raise SyntaxError(f"SQL: what follows is not known: {self.tokens[self.at:self.at + 5]}")
        return query

    def query(self):
        if self.take("WITH"):
            for name, query in self.list_of(self.with_item):
                self.views[name] = query
        left = self.primary_query()
        while self.word() in ("UNION", "INTERSECT", "EXCEPT"):
            kind = self.word()
            self.take(kind)
            everything = self.take("ALL")
            left = Union(left, self.primary_query(), everything, kind)
        return left

    def with_item(self):
        name = self.name()
        self.need("AS", "(")
        query = self.query()
        self.need(")")
        return name, query

    def primary_query(self):
        if self.take("("):
            query = self.query()
            self.need(")")
            return query
        return self.select()

    def select(self):
        self.need("SELECT")
        query = Select()
        query.distinct = self.take("DISTINCT")
        query.items = self.list_of(self.item)
        self.need("FROM")
        query.table = self.tables()
        if self.take("WHERE"):
            query.where = self.expression()
        if self.take("GROUP", "BY"):
            self.grouping(query)
        if self.take("HAVING"):
            query.having = self.expression()
        if self.take("WINDOW"):
            query.windows = dict(self.list_of(self.window_item))
        return query

    def window_item(self):
        name = self.name()
        self.need("AS")
        return name, self.over_body()

    def item(self):
        if self.take("*"):
            return ("star", None), None
        if self.word(1) == "." and self.word(2) == "*" and self.tokens[self.at][0] in ("word", "quoted"):
            table = self.name()
            self.at += 2
            return ("star", table), None
        return self.expression(), self.alias()

    def grouping(self, query):
        sets, everything = [[]], []
        for options in self.list_of(self.group_item):
            sets = [one + option for one in sets for option in options]
            for option in options:
                everything += [e for e in option if e not in everything]
        query.group, query.group_all = sets, everything

    def group_item(self):
        """The alternatives that an item stands for, each a list of expressions."""
        if self.take("GROUPING", "SETS"):
            self.need("(")
            options = [option for item in self.list_of(self.group_item) for option in item]
            self.need(")")
            return options
        if self.take("ROLLUP"):
            items = self.parenthesised()
            return [items[:n] for n in range(len(items), -1, -1)]
        if self.take("CUBE"):
            items = self.parenthesised()
            return [[e for i, e in enumerate(items) if mask >> i & 1] for mask in range(2 ** len(items) - 1, -1, -1)]
        if self.word() == "(":
            return [self.parenthesised()]
        return [[self.expression()]]

    def parenthesised(self):
        self.need("(")
        items = [] if self.word() == ")" else self.list_of(self.expression)
        self.need(")")
        return items

    # ---- tables

    def tables(self):
        left = self.table()
        while True:
            kind = self.join_kind()
            if not kind:
                return left
            right = self.table()
            on = self.expression() if kind != "CROSS" and self.take("ON") else None
            left = Join(kind, left, right, on)

    def join_kind(self):
        for kind in ("LEFT", "RIGHT", "FULL"):
            if self.take(kind):
                self.take("OUTER")
                self.need("JOIN")
                return kind
        if self.take("CROSS", "JOIN") or self.take(","):
            return "CROSS"
        if self.take("INNER", "JOIN") or self.take("JOIN"):
            return "INNER"
        return None

    def table(self):
        if self.take("TABLE", "("):
            table = self.window_or_function()
            self.need(")")
        elif self.take("LATERAL", "TABLE", "("):
            raise SyntaxError("LATERAL")
        elif self.take("("):
            table = Nested(self.query())
            self.need(")")
        elif self.word(1) == "(" and self.word() != "MATCH_RECOGNIZE":
            table = self.window_or_function()
        else:
            table = Table(self.name())
            if table.name in self.views:
                table = Nested(self.views[table.name], table.name)
        if self.take("FOR", "SYSTEM_TIME", "AS", "OF"):
            table.as_of = self.expression()
        if self.take("MATCH_RECOGNIZE"):
            table = self.match(table)
        table.alias = self.alias() or table.alias
        return table

    def window_or_function(self):
        if self.word() in WINDOW_FUNCTIONS:
            return self.window()
        return self.function()

    def table_argument(self):
        """TABLE name or (query), with PARTITION BY and ORDER BY."""
        self.need("TABLE")
        if self.take("("):
            table = Nested(self.query())
            self.need(")")
        else:
            table = Table(self.name())
            if table.name in self.views:
                table = Nested(self.views[table.name], table.name)
        partition, order = [], []
        if self.take("PARTITION", "BY"):
            partition = self.parenthesised() if self.word() == "(" else [self.expression()]
            while self.word() == "," and self.tokens[self.at + 1][0] in ("word", "quoted") and \
                    self.word(1) != "DESCRIPTOR" and self.word(2) != "=>" and self.word(1) not in ("INTERVAL",):
                self.need(",")
                partition.append(self.expression())
        if self.take("ORDER", "BY"):
            if self.take("("):
                order = self.list_of(self.order_item)
                self.need(")")
            else:
                order = [self.order_item()]
        return table, partition, order

    def descriptor(self):
        self.need("DESCRIPTOR", "(")
        names = self.list_of(self.name)
        self.need(")")
        return names

    def window(self):
        kind = self.name().upper()
        self.need("(")
        table, partition, _ = self.table_argument()
        self.need(",")
        time = self.descriptor()[0]
        lengths = []
        while self.take(","):
            lengths.append(self.interval())
        self.need(")")
        return Window(kind, table, time, lengths, partition)

    def interval(self):
        value = self.expression()
        if value[0] != "lit":
            raise SyntaxError("SQL: an interval has to be a literal")
        return value[1]

    def function(self):
        made = Function(self.name(), {})
        self.need("(")
        if self.word() != ")":
            for name, value in self.list_of(self.argument):
                if isinstance(value, tuple) and value and value[0] == "table":
                    _, table, partition, order = value
                    if made.table is None:
                        made.table, made.partition, made.order = table, partition, order
                made.arguments[name or str(len(made.arguments))] = value
        self.need(")")
        return made

    def argument(self):
        name = None
        if self.word(1) == "=>":
            name = self.name()
            self.at += 1
        if self.word() == "TABLE":
            return name, ("table", *self.table_argument())
        if self.word() == "DESCRIPTOR":
            return name, ("descriptor", self.descriptor())
        return name, self.expression()

    # ---- MATCH_RECOGNIZE

    def match(self, table):
        made = Match(table)
        self.need("(")
        if self.take("PARTITION", "BY"):
            made.partition = self.list_of(self.expression)
        if self.take("ORDER", "BY"):
            made.order = self.list_of(self.order_item)
        if self.take("MEASURES"):
            made.measures = self.list_of(self.measure)
        self.take("ONE", "ROW", "PER", "MATCH")
        if self.take("AFTER", "MATCH"):
            made.skip = self.skip()
        self.need("PATTERN", "(")
        while not self.take(")"):
            made.pattern.append(self.pattern_item())
        if self.take("WITHIN"):
            made.within = self.interval()
        if self.take("DEFINE"):
            made.define = dict(self.list_of(self.definition))
        self.need(")")
        return made

    def measure(self):
        value = self.expression()
        self.need("AS")
        return value, self.name()

    def definition(self):
        name = self.name()
        self.need("AS")
        return name, self.expression()

    def skip(self):
        if self.take("SKIP", "PAST", "LAST", "ROW"):
            return "skip_past_last_event", None
        if self.take("SKIP", "TO", "NEXT", "ROW"):
            return "skip_to_next", None
        self.need("SKIP", "TO")
        if self.take("FIRST"):
            return "skip_to_first", self.name()
        self.take("LAST")
        return "skip_to_last", self.name()

    def pattern_item(self):
        name, low, high = self.name(), 1, 1
        if self.take("*?"):
            return name, 0, None, False
        if self.take("+?"):
            return name, 1, None, False
        if self.take("*"):
            low, high = 0, None
        elif self.take("+"):
            low, high = 1, None
        elif self.take("?"):
            low, high = 0, 1
        elif self.take("{"):
            low = self.number() if self.word() != "," else 0
            high = low
            if self.take(","):
                high = self.number() if self.word() not in ("}", "}?") else None
            if self.take("}?"):
                return name, low, high, False
            self.need("}")
        return name, low, high, not self.take("?")

    def number(self):
        kind, text = self.tokens[self.at]
        if kind != "number":
            raise SyntaxError(f"SQL: expected a number, found {text!r}")
        self.at += 1
        return int(text)

    # ---- expressions

    def order_item(self):
        value = self.expression()
        descending = self.take("DESC")
        if not descending:
            self.take("ASC")
        nulls_last = descending
        if self.take("NULLS", "LAST"):
            nulls_last = True
        elif self.take("NULLS", "FIRST"):
            nulls_last = False
        return value, descending, nulls_last

    def expression(self):
        return freeze(self.disjunction())

    def disjunction(self):
        left = self.conjunction()
        while self.take("OR"):
            left = ("or", left, self.conjunction())
        return left

    def conjunction(self):
        left = self.negation()
        while self.take("AND"):
            left = ("and", left, self.negation())
        return left

    def negation(self):
        return ("not", self.negation()) if self.take("NOT") else self.comparison()

    def comparison(self):
        left = self.sum()
        while True:
            if self.take("IS"):
                left = self.is_what(left)
                continue
            negated = self.word() == "NOT" and self.word(1) in ("BETWEEN", "IN", "LIKE")
            if negated:
                self.at += 1
            if self.take("BETWEEN"):
                low = self.sum()
                self.need("AND")
                left = ("between", left, low, self.sum())
            elif self.take("IN"):
                self.need("(")
                if self.word() in ("SELECT", "WITH"):
                    left = ("in_query", left, self.query())
                else:
                    left = ("in", left, self.list_of(self.expression))
                self.need(")")
            elif self.take("LIKE"):
                left = ("like", left, self.sum())
            elif self.word() in ("=", "<>", "!=", "<", "<=", ">", ">="):
                sign = self.word()
                self.at += 1
                left = ("compare", "<>" if sign == "!=" else sign, left, self.sum())
            else:
                return left
            if negated:
                left = ("not", left)

    def is_what(self, value):
        negated = self.take("NOT")
        if self.take("NULL"):
            made = ("is_null", value)
        elif self.take("TRUE"):
            made = ("is_truth", value, True)
        elif self.take("FALSE"):
            made = ("is_truth", value, False)
        else:
            self.need("DISTINCT", "FROM")
            made = ("distinct_from", value, self.sum())
        return ("not", made) if negated else made

    def sum(self):
        left = self.product()
        while self.word() in ("+", "-", "||"):
            sign = self.word()
            self.at += 1
            left = ("bin", sign, left, self.product())
        return left

    def product(self):
        left = self.unary()
        while self.word() in ("*", "/", "%"):
            sign = self.word()
            self.at += 1
            left = ("bin", sign, left, self.unary())
        return left

    def unary(self):
        if self.take("-"):
            value = self.unary()
            if value[0] == "lit":
                return ("lit", -value[1], value[2])
            return ("neg", value)
        self.take("+")
        return self.primary()

    def primary(self):
        kind, text = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            return number_literal(text)
        if kind == "text":
            self.at += 1
            return ("lit", text[1:-1].replace("''", "'"), "STRING")
        if kind == "sign" and text == "(":
            self.at += 1
            if self.word() == "SELECT":
                raise SyntaxError("SQL: a query as a value")
            value = self.expression()
            self.need(")")
            return value
        if kind == "word":
            special = self.special(text.upper())
            if special:
                return special
            if self.word(1) == "(":
                return self.call()
        name = self.name()
        if self.word() == "." and self.tokens[self.at + 1][0] in ("word", "quoted"):
            self.at += 1
            return ("col", name, self.name())
        return ("col", None, name)

    def special(self, word):
        if word in ("TRUE", "FALSE"):
            self.at += 1
            return ("lit", word == "TRUE", "BOOLEAN")
        if word == "NULL":
            self.at += 1
            return ("lit", None, "NULL")
        if word == "CASE":
            return self.case()
        if word == "CAST" and self.word(1) == "(":
            self.at += 2
            value = self.expression()
            self.need("AS")
            kind = self.type()
            self.need(")")
            return ("cast", value, kind)
        if word == "INTERVAL":
            return self.interval_literal()
        if word == "EXISTS" and self.word(1) == "(":
            self.at += 2
            query = self.query()
            self.need(")")
            return ("exists", query)
        if word == "TIMESTAMP" and self.tokens[self.at + 1][0] == "text":
            from values import parse_time
            text = self.tokens[self.at + 1][1][1:-1]
            self.at += 2
            return ("lit", parse_time(text), "TIMESTAMP(3)")
        if word == "ARRAY" and self.word(1) == "[":
            self.at += 2
            items = self.list_of(self.expression)
            self.need("]")
            return ("call", "ARRAY", items, False, None, None)
        return None

    def interval_literal(self):
        self.at += 1
        sign = -1 if self.take("-") else 1
        text = self.tokens[self.at][1][1:-1]
        self.at += 1
        unit = self.name().upper()
        if self.take("("):
            self.list_of(self.number)
            self.need(")")
        if text.startswith("-"):
            sign, text = -sign, text[1:]
        whole, _, part = text.partition(".")
        value = int(whole) * UNIT_MS[unit.removesuffix("S")] + (int(part[:3].ljust(3, "0")) if part else 0)
        return ("lit", sign * value, "INTERVAL")

    def type(self):
        name = self.name().upper()
        if self.take("("):
            sizes = self.list_of(self.number)
            self.need(")")
            name += f"({', '.join(map(str, sizes))})"
        return "TIMESTAMP(3)" if name == "TIMESTAMP" else "TIMESTAMP_LTZ(3)" if name == "TIMESTAMP_LTZ" else name

    def case(self):
        self.need("CASE")
        operand = None if self.word() == "WHEN" else self.expression()
        branches, otherwise = [], ("lit", None, "NULL")
        while self.take("WHEN"):
            when = self.expression()
            self.need("THEN")
            branches.append((when if operand is None else ("compare", "=", operand, when), self.expression()))
        if self.take("ELSE"):
            otherwise = self.expression()
        self.need("END")
        return ("case", branches, otherwise)

    def call(self):
        name = self.name().upper()
        self.need("(")
        distinct = self.take("DISTINCT")
        arguments = []
        if self.take("*"):
            arguments = [("star", None)]
        elif self.word() != ")":
            arguments = self.list_of(self.expression)
        self.need(")")
        only = over = None
        if self.take("FILTER", "(", "WHERE"):
            only = self.expression()
            self.need(")")
        if self.take("OVER"):
            over = self.over_body() if self.word() == "(" else self.name()
        return ("call", name, arguments, distinct, only, over)

    def over_body(self):
        """(partition, order, frame): a frame is (RANGE or ROWS, how far back or None)."""
        self.need("(")
        partition, order, frame = [], [], None
        if self.take("PARTITION", "BY"):
            partition = self.list_of(self.expression)
        if self.take("ORDER", "BY"):
            order = self.list_of(self.order_item)
        for kind in ("RANGE", "ROWS"):
            if self.take(kind):
                between = self.take("BETWEEN")
                if self.take("UNBOUNDED"):
                    back = None
                elif self.take("CURRENT", "ROW"):
                    back = 0
                else:
                    back = self.interval()
                if back != 0 or self.word() == "PRECEDING":
                    self.need("PRECEDING")
                if between:
                    self.need("AND", "CURRENT", "ROW")
                frame = (kind, back)
        self.need(")")
        return partition, order, frame


def freeze(tree):
    """The same tree with tuples in place of lists, so that it can be a key."""
    if isinstance(tree, (list, tuple)):
        return tuple(freeze(part) for part in tree)
    return tree


def number_literal(text):
    if "e" in text or "E" in text:
        return ("lit", float(text), "DOUBLE")
    if "." in text:
        from decimal import Decimal
        digits = text.replace(".", "").lstrip("0")
        scale = len(text.split(".")[1])
        return ("lit", Decimal(text), f"DECIMAL({max(len(digits), scale, 1)}, {scale})")
    return ("lit", int(text), "INT" if int(text) < 2 ** 31 else "BIGINT")


def parse(text):
    return Parser(text).whole()


def parse_expression(text):
    parser = Parser(text)
    value = parser.expression()
    if parser.tokens[parser.at][0] != "end":
        raise SyntaxError(f"SQL: {text}")
    return value
