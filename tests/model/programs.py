"""Random programs, a function for each construct: it gets a random source and gives (program, input lines, how to compare), and a dict of
what must be so (batch, workers, recover) where the results depend on it."""

import inputs

UNIT = 1000
CONSTRUCTS = {}


def construct(function):
    CONSTRUCTS[function.__name__] = function
    return function


def seconds(ms):
    sign = "-" if ms < 0 else ""
    ms = abs(ms)
    return f"INTERVAL '{sign}{ms // 1000}.{ms % 1000:03d}' SECOND" if ms % 1000 else f"INTERVAL '{sign}{ms // 1000}' SECOND"


def sql_program(streams, query, changelog="insert_only", primary_key=None):
    output = {"columns": {}}
    if changelog != "insert_only":
        output["changelog_mode"] = changelog
    if primary_key:
        output["primary_key"] = primary_key
    return {"kind": "sql", "streams": streams, "query": query, "outputs": {"main": output}}


# ---- expressions

NUMBERS = {"v": "INT", "w": "BIGINT", "d": "DOUBLE", "g": "INT"}
TEXTS = ["k", "s"]


def number(rng, depth=1, names=("v", "w", "d", "g")):
    if depth == 0 or rng.random() < 0.4:
        return rng.choice(list(names)) if rng.random() < 0.75 else str(rng.choice([0, 1, 2, 7]))
    a, b = number(rng, depth - 1, names), number(rng, depth - 1, names)
    form = rng.randrange(7)
    if form < 3:
        return f"({a} {'+-*'[form]} {b})"
    if form == 3:
        return f"COALESCE({a}, {b})"
    if form == 4:
        return f"CASE WHEN {condition(rng, depth - 1)} THEN {a} ELSE {b} END"
    if form == 5:
        return f"ABS({a})"
    return f"NULLIF({a}, {b})"


def text(rng):
    return rng.choice(["k", "s", "UPPER(k)", "COALESCE(s, 'none')", "k || s", "LOWER(s)", "SUBSTRING(s, 1, 2)"])


def condition(rng, depth=2):
    form = rng.randrange(9 if depth > 0 else 6)
    if form == 0:
        return f"{number(rng, 0)} {rng.choice(['=', '<>', '<', '<=', '>', '>='])} {number(rng, 0)}"
    if form == 1:
        return f"{rng.choice(['v', 'k', 's', 'd'])} IS {rng.choice(['', 'NOT '])}NULL"
    if form == 2:
        return f"v {rng.choice(['', 'NOT '])}BETWEEN {rng.randrange(-3, 3)} AND {rng.randrange(0, 9)}"
    if form == 3:
        return f"k {rng.choice(['', 'NOT '])}IN ('a', '{rng.choice('bcx')}')"
    if form == 4:
        return f"s LIKE '{rng.choice(['x%', '%l%', '_', '%', 'zz'])}'"
    if form == 5:
        return f"v {rng.choice(['=', '<', '>', '>='])} {rng.randrange(-2, 8)}"
    if form == 8:
        return f"NOT ({condition(rng, depth - 1)})"
    return f"({condition(rng, depth - 1)} {'AND' if form == 6 else 'OR'} {condition(rng, depth - 1)})"


def maybe_where(rng, chance=0.3):
    return f" WHERE {condition(rng, 1)}" if rng.random() < chance else ""


def aggregate(rng, ordered=True, distinct=True):
    """ordered: FIRST_VALUE and LAST_VALUE may occur. Flink has no merge for them, so not where panes are merged."""
    form = rng.randrange(12)
    argument = rng.choice(["v", "w", "d"])
    if form < 2:
        made = "COUNT(*)"
    elif form == 2:
        made = f"COUNT({rng.choice(['v', 's', 'k', 'd'])})"
    elif form == 3 and distinct:
        made = f"COUNT(DISTINCT {rng.choice(['v', 's'])})"
    elif form == 4 and distinct:
        made = f"SUM(DISTINCT {argument})"
    elif form == 5:
        made = f"AVG({argument})"
    elif form == 6:
        made = f"MIN({rng.choice([argument, 's'])})"
    elif form == 7:
        made = f"MAX({rng.choice([argument, 's'])})"
    elif form == 8:
        made = f"SUM({number(rng, 1, ('v', 'w', 'd'))})"
    elif form == 9 and ordered:
        made = f"{rng.choice(['FIRST_VALUE', 'LAST_VALUE'])}({rng.choice(['v', 's'])})"
    else:
        made = f"SUM({argument})"
    if rng.random() < 0.2:
        made += f" FILTER (WHERE {condition(rng, 1)})"
    return made


def aggregates(rng, ordered=False):
    return [f"{aggregate(rng, ordered)} AS x{i}" for i in range(rng.randrange(1, 4))]


