"""Patterns over events, as the rules of Flink's NFA have them: a graph of states, and partial matches that each carry their own path.

A stage is a dict: name, contiguity (begin, next, followed_by, followed_by_any, not_next, not_followed_by), low and high (high None: no end),
loop ("relaxed", "consecutive", "combinations" or None for a single event), optional, greedy, where and until: functions of (event, path), window: the
time since the event before. A group has a list of stages in `group`, and no `where` of its own (it is true there).
"""

from values import wrap

STRICT, NEXT, ANY = "strict", "next", "any"
OUTER = {"begin": STRICT, "next": STRICT, "followed_by": NEXT, "followed_by_any": ANY}
INNER = {"consecutive": STRICT, "relaxed": NEXT, "combinations": ANY}
TAKE, IGNORE, PROCEED = "take", "ignore", "proceed"


class State:
    def __init__(self, name, stage, kind="normal"):
        self.name, self.stage, self.kind, self.start = name, stage, kind, False
        self.window = None  # since the event before
        self.edges = []  # [action, target, condition]

    def add(self, action, target, condition):
        self.edges.append([action, target, condition])


def true(event, path):
    return True


def both(a, b):
    return lambda event, path: a(event, path) and b(event, path)


def neither(a):
    return lambda event, path: not a(event, path)


class Place:
    """Where in the pattern the graph is being made: a stage of a sequence, within a group or none."""

    def __init__(self, sequence, group, following):
        self.sequence, self.group, self.following = sequence, group, following
        self.at = len(sequence) - 1


