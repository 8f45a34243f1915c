"""Cases whose expected results are Flink's own: random pairs of every construct, and expressions."""

import json
import pathlib
import random

import yaml

import expressions
import functions

PAIRS_EACH = 4
ROWS_FEWEST, ROWS_MOST = 4, 14
SEEDS_TRIED = 400
EXPRESSIONS_EACH = 8
EXPRESSION_ROWS = 8
TIMESTAMP_SIZE, FIRST_MS, LAST_MS = len("2024-01-01 00:00:00.000"), -62_135_596_800_000, 253_402_300_799_999
PLAIN = {"BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "STRING", "TIMESTAMP(3)", "TIMESTAMP_LTZ(3)"}
# What no two programs agree on to the last digit, or what Flink and leat see differently on purpose (README.md).
LEFT_OUT = ("ARRAY_SORT(g)", "CAST({f32}", "STR_TO_MAP", "{xunit}", "FLOOR({time}", "IS_ALPHA", "{map}", "MAP", "ROW(", "{interval} AS STRING", "{months} AS STRING")

# Expressions in which leat was once wrong.
MENDED = [
    "f - d", "d - f", "f * 2e0", "f = d", "d = f", "CASE WHEN i > 0 THEN f ELSE d END", "CASE WHEN i > 0 THEN d ELSE f END", "COALESCE(f, d)",
    "da + INTERVAL '90' MINUTE", "da - INTERVAL '1' SECOND", "da + INTERVAL '36' HOUR", "MOD(q, b)", "MOD(b, q)", "q % i", "ROUND(j, -1)", "ROUND(t, -1)", "ROUND(m, -2)",
    "INITCAP('grün-weiß o''neil 2nd')", "UPPER('Grün ß')", "HEX(DECODE(UNHEX('e9f'), 'ISO-8859-1'))", "ENCODE('', 'UTF-16') IS NULL", "ELT(5, 'a', s)", "IS_DECIMAL(' 42 ')", "IS_DECIMAL('1.0f')",
    "PRINTF('%6.2f', CAST('NaN' AS DOUBLE))", "JSON_ARRAY(1e15, 1e7, 1e-7, d)", "JSON_ARRAY(p, CAST(0 AS DECIMAL(20, 10)))", "JSON_ARRAY(JSON_OBJECT('a' VALUE 1e0), s = 'a')", "s SIMILAR TO '%.%'",
    "TRY_CAST('2024-01-05 10:20' AS TIMESTAMP(3))", "TRY_CAST('2023-02-29' AS TIMESTAMP(3))", "TRY_CAST('2024-1-5 1:2:3' AS TIMESTAMP(3))", "TRY_CAST('2024-01-05 24:00:00' AS TIMESTAMP(3))",
    "TRY_CAST('2024-01-05 10:20:30Z' AS TIMESTAMP_LTZ(3))", "CAST(TRY_CAST('2024' AS DATE) AS STRING)", "CAST(TRY_CAST('2024-06-07 x' AS DATE) AS STRING)", "TRY_CAST('1.0f' AS DOUBLE)", "TRY_CAST('.5' AS INT)",
    "TO_TIMESTAMP('2024-01-05 10:60:00', 'dd.MM.yyyy HH:mm')", "TO_TIMESTAMP(' 2024-01-05 ', 'yy/M/d')", "TO_TIMESTAMP_LTZ(b, 3)", "TO_TIMESTAMP_LTZ(n, 0)", "CAST(TO_DATE(x) AS STRING)", "DATE_FORMAT(us, 'D G Q K')",
    "DATE_FORMAT('2024-01-05T10:20:30', 'yyyy')", "UNIX_TIMESTAMP('2024-01-05 25:61:00')", "TIMESTAMPDIFF(MONTH, TIMESTAMP '2024-03-31 02:30:00', TIMESTAMP '2024-02-29 00:00:00')", "TIMESTAMPDIFF(MONTH, ts, us)",
    "CASE WHEN i > 0 THEN ts ELSE ls END", "CASE WHEN i > 0 THEN ls ELSE ts END",
]


def write(folder, case, rows, results):
    directory = pathlib.Path(folder) / case["area"] / case["id"]
    directory.mkdir(parents=True, exist_ok=True)
    head = {"id": case["id"], "area": case["area"], "title": case["title"], "authority": "flink-run", "source": {"flink": case["flink"], "run": "tests/flink/run keep"}, "needs": []}
    (directory / "case.yaml").write_text(yaml.safe_dump({**head, **case["more"]}, sort_keys=False, width=140, allow_unicode=True))
    (directory / "input.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    (directory / "expected.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in results))