def having(rng, chance=0.15):
    return f" HAVING {rng.choice(['COUNT(*) > 1', 'SUM(v) > 3', 'COUNT(*) < 4', 'MIN(v) IS NOT NULL'])}" if rng.random() < chance else ""


# ---- windows

def window(rng, table="T", time="ts", kinds=("TUMBLE", "HOP", "CUMULATE")):
    kind = rng.choice(kinds)
    size = rng.choice([2, 3, 5, 6]) * UNIT
    step = size // rng.choice([1, 2] if size % 2000 == 0 else [1, 3] if size % 3000 == 0 else [1, 5])
    lengths = [size] if kind == "TUMBLE" else [step, size]
    if rng.random() < 0.25:
        lengths.append(rng.choice([1, -1, UNIT, -UNIT, 1500, -500]) if abs(lengths[0]) > 1500 else rng.choice([1, -1, 500, -500]))
    return f"{kind}(TABLE {table}, DESCRIPTOR({time}), {', '.join(map(seconds, lengths))})"


def keys(rng, most=2):
    return rng.sample(["k", "g", "s"], rng.randrange(0, most + 1))


@construct
def select(rng):
    shape = inputs.Shape(rng, UNIT, event_time=rng.random() < 0.7)
    shape.maybe_no_watermark()
    streams = {"T": shape.stream()}
    items = [f"{number(rng, 2)} AS n{i}" for i in range(rng.randrange(1, 3))] + [f"{text(rng)} AS t0"]
    if rng.random() < 0.3:
        items = ["*"]
    return sql_program(streams, f"SELECT {', '.join(items)} FROM T{maybe_where(rng, 0.8)}"), inputs.rows_of(shape, streams), "ordered"


@construct
def union(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream(), "U": shape.stream()}
    source = "(SELECT k, g, v, w, d, s, ts FROM T" + maybe_where(rng) + " UNION ALL SELECT k, g, v, w, d, s, ts FROM U" + maybe_where(rng) + ")"
    if rng.random() < 0.3:
        return sql_program(streams, f"SELECT k, v FROM {source} AS b"), inputs.rows_of(shape, streams, most=24), "unordered_between_markers"
    by = keys(rng)
    query = (f"WITH b AS {source} SELECT {', '.join(by + ['window_start', 'window_end'] + aggregates(rng))} FROM TABLE({window(rng, 'b')}) "
             f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}{having(rng)}")
    return sql_program(streams, query), inputs.rows_of(shape, streams, most=24), "unordered_between_markers"


