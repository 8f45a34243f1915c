"""Random programs with the aggregates and types that the others leave out, several key columns, and WHERE behind SESSION."""

import inputs
from programs import UNIT, aggregates, condition, construct, having, maybe_where, seconds, sql_program, window

COLUMNS = {"k": "STRING", "g": "INT", "v": "INT", "d": "DOUBLE", "s": "STRING", "c": "DECIMAL(10, 2)", "e": "DECIMAL(8, 3)"}
CALLS = ["LISTAGG(s)", "LISTAGG(k, '-')", "COLLECT(v)", "ARRAY_AGG(v)", "STDDEV_POP(d)", "STDDEV_SAMP(d)", "VAR_POP(d)", "VAR_SAMP(d)", "MIN_BY(s, v)",
         "MAX_BY(k, d)", "MAX_BY(v, c)", "SUM(c)", "AVG(c)", "MIN(c)", "MAX(e)", "AVG(e)", "COUNT(DISTINCT c)", "SUM(DISTINCT e)", "SUM(c + e)",
         "COUNT(k, s)", "MIN(k)"]


def calls(rng):
    made = rng.sample(CALLS, rng.randrange(1, 4))
    return [f"{call}{f' FILTER (WHERE {condition_of(rng)})' if rng.random() < 0.2 else ''} AS x{i}" for i, call in enumerate(made)]


def condition_of(rng):
    return rng.choice(["v > 1", "c > e", "c >= 1.25", "e <> c", "c + 1 > v", "d < c", "s IS NOT NULL", "c BETWEEN 0 AND e"])


def keys(rng, least=0):
    return rng.sample(["k", "g", "s", "v"], rng.randrange(least, 4))


@construct
def values_window(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream(COLUMNS)}
    by = keys(rng)
    query = (f"SELECT {', '.join(by + ['window_start', 'window_end'] + calls(rng))} FROM TABLE({window(rng, kinds=('TUMBLE',))})"
             f"{f' WHERE {condition_of(rng)}' if rng.random() < 0.3 else ''} GROUP BY {', '.join(by + ['window_start', 'window_end'])}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def values_group(rng):
    shape = inputs.Shape(rng, UNIT, event_time=False)
    streams = {"T": shape.stream(COLUMNS)}
    by = keys(rng, 1)
    query = f"SELECT {', '.join(by + calls(rng))} FROM T GROUP BY {', '.join(by)}"
    return sql_program(streams, query, "retract"), inputs.rows_of(shape, streams), f"per_key:{by[0]}" if len(by) == 1 else "unordered"


@construct
def values_select(rng):
    shape = inputs.Shape(rng, UNIT, event_time=False)
    streams = {"T": shape.stream(COLUMNS)}
    items = rng.sample(["c + e AS x0", "c - e AS x1", "-c AS x2", "COALESCE(c, e) AS x3", "CASE WHEN c > e THEN c ELSE e END AS x4", "ABS(e) AS x5",
                        "CAST(e AS DECIMAL(8, 1)) AS x6", "CAST(c AS INT) AS x7", "c + v AS x8", "GREATEST(c, e) AS x9", "CAST(c AS DOUBLE) AS x10"],
                       rng.randrange(1, 5))
    query = f"SELECT k, {', '.join(items)} FROM T{f' WHERE {condition_of(rng)}' if rng.random() < 0.6 else ''}"
    return sql_program(streams, query), inputs.rows_of(shape, streams), "ordered"


@construct
def session_where(rng):
    """A condition on rows that SESSION has given out, so behind its test for lateness."""
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    by = rng.choice([["k"], ["k", "g"], ["g", "s"], []])
    partition = f" PARTITION BY ({', '.join(by)})" if len(by) > 1 else f" PARTITION BY {by[0]}" if by else ""
    source = f"TABLE(SESSION(TABLE T{partition}, DESCRIPTOR(ts), {seconds(rng.choice([1, 1000, 2000, 3000]))}))"
    if rng.random() < 0.4:
        return (sql_program(streams, f"SELECT k, v, window_start, window_end FROM {source} WHERE {condition(rng, 1)}"),
                inputs.rows_of(shape, streams), "unordered_between_markers")
    query = (f"SELECT {', '.join(by + ['window_start', 'window_end'] + aggregates(rng))} FROM {source}{maybe_where(rng, 0.7)} "
             f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}{having(rng)}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"


@construct
def many_keys(rng):
    shape = inputs.Shape(rng, UNIT)
    streams = {"T": shape.stream()}
    by = rng.sample(["k", "g", "s", "v", "w", "d"], rng.randrange(3, 5))
    shape.nulls = rng.choice([0, 0.3])
    query = (f"SELECT {', '.join(by + ['window_start', 'window_end'] + aggregates(rng))} FROM TABLE({window(rng)}){maybe_where(rng)} "
             f"GROUP BY {', '.join(by + ['window_start', 'window_end'])}")
    return sql_program(streams, query), inputs.rows_of(shape, streams), "unordered_between_markers"