def fixed_of(generate, seed, name):
    made = generate.CONSTRUCTS[name](random.Random(f"{seed}:{name}"))
    return made[3] if len(made) > 3 else {}


def keep_pairs(judge, generate, flink, options, version):
    """Where Flink and the model agree (else it is either's quirk, which README.md lists), and something comes out."""
    written = 0
    for name in generate.CONSTRUCTS:
        kept = 0
        for seed in range(options.seed, options.seed + SEEDS_TRIED):
            if kept == PAIRS_EACH:
                break
            pair = judge.pair_of(generate, seed, name)
            if pair.program["kind"] != "sql":
                break
            fixed = fixed_of(generate, seed, name)
            if not ROWS_FEWEST <= len(pair.rows) <= ROWS_MOST or set(fixed) - {"workers"} or "COLLECT(" in pair.program["query"]:
                continue
            pair.program["outputs"]["main"].pop("watermarks", None)
            pair.finish = lambda: None
            answer = flink.ask("keep", pair.program, pair.rows)
            if judge.verdict_of(generate, pair, answer)[0] != "passed" or not answer["results"]:
                continue
            pair.program["outputs"]["main"].pop("watermarks", None)
            more = {"program": pair.program, "order": pair.order, **({"one_worker": True} if fixed.get("workers") == 1 else {})}
            title = f"{name.replace('_', ' ')}: a random program and what Flink makes of it"
            write(options.directory, {"area": "judged", "id": f"judged-{name.replace('_', '-')}-{seed}", "title": title, "flink": version, "more": more}, pair.rows, answer["results"])
            kept += 1
        written += kept
    return written


def keep_expressions(judge, generate, flink, options, version):
    """What both give alike; what is rejected by either is left out."""
    rng = random.Random(options.seed)
    templates = [each for each in functions.TEMPLATE_LIST if not any(out in each for out in LEFT_OUT)]
    texts = MENDED + [functions.expression(rng, each) for each in templates]
    theirs, ours = expressions.FlinkExpressions(flink, "UTC"), expressions.Leat(generate, "UTC")
    written, at = 0, 0
    while at < len(texts):
        rows, items, types = functions.rows(rng, EXPRESSION_ROWS), [], {}
        while at < len(texts) and len(items) < EXPRESSIONS_EACH:
            item, at = (f"e{len(items)}", texts[at]), at + 1
            kind = agreed(theirs, ours, item, rows)
            if kind:
                items.append(item)
                types[item[0]] = kind
        if items:
            columns = {"id": "INT", **functions.COLUMNS}
            select = ",\n       ".join(f"{text} AS {name}" for name, text in items)
            program = {"kind": "sql", "streams": {"T": {"columns": columns}}, "query": f"SELECT id,\n       {select}\nFROM T",
                       "outputs": {"main": {"columns": {"id": "INT", **types}}}}
            answer = flink.ask("keep", program, rows)
            written += 1
            case = {"area": "judged-functions", "id": f"judged-expressions-{written:02d}", "title": f"Expressions over boundary values, as Flink computes them ({written})", "flink": version,
                    "more": {"program": program, "order": "ordered"}}
            write(options.directory, case, rows, answer["results"])
    ours.player.close()
    return written


def agreed(theirs, ours, item, rows):
    """The type when both give the same values for all rows, and it is one that cases can hold."""
    name, _ = item
    a, types, refused = theirs.ask([item], rows)
    b, refusal = ours.ask([item], rows)
    if refused or refusal or len(a) != len(rows) or len(b) != len(rows):
        return None
    kind = expressions.type_form(types[name])
    if kind not in PLAIN and not kind.startswith("DECIMAL") and kind not in ("ARRAY<INT>", "ARRAY<STRING>"):
        return None
    for row in rows:
        x, y = a[row["id"]].get(name), b[row["id"]].get(name)
        if isinstance(x, str) and (kind in ("DOUBLE", "FLOAT") or (kind == "TIMESTAMP(3)" and len(x) != TIMESTAMP_SIZE)):
            return None  # NaN and infinities have no form in JSON, and cases no year 10000
        if isinstance(x, int) and kind == "TIMESTAMP_LTZ(3)" and not FIRST_MS <= x <= LAST_MS:
            return None
        if not expressions.same(expressions.form_or(x, kind), expressions.form_or(y, kind)):
            return None
    return kind


def play(judge, generate, flink, options):
    version = judge.flink_version()
    made = keep_pairs(judge, generate, flink, options, version) if options.what != "expressions" else 0
    return made + (keep_expressions(judge, generate, flink, options, version) if options.what != "pairs" else 0)
