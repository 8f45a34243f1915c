"""Random programs that go by the clock, and those that keep state for some time only."""

import inputs
from programs import UNIT, aggregate, aggregates, condition, construct, maybe_where, seconds, sql_program, window


def clock_stream(shape, columns=None):
    stream = shape.stream(columns)
    stream["processing_time"] = "pt"
    return stream


def clock_shape(rng):
    return inputs.Shape(rng, UNIT, event_time=False)


@construct
def clock_deduplicate(rng):
    shape = clock_shape(rng)
    streams = {"T": clock_stream(shape)}
    by = rng.choice(["k", "g"])
    query = (f"SELECT {by}, v, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY pt {rng.choice(['ASC', 'DESC'])}) AS rn "
             f"FROM T{maybe_where(rng)}) AS b WHERE rn = 1")
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams, clock=True), f"per_key:{by}"


@construct
def clock_over(rng):
    shape = clock_shape(rng)
    streams = {"T": clock_stream(shape)}
    partition = rng.choice(["PARTITION BY k ", "PARTITION BY g ", "PARTITION BY k, g ", ""])
    frame = rng.choice(["", "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                        f"ROWS BETWEEN {rng.randrange(1, 4)} PRECEDING AND CURRENT ROW",
                        f"RANGE BETWEEN {seconds(rng.choice([1, 1000, 2000]))} PRECEDING AND CURRENT ROW"])
    some = rng.sample(["COUNT(*)", "SUM(v)", "AVG(w)", "MIN(v)", "MAX(d)", "COUNT(s)", "FIRST_VALUE(v)", "LAST_VALUE(s)", "COUNT(DISTINCT v)"],
                      rng.randrange(1, 4))
    calls = [f"{call} OVER w AS x{i}" for i, call in enumerate(some)]
    query = f"SELECT k, v, {', '.join(calls)} FROM T{maybe_where(rng, 0.2)} WINDOW w AS ({partition}ORDER BY pt {frame})"
    return sql_program(streams, query), inputs.rows_of(shape, streams, clock=True), "unordered", {"workers": 1}


@construct
def clock_match(rng):
    shape = clock_shape(rng)
    streams = {"T": clock_stream(shape)}
    quantifier = rng.choice(["", "+", "*", "{2}", "?"])
    skip = rng.choice([" AFTER MATCH SKIP PAST LAST ROW", " AFTER MATCH SKIP TO NEXT ROW"])
    query = (f"SELECT * FROM T MATCH_RECOGNIZE ({rng.choice(['PARTITION BY k ', 'PARTITION BY g ', ''])}ORDER BY pt "
             f"MEASURES A.v AS av, COUNT(B.v) AS n, LAST(C.w) AS cw ONE ROW PER MATCH{skip} PATTERN (A B{quantifier} C) "
             f"DEFINE A AS A.v > {rng.randrange(-1, 3)}, B AS B.v >= A.v, C AS {rng.choice(['C.s IS NOT NULL', 'C.v < 9', 'C.v < A.v'])}) AS m")
    return sql_program(streams, query), inputs.rows_of(shape, streams, most=20, clock=True), "unordered", {"workers": 1}


@construct
def clock_temporal_join(rng):
    """With the version there is when the row comes."""
    shape = clock_shape(rng)
    streams = {"T": clock_stream(shape, {"k": "STRING", "g": "INT", "v": "INT"}), "U": shape.stream({"k": "STRING", "w": "BIGINT"})}
    streams["U"].update(primary_key=["k"], changelog_mode="retract")
    table = {}

    def make(name, row):
        if name != "U":
            return
        row["k"] = row["k"] or "a"
        present = row["k"] in table
        row["__op__"] = "+I" if not present else "-D" if rng.random() < 0.2 else "+U"
        if row["__op__"] == "-D":
            row.update(table.pop(row["k"]))
        else:
            table[row["k"]] = {"w": row["w"]}
    on = "T.k = r.k" + (" AND T.v < r.w" if rng.random() < 0.2 else "")
    query = f"SELECT T.k, T.v, r.w FROM T {rng.choice(['JOIN', 'LEFT JOIN'])} U FOR SYSTEM_TIME AS OF T.pt AS r ON {on}"
    return sql_program(streams, query), inputs.rows_of(shape, streams, most=26, make=make, clock=True), "unordered", {"workers": 1, "batch": 1}