@construct
def window_aggregate(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    by, made = keys(rng), window(rng)
    items = by + ["window_start", "window_end"] + aggregates(rng, made.startswith("TUMBLE"))
    query = (f"SELECT {', '.join(items)} FROM TABLE({made}){maybe_where(rng)} "
             f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}{having(rng)}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def window_grouping_sets(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    by = rng.sample(["k", "g", "s"], 2)
    sets = rng.choice([f"GROUPING SETS (({by[0]}, {by[1]}), ({by[0]}))", f"GROUPING SETS (({by[0]}), ())", f"ROLLUP ({', '.join(by)})",
                       f"CUBE ({', '.join(by)})"])
    marked = [f"GROUPING({by[0]}) AS m0"] if rng.random() < 0.5 else []
    out = [by[0]] if "), ())" in sets else by
    query = (f"SELECT {', '.join(out + ['window_start', 'window_end'] + marked + aggregates(rng))} FROM TABLE({window(rng)}) "
             f"GROUP BY window_start, window_end, {sets}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def session_aggregate(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    by = rng.sample(["k", "g"], rng.randrange(0, 2))
    partition = f" PARTITION BY {by[0]}" if by else ""
    gap = rng.choice([1, 1000, 2000, 1001, 3000])
    query = (f"SELECT {', '.join(by + ['window_start', 'window_end'] + aggregates(rng))} "
             f"FROM TABLE(SESSION(TABLE T{partition}, DESCRIPTOR(ts), {seconds(gap)})) "
             f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}{having(rng)}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def window_rows(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    if rng.random() < 0.5:
        partition = rng.choice(["", " PARTITION BY k", " PARTITION BY g"])
        made = f"SESSION(TABLE T{partition}, DESCRIPTOR(ts), {seconds(rng.choice([1, 1000, 2000, 3000]))})"
    else:
        made = window(rng)
    items = rng.choice(["*", "k, v, window_start, window_end", "ts, d, window_time"])
    return sql_program(streams, f"SELECT {items} FROM TABLE({made})"), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def window_cascade(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    first = window(rng, kinds=("TUMBLE", "TUMBLE", "HOP"))
    inner = (f"SELECT k, g, window_start, window_end, window_time AS rt, COUNT(*) AS v, SUM(w) AS w, MAX(d) AS d FROM TABLE({first}) "
             "GROUP BY k, g, window_start, window_end, window_time")
    by = rng.choice([["k"], [], ["g"]])
    outer = ["COUNT(*) AS n", "SUM(v) AS sv", "MAX(w) AS mw", "AVG(d) AS ad"][:rng.randrange(1, 5)]
    if rng.random() < 0.5:
        query = (f"SELECT {', '.join(by + ['window_start', 'window_end'] + outer)} FROM ({inner}) AS b "
                 f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}")
    else:
        inner = inner.replace("window_start, window_end, window_time AS rt", "window_time AS rt")
        query = (f"WITH b AS ({inner}) SELECT {', '.join(by + ['window_start', 'window_end'] + outer)} "
                 f"FROM TABLE({window(rng, 'b', 'rt')}) GROUP BY {', '.join(by + ['window_start', 'window_end'])}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def group_window(rng):
    """The older form: the window in GROUP BY."""
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    by = rng.choice([[], ["k"], ["g"]])
    kind = rng.choice(["TUMBLE", "HOP", "SESSION"])
    lengths = {"TUMBLE": [rng.choice([2000, 3000, 5000])], "HOP": [1000, rng.choice([2000, 3000])], "SESSION": [rng.choice([1000, 2000])]}[kind]
    lengths = ", ".join(map(seconds, lengths))
    columns = [f"{kind}_START(ts, {lengths}) AS b", f"{kind}_END(ts, {lengths}) AS e"]
    query = (f"SELECT {', '.join(by + columns + aggregates(rng))} FROM T GROUP BY {', '.join(by + [f'{kind}(ts, {lengths})'])}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


# ---- changelogs

@construct
def group_aggregate(rng):
    shape = inputs.Shape(rng, UNIT, event_time=rng.random() < 0.5)
    shape.maybe_no_watermark()
    streams = {"T": shape.stream()}
    by = rng.choice([["k"], ["g"], ["s"], ["k", "g"], []])
    group = f" GROUP BY {', '.join(by)}" if by else ""
    filtered = having(rng) if by else ""
    if rng.random() < 0.1 and len(by) == 2:
        group = f" GROUP BY ROLLUP ({', '.join(by)})"
    query = f"SELECT {', '.join(by + aggregates(rng, ordered=True))} FROM T{maybe_where(rng)}{group}{filtered}"
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams), f"per_key:{by[0]}" if by and "ROLLUP" not in group and len(by) == 1 else "unordered"


@construct
def distinct(rng):
    shape = inputs.Shape(rng, UNIT, event_time=rng.random() < 0.5)
    shape.maybe_no_watermark()
    streams = {"T": shape.stream()}
    query = f"SELECT DISTINCT {rng.choice(['k', 'k, g', 's, v', 'v + 1 AS n'])} FROM T{maybe_where(rng)}"
    if rng.random() < 0.3:
        query = "SELECT k FROM T UNION SELECT s FROM T WHERE v > 1"
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def group_of_groups(rng):
    """A GROUP BY over the changes of another."""
    shape = inputs.Shape(rng, UNIT, event_time=False)
    streams = {"T": shape.stream()}
    inner = f"SELECT k, g, COUNT(*) AS n, SUM(v) AS sv, MAX(d) AS md FROM T{maybe_where(rng)} GROUP BY k, g"
    outer = rng.sample(["COUNT(*) AS c", "SUM(n) AS sn", "MIN(sv) AS ms", "MAX(n) AS mn", "SUM(sv) AS ss", "COUNT(DISTINCT n) AS cd"], 2)
    query = f"SELECT k, {', '.join(outer)} FROM ({inner}) AS b GROUP BY k"
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams), "materialized_by:k"


# ---- joins

def two_streams(shape):
    """T and U of the same columns, U with a time column of another name."""
    left = shape.stream({"k": "STRING", "g": "INT", "v": "INT", "s": "STRING"})
    right = shape.stream({"k": "STRING", "g": "INT", "w": "BIGINT", "s": "STRING"}, time="us")
    return {"T": left, "U": right}


JOIN = {"INNER": "JOIN", "LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL OUTER JOIN"}


@construct
def window_join(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = two_streams(shape)
    made = window(rng, "T", "ts")
    other = made.replace("TABLE T", "TABLE U").replace("(ts)", "(us)")
    one, two = f"SELECT * FROM TABLE({made}){maybe_where_of(rng, 'v > 0')}", f"SELECT * FROM TABLE({other}){maybe_where_of(rng, 'w < 9')}"
    if rng.random() < 0.3:
        one = f"SELECT k, window_start, window_end, COUNT(*) AS v FROM TABLE({made}) GROUP BY k, window_start, window_end"
        two = f"SELECT k, window_start, window_end, SUM(w) AS w FROM TABLE({other}) GROUP BY k, window_start, window_end"
    same = rng.choice(["L.k = R.k", "L.k = R.k", "L.k IS NOT DISTINCT FROM R.k"]) if rng.random() < 0.9 else "TRUE"
    on = f"L.window_start = R.window_start AND L.window_end = R.window_end AND {same}"
    if rng.random() < 0.25:
        on += " AND L.v < R.w"
    kind = rng.choice([*JOIN, "SEMI", "ANTI"])
    if kind in JOIN:
        items = "L.k AS lk, L.v, L.window_start AS ls, R.k AS rk, R.w, R.window_end AS re"
        query = f"SELECT {items} FROM ({one}) L {JOIN[kind]} ({two}) R ON {on}"
    else:
        query = f"SELECT L.k, L.v, L.window_start FROM ({one}) L WHERE {'NOT ' if kind == 'ANTI' else ''}EXISTS (SELECT * FROM ({two}) R WHERE {on})"
    return sql_program(streams, query.replace(" AND TRUE", "")), inputs.rows_of(shape, streams, most=26), "unordered_between_markers"


def maybe_where_of(rng, text, chance=0.25):
    return f" WHERE {text}" if rng.random() < chance else ""


@construct
def interval_join(rng):
    shape = inputs.Shape(rng, UNIT)
    shape.base = 1_602_288_000_000
    shape.disorder = rng.choice([0, 0, 1, 3])
    streams = two_streams(shape)
    low, high = rng.choice([(-2000, 2000), (0, 3000), (-1000, 0), (-3000, -1000), (1000, 2000), (-500, 4000), (0, 0), (2000, 1000)])
    form = rng.randrange(3)
    kind = rng.choice(list(JOIN))

    def moved(ms):
        return f"U.us {'+' if ms >= 0 else '-'} {seconds(abs(ms))}"
    if form == 0:
        between = f"T.ts BETWEEN {moved(low)} AND {moved(high)}"
    elif form == 1:
        between = f"T.ts >= {moved(low)} AND T.ts < {moved(high)}"
    else:
        between = f"T.ts > {moved(low)} AND T.ts <= {moved(high)}"
    on = f"T.k = U.k AND {between}" + (" AND T.v < U.w" if rng.random() < 0.3 else "")
    query = f"SELECT T.k AS tk, T.v, T.ts, U.k AS uk, U.w, U.us FROM T {JOIN[kind]} U ON {on}"
    return sql_program(streams, query), inputs.rows_of(shape, streams, most=26), "unordered", {"workers": 1}


def no_null_key(rng):
    def make(_, row):
        if row.get("k", "") is None:
            row["k"] = rng.choice("ab")
    return make


def versions(rng, delete=0.15):
    """A last hand on rows of U: changes of a table whose key is k."""
    table = {}

    def make(name, row):
        if name != "U":
            return None
        key = row["k"]
        if key is None:
            key = row["k"] = "a"
        if key not in table:
            row["__op__"] = "+I"
            table[key] = dict(row)
        elif rng.random() < delete:
            row["__op__"] = "-D"
            del table[key]
        else:
            row["__op__"] = "+U"
            table[key] = dict(row)
        return None
    return make


@construct
def temporal_join(rng):
    shape = inputs.Shape(rng, UNIT)
    shape.disorder = rng.choice([0, 0, 1, 2])
    streams = two_streams(shape)
    streams["U"]["primary_key"] = ["k"]
    streams["U"]["changelog_mode"] = "retract"
    streams["T"]["watermark"] = {"strategy": "bounded_out_of_orderness", "delay_ms": 3000, "sql_semantics": False}
    kind = rng.choice(["JOIN", "LEFT JOIN"])
    on = "T.k = r.k" + (" AND T.v < r.w" if rng.random() < 0.2 else "")
    query = f"SELECT T.k, T.v, T.ts, r.w, r.us FROM T {kind} U FOR SYSTEM_TIME AS OF T.ts AS r ON {on}"
    return sql_program(streams, query), inputs.rows_of(shape, streams, most=26, make=versions(rng)), "unordered"


@construct
def regular_join(rng):
    shape = inputs.Shape(rng, UNIT, event_time=False)
    streams = {"T": shape.stream({"k": "STRING", "g": "INT", "v": "INT"}), "U": shape.stream({"k": "STRING", "g": "INT", "w": "BIGINT"})}
    kind = rng.choice([*JOIN, "SEMI", "ANTI"])
    on = "T.k = U.k" + (" AND T.v < U.w" if rng.random() < 0.3 else "") + (" AND T.g = U.g" if rng.random() < 0.3 else "")
    if kind in JOIN:
        query = f"SELECT T.k AS tk, T.v, U.k AS uk, U.w FROM T {JOIN[kind]} U ON {on}"
        if rng.random() < 0.2:
            query = f"SELECT j.tk, COUNT(*) AS n, SUM(j.w) AS sw FROM ({query}) AS j GROUP BY j.tk"
    elif kind == "SEMI" and rng.random() < 0.5:
        query = "SELECT T.k, T.v FROM T WHERE T.k IN (SELECT U.k FROM U)"
    else:
        query = f"SELECT T.k, T.v FROM T WHERE {'NOT ' if kind == 'ANTI' else ''}EXISTS (SELECT * FROM U WHERE {on})"
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams, most=24), "materialized"


# ---- OVER, ranks

@construct
def over(rng):
    shape = inputs.Shape(rng, UNIT)
    shape.base = rng.choice([100_000, 1_602_288_000_000])  # times below 0 are late for bounded frames
    streams = {"T": shape.stream()}
    partition = rng.choice(["PARTITION BY k ", "PARTITION BY g ", ""])
    frame = rng.choice(["", "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                        f"ROWS BETWEEN {rng.randrange(1, 4)} PRECEDING AND CURRENT ROW",
                        f"RANGE BETWEEN {seconds(rng.choice([1, 1000, 2000, 5000]))} PRECEDING AND CURRENT ROW"])
    if rng.random() < 0.15:
        calls, frame = ["LAG(v) OVER w AS x0", "LAG(s, 2) OVER w AS x1"][:rng.randrange(1, 3)], ""
    elif rng.random() < 0.1:
        calls, frame = ["ROW_NUMBER() OVER w AS x0"], ""
    else:
        some = rng.sample(["COUNT(*)", "SUM(v)", "AVG(w)", "MIN(v)", "MAX(d)", "COUNT(s)", "FIRST_VALUE(v)", "LAST_VALUE(v)", "COUNT(DISTINCT v)"],
                          rng.randrange(1, 4))
        calls = [f"{call} OVER w AS x{i}" for i, call in enumerate(some)]
    query = f"SELECT k, v, ts, {', '.join(calls)} FROM T{maybe_where(rng, 0.2)} WINDOW w AS ({partition}ORDER BY ts {frame})"
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def window_top_n(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    made, by = window(rng), rng.choice(["", ", k", ", g"])
    if rng.random() < 0.5:
        inner = f"SELECT k, window_start, window_end, COUNT(*) AS n, SUM(v) AS sv FROM TABLE({made}) GROUP BY k, window_start, window_end"
        by, order = "", rng.choice(["n DESC, k ASC", "sv DESC, k", "k"])
        columns = "k, n, sv, window_start, window_end, rn"
    else:
        inner, order = f"SELECT * FROM TABLE({made})", rng.choice(["v DESC", "v", "d, s", "ts", "ts DESC", "w DESC, v"])
        columns = "k, v, d, ts, window_start, window_end, rn"
    bound = rng.choice(["rn <= 2", "rn = 1", "rn < 3", "rn > 1 AND rn <= 3", "rn <= 1"])
    query = (f"SELECT {columns} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end{by} ORDER BY {order}) AS rn "
             f"FROM ({inner}) AS a) AS b WHERE {bound}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def deduplicate(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    by = rng.choice(["k", "g"])
    query = (f"SELECT {by}, v, s, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY ts {rng.choice(['ASC', 'DESC'])}) AS rn "
             "FROM T) AS b WHERE rn = 1")
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams), f"per_key:{by}"


@construct
def deduplicate_first(rng):
    """First rows where new rows only are taken: they wait for the watermark."""
    shape = inputs.Shape(rng, UNIT)
    shape.base = rng.choice([100_000, 1_602_288_000_000])  # as for over
    streams = {"T": shape.stream()}
    by = rng.choice(["k", "g", "k, g"])
    first = f"(SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY ts) AS rn FROM T) AS b WHERE rn = 1) AS f"
    size = seconds(rng.choice([2, 5]) * UNIT)
    query = rng.choice([
        f"SELECT k, g, v, s, ts FROM {first}",
        f"SELECT k, g, v, s, ts FROM {first}{maybe_where(rng, 1)}",
        f"SELECT k, v, ts FROM {first} UNION ALL SELECT k, v, ts FROM T WHERE v > 5",
        f"SELECT k, COUNT(*) AS n, SUM(v) AS sv, TUMBLE_END(ts, {size}) AS ended FROM {first} GROUP BY k, TUMBLE(ts, {size})",
        f"SELECT k, v, ts, SUM(v) OVER (PARTITION BY g ORDER BY ts) AS x FROM {first}",
        f"SELECT f.k, f.v, T.v AS w FROM {first} JOIN T ON f.k = T.k AND T.ts BETWEEN f.ts AND f.ts + {size}",
        # which of equal times of different keys comes first is not said
        f"SELECT k, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS n FROM {first}) AS c WHERE n = 1",
    ])
    # A row that leaves behind its own time is late for what follows if that was told of that time: of several instances not each is told of all.
    fixed = {"workers": 1} if "TUMBLE" in query or "SUM(v) OVER" in query else {}
    if " JOIN " in query:  # two ways lead from T to it: how far it is in each when a row comes depends on batches
        fixed = {"workers": 1, "batch": 1}
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers", fixed


@construct
def top_n(rng):
    shape = inputs.Shape(rng, UNIT, event_time=False)
    streams = {"T": shape.stream()}
    by = rng.choice(["PARTITION BY k ", "PARTITION BY g ", ""])
    source = "T"
    order = rng.choice(["v DESC, w", "v", "w DESC", "d, v DESC"])
    columns = "k, g, v, w"
    if rng.random() < 0.3:
        source = "(SELECT k, g, SUM(v) AS v, COUNT(*) AS w, SUM(d) AS d FROM T GROUP BY k, g) AS a"
        order = rng.choice(["v DESC, k, g", "w DESC, g, k"])
    bound = rng.choice(["rn <= 2", "rn = 1", "rn < 4", "rn > 1 AND rn <= 3"])
    with_rank = ", rn" if rng.random() < 0.5 else ""
    query = (f"SELECT {columns}{with_rank} FROM (SELECT *, ROW_NUMBER() OVER ({by}ORDER BY {order}) AS rn FROM {source}) AS b WHERE {bound}")
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams), "materialized"


# ---- changelogs in

def changes(rng):
    """Rows of a changelog: additions, and updates and deletions of rows that are there."""
    table = []

    def make(rows):
        made = []
        for row in rows:
            if any(name.startswith("__") and name != "__stream__" for name in row):
                made.append(row)
                continue
            chance = rng.random()
            if table and chance < 0.2:
                old = table.pop(rng.randrange(len(table)))
                made.append({**old, "__op__": "-D"})
            elif table and chance < 0.4:
                old = table.pop(rng.randrange(len(table)))
                made += [{**old, "__op__": "-U"}, {**row, "__op__": "+U"}]
                table.append(row)
            else:
                made.append({**row, "__op__": "+I"})
                table.append(row)
        return made
    return make


@construct
def group_over_changelog(rng):
    shape = inputs.Shape(rng, UNIT, event_time=False)
    streams = {"T": shape.stream()}
    streams["T"]["changelog_mode"] = "retract"
    by = rng.choice(["k", "g"])
    query = f"SELECT {by}, {', '.join(aggregates(rng))} FROM T{maybe_where(rng)} GROUP BY {by}"
    rows = changes(rng)(inputs.rows_of(shape, streams, most=26))
    return sql_program(streams, query, "retract"), rows, f"per_key:{by}"


@construct
def window_over_changelog(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    streams["T"]["changelog_mode"] = "retract"
    by = keys(rng, 1)
    made = window(rng)
    query = (f"SELECT {', '.join(by + ['window_start', 'window_end'] + aggregates(rng))} FROM TABLE({made}) "
             f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}")
    rows = changes(rng)(inputs.rows_of(shape, streams, most=26))
    return sql_program(streams, query), rows, "unordered_between_markers"


# ---- windows of the DataStream API

SELECTED = {"n": ("BIGINT", "COUNT(*)"), "sv": ("INT", "SUM(v)"), "mx": ("INT", "MAX(v)"), "mn": ("INT", "MIN(v)"), "av": ("INT", "AVG(v)")}


def selected(rng, more):
    names = rng.sample(list(SELECTED), rng.randrange(1, 4))
    columns = {"k": "STRING", **{name: SELECTED[name][0] for name in names}, **{name: kind for name, (kind, _) in more.items()}}
    return columns, {"k": "k", **{name: SELECTED[name][1] for name in names}, **{name: text for name, (_, text) in more.items()}}


BOUNDS = {"b": ("TIMESTAMP_LTZ(3)", "window_start"), "e": ("TIMESTAMP_LTZ(3)", "window_end")}


@construct
def stream_window(rng):
    shape = inputs.Shape(rng, 1000)
    shape.time_type, shape.base = "TIMESTAMP_LTZ(3)", abs(shape.base)
    streams = {"in": shape.stream({"k": "STRING", "v": "INT"})}
    if rng.random() < 0.2:
        streams = {name: shape.stream({"k": "STRING", "v": "INT"}) for name in ("a", "b")}
    size = rng.choice([2000, 3000, 5000])
    assigner = rng.choice([{"type": "TumblingEventTimeWindows", "size_ms": size, "offset_ms": rng.choice([0, 0, 500, 1])},
                           {"type": "SlidingEventTimeWindows", "size_ms": 3000, "slide_ms": rng.choice([1000, 1500, 2000]), "offset_ms": 0},
                           {"type": "EventTimeSessionWindows", "gap_ms": rng.choice([1000, 2000])},
                           {"type": "DynamicEventTimeSessionWindows", "gap_expression_ms": "CASE WHEN k = 'a' THEN 3000 WHEN v > 4 THEN 1000 ELSE 2000 END"},
                           {"type": "GlobalWindows"}])
    kind = assigner["type"]
    triggers = [{"type": "CountTrigger", "count": rng.randrange(1, 5)}, {"type": "ContinuousEventTimeTrigger", "interval_ms": rng.choice([1000, 2000])}]
    trigger = rng.choice(triggers if kind == "GlobalWindows" else [{"type": "EventTimeTrigger"}] * 4 + triggers)
    trigger["purging"] = rng.random() < 0.3
    columns, select = selected(rng, {} if kind == "GlobalWindows" else BOUNDS)
    late = {"late": {"columns": {"k": "STRING", "v": "INT", "ts": "TIMESTAMP_LTZ(3)"}, "select": {"k": "k", "v": "v", "ts": "ts"}}}
    program = {"kind": "window", "streams": streams, "key_by": ["k"], "assigner": assigner, "trigger": trigger,
               "allowed_lateness_ms": 0 if kind == "GlobalWindows" else rng.choice([0, 0, 1, 1000, 4000]),
               "outputs": {"main": {"columns": columns, "select": select}, **(late if kind != "GlobalWindows" and rng.random() < 0.6 else {})}}
    if rng.random() < 0.25:
        evictors = [{"type": "TimeEvictor", "window_size_ms": rng.choice([1000, 2000])}]
        if "Session" not in kind:
            evictors.append({"type": "CountEvictor", "max_count": rng.randrange(1, 4)})
        program["evictor"] = {**rng.choice(evictors), "evict_after": rng.random() < 0.5}
    # A trigger that goes on for ever in a window without end has no end of input.
    endless = kind == "GlobalWindows" and trigger["type"] == "ContinuousEventTimeTrigger"
    rows = inputs.rows_of(shape, streams, most=28, end=0 if endless else 0.8)
    return program, rows, "unordered_between_markers"


@construct
def updating_window(rng):
    """The group windows that send updates."""
    shape = inputs.Shape(rng, 1000)
    shape.time_type, shape.base = "TIMESTAMP_LTZ(3)", 100_000  # for times below 0 these windows have a cleanup time of their own
    streams = {"in": shape.stream({"k": "STRING", "v": "INT"})}
    window = rng.choice([{"type": "tumbling_time", "size_ms": 2000}, {"type": "cumulative_time", "max_size_ms": 6000, "step_ms": 2000},
                         {"type": "sliding_time", "size_ms": rng.choice([3000, 4000]), "slide_ms": rng.choice([1000, 2000])},
                         {"type": "tumbling_count", "size": rng.randrange(1, 4)}, {"type": "sliding_count", "size": 3, "slide": rng.randrange(1, 4)}])
    timed = window["type"].endswith("time")
    columns, select = selected(rng, BOUNDS if timed else {"id": ("BIGINT", "window_id")})
    program = {"kind": "group_window", "streams": streams, "key_by": ["k"], "window": window,
               "allowed_lateness_ms": rng.choice([0, 500, 3000]) if timed else 0,
               "outputs": {"main": {"columns": columns, "select": select, "changelog_mode": "retract"}}}
    return program, inputs.rows_of(shape, streams, most=28), "per_key:k"


# ---- patterns

def pattern_rows(rng, letters="abcd"):
    def make(_, row):
        row["name"] = rng.choice(letters)
    return make


@construct
def pattern(rng):
    shape = inputs.Shape(rng, 1000)
    # Nothing at 0, as in programs_pattern.pattern_groups.
    shape.time_type, shape.base, shape.nulls = "TIMESTAMP_LTZ(3)", rng.choice([100_000, 1_602_288_000_000]), 0
    streams = {"in": shape.stream({"k": "STRING", "n": "INT", "name": "STRING", "v": "INT"})}
    count = rng.randrange(1, 4)
    stages = []
    for number in range(count):
        stages.append(pattern_stage(rng, number, stages[-1] if stages else {}))
    names = [stage["name"] for stage in stages if not stage["contiguity"].startswith("not")]
    skip = rng.choice([{"strategy": "no_skip"}, {"strategy": "no_skip"}, {"strategy": "skip_to_next"}, {"strategy": "skip_past_last_event"},
                       {"strategy": "skip_to_first", "stage": rng.choice(names)}, {"strategy": "skip_to_last", "stage": rng.choice(names)}])
    columns = {"k": "STRING", "match": "ARRAY<INT>"}
    select = {"k": "k", "match": "ARRAY_AGG(n)"}
    program = {"kind": "pattern", "streams": streams, "key_by": rng.choice([["k"], ["k"], []]), "stages": stages, "after_match_skip": skip,
               "outputs": {"main": {"columns": columns, "select": select}}}
    within = stages[-1]["contiguity"] == "not_followed_by" or rng.random() < 0.5
    if within:
        program["within_ms"] = rng.choice([1000, 2000, 3000, 5000])
        if rng.random() < 0.5:
            program["outputs"]["timeout"] = {"columns": {**columns, "at": "TIMESTAMP_LTZ(3)"}, "select": {**select, "at": "TIMEOUT_ROWTIME()"}}
    if rng.random() < 0.4:
        program["outputs"]["late"] = {"columns": {"k": "STRING", "n": "INT"}, "select": {"k": "k", "n": "n"}}
    make, number = pattern_rows(rng), iter(range(1, 1000))

    def numbered(name, row):
        make(name, row)
        row["n"] = next(number)
    rows = inputs.rows_of(shape, streams, most=18, make=numbered)
    return program, rows, "unordered"


def pattern_stage(rng, number, before):
    """Flink has neither an optional stage behind a greedy one nor a negation behind an optional one."""
    contiguity = "begin" if number == 0 else rng.choice(["next", "followed_by", "followed_by", "followed_by_any"])
    if number and not before.get("optional") and rng.random() < 0.2:
        contiguity = rng.choice(["not_next", "not_followed_by"])
    stage = {"name": f"s{number}", "contiguity": contiguity}
    stage["where"] = rng.choice([f"name = '{rng.choice('abc')}'", f"name = '{'abc'[number]}'", "name <> 'd'", "v > 1", "name IN ('a', 'b')"])
    if number and rng.random() < 0.15:
        stage["where"] += " AND v >= s0.v"
    if contiguity.startswith("not"):
        return stage
    if rng.random() < 0.45:
        low = rng.randrange(1, 3)
        stage["quantifier"] = {"from": low, "to": rng.choice([None, None, low, low + 1])}
        stage["inner_contiguity"] = rng.choice(["relaxed", "consecutive", "combinations"])
        if stage["quantifier"]["to"] is None and rng.random() < 0.2:
            stage["until"] = "name = 'd'"
        elif rng.random() < 0.25 and stage["inner_contiguity"] != "combinations":
            stage["greedy"] = True
    if number and not before.get("greedy") and rng.random() < 0.2:
        stage["optional"] = True
    return stage


@construct
def match_recognize(rng):
    shape = inputs.Shape(rng, UNIT)
    shape.base = rng.choice([1000, 1_602_288_000_000])
    streams = {"T": shape.stream()}
    letters = "ABC"[:rng.randrange(2, 4)]
    pattern, define = [], []
    for number, letter in enumerate(letters):
        last = number == len(letters) - 1
        pattern.append(letter + rng.choice([""] * 4 + (["{2}", "+?"] if last else ["+", "*", "?", "{2}", "{1,2}", "*?", "+?", "{2,}"])))
        if rng.random() < 0.85:
            define.append(f"{letter} AS {match_condition(rng, letter, letters[:number])}")
        if number and pattern[-1][1:] in ("*", "?", "*?") and pattern[-2][1:] in ("+", "*", "{1,2}", "{2,}"):
            pattern[-1] = letter  # Flink has no optional variable behind a greedy one
    if all(item[1:] in ("*", "?", "*?") for item in pattern):
        pattern[-1] = letters[-1]
    measures = [rng.choice([f"{letter}.v AS m{i}", f"LAST({letter}.v) AS m{i}", f"FIRST({letter}.w) AS m{i}", f"COUNT({letter}.v) AS m{i}",
                            f"SUM({letter}.v) AS m{i}", f"LAST({letter}.s, 1) AS m{i}", f"FIRST(ts) AS m{i}", f"MAX({letter}.d) AS m{i}"])
                for i, letter in enumerate(letters)]
    skip = rng.choice(["", " AFTER MATCH SKIP PAST LAST ROW", " AFTER MATCH SKIP PAST LAST ROW", " AFTER MATCH SKIP TO NEXT ROW",
                       f" AFTER MATCH SKIP TO LAST {letters[-1]}", f" AFTER MATCH SKIP TO FIRST {letters[-1]}"])
    within = f" WITHIN {seconds(rng.choice([1000, 2000, 4000]))}" if rng.random() < 0.4 else ""
    defined = f" DEFINE {', '.join(define)}" if define else ""
    partition = rng.choice(["PARTITION BY k ", "PARTITION BY k ", "PARTITION BY g ", ""])
    query = (f"SELECT * FROM T MATCH_RECOGNIZE ({partition}ORDER BY ts{rng.choice(['', ', v', ', w DESC'])} MEASURES {', '.join(measures)} "
             f"ONE ROW PER MATCH{skip} PATTERN ({' '.join(pattern)}){within}{defined}) AS m")
    return sql_program(streams, query), inputs.rows_of(shape, streams, most=18), "unordered"


def match_condition(rng, letter, before):
    forms = [f"{letter}.v > {rng.randrange(-1, 5)}", f"v < {rng.randrange(2, 8)}", f"{letter}.s IS NOT NULL", f"{letter}.v >= LAST({letter}.v, 1) OR LAST({letter}.v, 1) IS NULL",
             f"SUM({letter}.v) < 15", f"COUNT({letter}.v) < 3"]
    forms += [f"{letter}.v > {other}.v" for other in before] + [f"{letter}.v <= LAST({other}.v)" for other in before]
    return rng.choice(forms)