class Graph:
    """States from the last stage to the first. Names are made as Flink makes them, because the windows between events go by them."""

    def __init__(self, stages, within):
        self.within = within
        self.names, self.stops, self.originals, self.repeating = set(), {}, {}, set()
        self.place = Place(stages, None, None)
        self.start = self.sequence(self.state("$end", None, "final"))
        self.start.start = True

    def state(self, base, stage, kind="normal"):
        name, count = base, 0
        while name in self.names:
            name, count = f"{base}:{count}", count + 1
        self.names.add(name)
        return State(name, stage, kind)

    def own_state(self, kind="normal"):
        made = self.state(self.plain, self.stage["name"], kind)
        if not self.stage["loop"]:
            made.window = self.stage.get("window")
        elif ":" in made.name:
            made.window = self.stage.get("window")
        return made

    @property
    def stage(self):
        return self.place.sequence[self.place.at]

    @property
    def plain(self):
        return "$group" if "group" in self.stage else self.stage["name"]

    def sequence(self, sink):
        while self.place.at > 0:
            sink = self.middle(sink)
            self.place.following = self.stage
            self.place.at -= 1
        return self.convert(sink)

    def members(self, sink):
        outer = self.place
        self.place = Place(self.stage["group"], self.stage, outer.following)
        made = self.sequence(sink)
        self.place = outer
        return made

    def middle(self, sink):
        stage = self.stage
        if stage["contiguity"] == "not_followed_by":
            if sink.kind != "final" or not (self.within or stage.get("window")):
                return sink
            pending = self.own_state("pending")
            pending.add(PROCEED, self.stop(stage), self.take(stage))
            pending.add(IGNORE, pending, neither(self.take(stage)))
            return pending
        if stage["contiguity"] == "not_next":
            state = self.own_state()
            # Towards the end it must not go by itself.
            state.add(IGNORE if sink.kind == "final" else PROCEED, sink, neither(self.take(stage)))
            state.add(PROCEED, self.stop(stage), self.take(stage))
            return state
        return self.convert(sink)

    def stop(self, stage):
        if stage["name"] not in self.stops:
            made = self.state(stage["name"], stage["name"], "stop")
            made.add(TAKE, made, self.take(stage))
            self.stops[stage["name"]] = made
        return self.stops[stage["name"]]

    # -- conditions, which the group's own `until` limits

    def limited(self, condition):
        stop = self.place.group and self.place.group["until"]
        return both(neither(stop), condition) if stop and condition else condition

    def take(self, stage):
        return self.limited(stage["where"])

    def ignore(self, strategy):
        return self.limited({STRICT: None, NEXT: neither(self.stage["where"]) if strategy == NEXT else None, ANY: true}[strategy])

    def is_head(self):
        return self.place.group is not None and self.place.at == 0

    def first_round(self):
        return id(self.place.group) not in self.repeating

    def outer(self):
        """What may lie before the stage: the first one of a group goes by the group, between its rounds by what may lie there."""
        if not self.is_head():
            return self.ignore(OUTER[self.stage["contiguity"]])
        group = self.place.group
        return self.ignore(OUTER[group["contiguity"]] if self.first_round() else INNER[group["loop"] or "relaxed"])

    def inner(self):
        decides = self.place.group if self.is_head() else self.stage
        return self.until(self.ignore(INNER[decides["loop"] or "relaxed"]))

    def until(self, condition):
        stop = self.stage["until"]
        return both(neither(stop), condition) if stop and condition else condition

    # -- negation

    def nots_before(self):
        """Negated stages that hold until this one takes something: directly before it, or with only optional stages between."""
        made, at = [], self.place.at
        sequence = self.place.sequence
        while at > 0 and (sequence[at - 1]["optional"] or sequence[at - 1]["contiguity"] == "not_followed_by"):
            at -= 1
            if sequence[at]["contiguity"] == "not_followed_by":
                made.append(sequence[at])
        return made

    def add_stops(self, state):
        for stage in self.nots_before():
            state.add(PROCEED, self.stop(stage), self.take(stage))

    def add_stop_to_loop(self, state):
        following = self.place.following
        if following and following["contiguity"] == "not_followed_by":
            state.add(PROCEED, self.stop(following), self.take(following))

    def without_nots(self, sink):
        """A copy of the sink that an optional stage goes to when it has taken something: negations before it are over."""
        names = [stage["name"] for stage in self.nots_before()]
        if not names or not self.stage["optional"]:
            return sink
        made = self.state(sink.name, sink.stage, sink.kind)
        for action, target, condition in sink.edges:
            if action != PROCEED:
                made.add(action, made if target is sink else target, condition)
            elif target.kind == "stop":
                if target.stage not in names:
                    made.add(action, target, condition)
            else:
                made.add(action, self.without_nots(target), condition)
        return made

    # -- rounds

    def convert(self, sink):
        stage = self.stage
        if stage["loop"] and stage["high"] is None:
            self.repeats(True)
            loop = self.looping(self.without_nots(sink))
            state = self.times(loop, sink, stage["low"], stage["low"])
        elif stage["loop"]:
            state = self.times(sink, sink, stage["low"], stage["high"])
        else:
            state = self.single(sink, sink, None if "group" in stage else self.take(stage), self.outer(), stage["optional"])
        self.add_stops(state)
        return state

    def repeats(self, later):
        if "group" in self.stage:
            (self.repeating.add if later else self.repeating.discard)(id(self.stage))

    def copy(self, state):
        made = self.state(state.name.split(":")[0], state.stage, state.kind)
        for action, target, condition in state.edges:
            made.add(action, made if target is state else target, condition)
        return made

    def times(self, sink, proceed, low, high):
        stage = self.stage
        self.repeats(True)
        inner, take = self.inner(), self.until(self.take(stage))
        if stage["greedy"] and low != high:
            if stage["until"]:
                self.originals[proceed] = self.copy(sink)
            self.not_while(sink, take)
        for _ in range(low, high):
            sink = self.single(sink, proceed, take, inner, True)
            self.add_stop_to_loop(sink)
        for _ in range(low - 1):
            sink = self.single(sink, None, take, inner, False)
            self.add_stop_to_loop(sink)
        self.repeats(False)
        return self.single(sink, proceed, take, self.outer(), stage["optional"])

    def single(self, sink, proceed, take, ignore, optional):
        if "group" in self.stage:
            state = self.members(sink)
            if optional:
                state.add(PROCEED, proceed, self.limited(true))
            return state
        state = self.own_state()
        sink = self.without_nots(sink)
        state.add(TAKE, sink, take)
        if optional:
            self.proceed(state, proceed)
        if ignore:
            other = state
            if optional or (self.is_head() and self.first_round() and self.place.group["optional"]):
                other = self.state(self.plain, self.stage["name"])
                other.add(TAKE, sink, take)
                other.add(IGNORE, other, ignore)
                self.add_stops(other)
            state.add(IGNORE, other, ignore)
        return state

    def proceed(self, state, target):
        until = self.stage["until"]
        if self.stage["greedy"] and until:
            state.add(PROCEED, self.originals[target], both(self.limited(true), until))
            state.add(PROCEED, target, both(self.limited(true), neither(until)))
        else:
            state.add(PROCEED, target, self.limited(true))

    def looping(self, sink):
        stage = self.stage
        if "group" in stage:
            between = self.own_state()
            first = self.members(between)
            first.add(PROCEED, sink, self.limited(true))
            between.add(PROCEED, first, self.limited(true))
            return first
        ignore, take = self.inner(), self.until(self.take(stage))
        state = self.own_state()
        if stage["greedy"] and stage["until"]:
            self.originals[sink] = self.copy(sink)
        self.proceed(state, sink)
        if stage["greedy"]:
            self.not_while(sink, self.take(stage))
        state.add(TAKE, state, take)
        self.add_stop_to_loop(state)
        if ignore:
            other = self.state(self.plain, stage["name"])
            other.add(TAKE, state, take)
            other.add(IGNORE, other, ignore)
            state.add(IGNORE, other, ignore)
            self.add_stop_to_loop(other)
        return state

    def not_while(self, sink, take):
        for edge in sink.edges:
            edge[2] = both(edge[2], neither(take))