@construct
def clock_window(rng):
    """No time of a row is the last millisecond of a window: there two rows at once may be in one result or in two."""
    shape = clock_shape(rng)
    streams = {"T": clock_stream(shape)}
    by = rng.choice([[], ["k"], ["g"], ["k", "g"]])
    made, session = window(rng, time="pt"), rng.random() < 0.3
    while "'0.001'" in made:
        made = window(rng, time="pt")
    if session:
        partition = f" PARTITION BY ({', '.join(by)})" if by else ""
        made = f"SESSION(TABLE T{partition}, DESCRIPTOR(pt), {seconds(rng.choice([1000, 2000, 3000]))})"
    query = (f"SELECT {', '.join(by + ['window_start', 'window_end'] + aggregates(rng))} FROM TABLE({made}){'' if session else maybe_where(rng)} "
             f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}")
    return sql_program(streams, query), inputs.rows_of(shape, streams, clock=True), "unordered"


def with_ttl(rng, program):
    program["settings"] = {"state_ttl": f"{rng.randrange(1, 5)}s"}
    return program


@construct
def group_ttl(rng):
    """Groups that are forgotten some time after their last row."""
    shape = clock_shape(rng)
    streams = {"T": shape.stream()}
    by = rng.choice(["k", "g", "s"])
    made = [f"{aggregate(rng, distinct=False)} AS x{i}" for i in range(rng.randrange(1, 4))]
    query = f"SELECT {by}, {', '.join(made)} FROM T{maybe_where(rng)} GROUP BY {by}"
    return with_ttl(rng, sql_program(streams, query, "retract")), inputs.rows_of(shape, streams, clock=True), f"per_key:{by}"


@construct
def deduplicate_ttl(rng):
    shape = clock_shape(rng)
    streams = {"T": clock_stream(shape)}
    query = (f"SELECT k, v, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY pt {rng.choice(['ASC', 'DESC'])}) AS rn FROM T) AS b "
             "WHERE rn = 1")
    return with_ttl(rng, sql_program(streams, query, "retract")), inputs.rows_of(shape, streams, clock=True), "per_key:k"


@construct
def deduplicate_first_ttl(rng):
    """First rows that waited for the watermark are forgotten some time after they left, not after they came."""
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    query = "SELECT k, v, s, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS rn FROM T) AS b WHERE rn = 1"
    return with_ttl(rng, sql_program(streams, query)), inputs.rows_of(shape, streams, clock=True), "unordered_between_markers"


# ---- updates by key

@construct
def upsert_group(rng):
    """Groups over a table that comes as updates by key."""
    shape = clock_shape(rng)
    streams = {"T": shape.stream()}
    streams["T"].update(primary_key=["k"], changelog_mode="upsert")
    seen = set()

    def make(_, row):
        row["k"] = row["k"] or "a"
        row["__op__"] = rng.choice(["+I", "+U", "+U", "-D"]) if row["k"] in seen else rng.choice(["+I", "+U", "+I", "-D"])
        seen.add(row["k"])
    by = rng.choice(["g", "s", "k"])
    where = f" WHERE {condition(rng, 1)}" if rng.random() < 0.3 else ""
    query = f"SELECT {by}, COUNT(*) AS n, SUM(v) AS sv, MAX(w) AS mw FROM T{where} GROUP BY {by}"
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams, most=26, make=make), f"per_key:{by}", {"workers": 1}


@construct
def set_operation(rng):
    shape = clock_shape(rng)
    columns = {"k": "STRING", "g": "INT", "v": "INT"}
    streams = {"T": shape.stream(columns), "U": shape.stream(columns)}
    if rng.random() < 0.3:
        streams["U"]["changelog_mode"] = "retract"
    items = rng.choice(["k", "k, g", "g"])
    operation = f"{rng.choice(['INTERSECT', 'EXCEPT'])}{rng.choice(['', ' ALL'])}"
    query = f"SELECT {items} FROM T{rng.choice(['', ' WHERE v > 0'])} {operation} SELECT {items} FROM U"
    table = []

    def make(name, row):
        if name == "U" and "changelog_mode" in streams["U"]:
            row["__op__"] = "-D" if table and rng.random() < 0.3 else "+I"
            if row["__op__"] == "-D":
                row.update(table.pop())
            else:
                table.append({column: row[column] for column in columns})
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams, most=30, make=make), "materialized", {"workers": 1}
