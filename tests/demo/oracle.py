"""What the alerts must be, computed from the generators' own records and from what the Modbus server answered. Shares no code with leat."""

import collections
import datetime
import json
import math

WINDOW_MS, GAP_MS = 5000, 2000
EPISODE_MS, LEAD_MS = 14000, 3000
POLL_GAP_MS = 600  # between two answers of the server; longer ones are gaps that may change an alert of a polled source
CABINET_GAP_MS = 2000


def read_lines(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines if line.strip()]


def to_ms(value):
    if isinstance(value, (int, float)):
        return int(value)
    text = value.rstrip("Z").replace("T", " ")
    return round((datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f") - datetime.datetime(1970, 1, 1))
                 / datetime.timedelta(milliseconds=1))


def windows(readings):
    groups = collections.defaultdict(list)
    for row in readings:
        if row["line"] != "flush":
            groups[(row["line"], row["ts"] // WINDOW_MS * WINDOW_MS + WINDOW_MS)].append(row["reading"])
    return {key: (len(values), sum(values) / len(values), max(values)) for key, values in groups.items()}


def sessions(readings):
    by_device, result = collections.defaultdict(list), {}
    for row in readings:
        if row["line"] != "flush":
            by_device[row["device"]].append((row["ts"], row["reading"]))
    for device, rows in by_device.items():
        current = []
        for row in sorted(rows) + [(1 << 62, 0)]:
            if current and row[0] - current[-1][0] > GAP_MS:
                values = [value for _, value in current]
                result[(device, current[0][0])] = (current[-1][0], len(values), min(values), max(values), sum(values) / len(values))
                current = []
            current.append(row)
    return result


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


class Verdict:
    def __init__(self):
        self.lost, self.doubled, self.phantom, self.wrong, self.uncertain = [], [], [], [], []

    def exact(self, name, wanted, got, agrees):
        """Every key once, with the values wanted."""
        for key in wanted:
            found = got.get(key, [])
            if not found:
                self.lost.append(f"{name} {key}")
            elif len(found) > 1:
                self.doubled.append(f"{name} {key} x{len(found)}")
            if found and not all(agrees(wanted[key], row) for row in found):
                self.wrong.append(f"{name} {key}: {found[0]}, expected {wanted[key]}")
        self.phantom += [f"{name} {key}: {rows[0]}" for key, rows in got.items() if key not in wanted]

    def counted(self, name, key, found, sure):
        """Exactly one, unless a gap of the polled source could have changed it."""
        if not sure:
            self.uncertain.append(f"{name} {key}: {found}")
        elif found == 0:
            self.lost.append(f"{name} {key}")
        elif found > 1:
            self.doubled.append(f"{name} {key} x{found}")


def judge_mqtt(verdict, readings, alerts):
    got = collections.defaultdict(list)
    for row in alerts["line_windows"]:
        got[(row["line"], to_ms(row["window_end"]))].append(row)
    verdict.exact("window", windows(readings), got,
                  lambda a, row: a[0] == row["n"] and close(a[1], row["mean"]) and close(a[2], row["peak"]))
    got = collections.defaultdict(list)
    for row in alerts["device_sessions"]:
        got[(row["device"], to_ms(row["session_start"]))].append(row)
    verdict.exact("session", sessions(readings), got,
                  lambda a, row: a[0] == to_ms(row["session_end"]) and a[1] == row["row_count"] and close(a[2], row["min_value"])
                  and close(a[3], row["max_value"]) and close(a[4], row["mean_value"]))


def has_gap(times, start, end, most):
    inside = [start] + [ms for ms in times if start <= ms <= end] + [end]
    return any(b - a > most for a, b in zip(inside, inside[1:]))


def judge_boiler(verdict, answers, alerts, until):
    start, times = answers[0]["start_ms"], [row["ms"] for row in answers[1:]]
    first = start + LEAD_MS
    kinds = {"boiler rising": [(to_ms(row["alert_at"])) for row in alerts["boiler_rising"]],
             "boiler hot": [to_ms(row["changed_at"]) for row in alerts["boiler_hot"] if row["state"] == "raised"],
             "boiler cool": [to_ms(row["changed_at"]) for row in alerts["boiler_hot"] if row["state"] == "cleared"]}
    spans = {"boiler rising": (-500, 4700), "boiler hot": (-500, 8000), "boiler cool": (-500, 10500)}
    for name, at in kinds.items():
        taken = set()
        for episode in range(answers[0]["episodes"]):
            begin = first + episode * EPISODE_MS
            low, high = begin + spans[name][0], begin + spans[name][1]
            if high > until:
                continue
            found = [i for i, ms in enumerate(at) if begin - 500 <= ms < begin + EPISODE_MS - 500]
            taken |= set(found)
            verdict.counted(name, episode, len(found), not has_gap(times, low, high, POLL_GAP_MS))
        verdict.phantom += [f"{name} at {ms}" for i, ms in enumerate(at)
                            if i not in taken and ms < first + answers[0]["episodes"] * EPISODE_MS - EPISODE_MS]


def judge_cabinet(verdict, changes, downtimes, alerts, until):
    """changes: (ms, is hot); one raised for each hot phase, one cleared for each phase after it."""
    raised = [to_ms(row["changed_at"]) for row in alerts["cabinet_hot"] if row["state"] == "raised"]
    cleared = [to_ms(row["changed_at"]) for row in alerts["cabinet_hot"] if row["state"] == "cleared"]
    for i, (begin, hot) in enumerate(changes[1:], 1):
        end = changes[i + 1][0] if i + 1 < len(changes) else until
        if end - begin < 3000:
            continue
        found = [ms for ms in (raised if hot else cleared) if begin - 200 <= ms < end]
        down = sum(max(0, min(end, b) - max(begin, a)) for a, b in downtimes)
        verdict.counted("cabinet " + ("hot" if hot else "cool"), i, len(found), down < CABINET_GAP_MS)