class Partial:
    """A partial match: the state it is in, what it has taken, its first event."""

    def __init__(self, state, path, first, at):
        self.state, self.path, self.first, self.at = state, path, first, at

    def order(self):
        return (2 ** 63, 2 ** 31) if self.first is None else self.first


class Queue:
    """A binary heap in an array with ties in the order that Java's PriorityQueue gives them."""

    def __init__(self):
        self.items = []

    def add(self, item):
        self.items.append(item)
        at = len(self.items) - 1
        while at > 0 and item.order() < self.items[(at - 1) // 2].order():
            self.items[at] = self.items[(at - 1) // 2]
            at = (at - 1) // 2
        self.items[at] = item

    def sift_down(self, at, item):
        size = len(self.items)
        while 2 * at + 1 < size:
            child = 2 * at + 1
            if child + 1 < size and self.items[child].order() > self.items[child + 1].order():
                child += 1
            if item.order() <= self.items[child].order():
                break
            self.items[at] = self.items[child]
            at = child
        self.items[at] = item

    def poll(self):
        first, last = self.items[0], self.items.pop()
        if self.items:
            self.sift_down(0, last)
        return first

    def keep(self, test):
        left = [item for item in self.items if test(item)]
        if len(left) != len(self.items):
            self.items = left
            for at in range(len(left) // 2 - 1, -1, -1):
                self.sift_down(at, self.items[at])


class Automaton:
    """One key's partial matches. A path is a tuple of (stage, (time, number), event)."""

    def __init__(self, graph, within, skip, strict_skip=False):
        self.graph, self.within, self.skip, self.strict_skip = graph, within, skip, strict_skip
        self.partials, self.completed = Queue(), Queue()
        self.partials.add(Partial(graph.start, (), None, None))
        self.started = False  # since the owner took it back

    def advance(self, now):
        """(matches, timed out partial matches) when time has come to `now`."""
        left, potential, timed_out = Queue(), Queue(), []
        for partial in self.partials.items:
            over = self.over(partial, now)
            if over is not None and partial.state.kind == "pending":
                potential.add(partial)
            elif over is not None:
                timed_out.append((partial.path, over))
            else:
                left.add(partial)
        matches = self.settle(potential, left)
        self.partials = left
        return matches, timed_out

    def over(self, partial, now):
        """When the partial match took too long, or None. The end of input less a time below 0 overflows, as it does in Flink."""
        if partial.first is None:
            return None
        before = partial.path[-1][1][0]
        if partial.state.window and wrap(now - before, 64) >= partial.state.window:
            return before + partial.state.window
        return partial.at + self.within if self.within and wrap(now - partial.at, 64) >= self.within else None

    def process(self, event, identity):
        left, potential = Queue(), Queue()
        for partial in self.partials.items:
            kept, discard = [], False
            for made in self.next_of(partial, event, identity):
                if partial.state.start and made.first is not None and made.at > 0:
                    self.started = True
                if made.state.kind == "final":
                    potential.add(made)
                elif made.state.kind == "stop":
                    discard = True
                else:
                    kept.append(made)
            if not discard:
                for made in kept:
                    left.add(made)
        matches = self.settle(potential, left)
        self.partials = left
        return matches

    def edges_of(self, partial, event):
        made, stack = [], [partial.state]
        while stack:
            state = stack.pop()
            for action, target, condition in state.edges:
                if condition(event, partial.path):
                    if action == PROCEED:
                        stack.append(target)
                    else:
                        made.append((action, state, target))
        return made

    def final_behind(self, state, event, path):
        stack = [state]
        while stack:
            for action, target, condition in stack.pop().edges:
                if action == PROCEED and condition(event, path):
                    if target.kind == "final":
                        return target
                    stack.append(target)
        return None

    def next_of(self, partial, event, identity):
        made = []
        for action, state, target in self.edges_of(partial, event):
            if action == IGNORE:
                if not partial.state.start:
                    made.append(Partial(target, partial.path, partial.first, partial.at))
                continue
            path = partial.path + ((state.stage, identity, event),)
            first, at = (identity, identity[0]) if partial.state.start else (partial.first, partial.at)
            made.append(Partial(target, path, first, at))
            final = self.final_behind(target, event, partial.path)
            if final:
                made.append(Partial(final, path, first, at))
        if partial.state.start:
            made.append(Partial(partial.state, (), None, None))
        return made

    def settle(self, potential, partials):
        """Completed matches that may go out: with a skip strategy none before a partial match that started earlier."""
        for match in potential.items:
            self.completed.add(match)
        matches = []
        while self.completed.items:
            first = self.completed.items[0]
            if self.skip[0] != "no_skip" and partials.items and first.order() > partials.items[0].order():
                break
            self.completed.poll()
            if self.prune(first, partials):
                matches.append(first.path)
        return matches

    def prune(self, match, partials):
        """Whether the match goes out. Where Flink's job would fail (SKIP TO a variable without rows or to the first row, which would find
        the same match for ever) the match counts as rejected, and matching goes on behind its first row."""
        strategy, stage = self.skip
        ids = [identity for _, identity, _ in match.path]
        some = [identity for name, identity, _ in match.path if name == stage]
        if strategy == "no_skip":
            return True
        at = (some[0] if strategy == "skip_to_first" else some[-1]) if some else None
        to_stage = strategy in ("skip_to_first", "skip_to_last")
        fails = to_stage and self.strict_skip and at in (None, min(ids))
        if not to_stage or fails:
            limit = max(ids) if strategy == "skip_past_last_event" else min(ids)
            keep = (lambda partial: partial.first is None or partial.first > limit)
        elif at is None:
            return True
        else:
            keep = (lambda partial: partial.first is None or partial.first >= at)
        partials.keep(keep)
        self.completed.keep(keep)
        return not fails
