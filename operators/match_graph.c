// Built from the last stage to the first, so that a state knows where it leads.
#include "operators/match_graph.h"

#include <string.h>

typedef struct copied_state copied_state;
struct copied_state { // for a loop that ends by `until`: its sink before the loop's own condition was added
    copied_state *next;
    const pattern_state *original;
    pattern_state *copy;
};

typedef struct place { // what is being built
    uint32_t stage;
    int32_t following; // the stage built before, -1: none
    int32_t group;     // that the stage is of, -1: none
} place;

typedef struct builder {
    leat_arena *arena;
    const leat_match_spec *spec;
    uint32_t count, room;
    const pattern_state **states;
    place at;
    pattern_state **stops;                 // by stage
    int32_t previous[LEAT_MATCH_STAGES];   // in the same sequence, -1: the first
    bool later_round[LEAT_MATCH_STAGES];   // of groups: what is built is not the first round
    bool has_state[LEAT_MATCH_STAGES + 1]; // by stage; the last: of groups
    copied_state *copies;
    bool too_many, has_within, has_groups;
} builder;

// ---- tests

static const pattern_test always = {.kind = PATTERN_TRUE};

static const pattern_test *test_new(builder *b, pattern_test test)
{
    pattern_test *made = leat_arena_new(b->arena, pattern_test);
    *made = test;
    return made;
}

static const pattern_test *condition(builder *b, int32_t index)
{
    return index < 0 ? &always : test_new(b, (pattern_test){.kind = PATTERN_CONDITION, .condition = (uint32_t)index});
}

static const pattern_test * not(builder * b, const pattern_test *test)
{
    return test_new(b, (pattern_test){.kind = PATTERN_NOT, .left = test});
}

static const pattern_test *both(builder *b, const pattern_test *left, const pattern_test *right)
{
    return left->kind == PATTERN_TRUE ? right
           : right->kind == PATTERN_TRUE
               ? left
               : test_new(b, (pattern_test){.kind = PATTERN_AND, .left = left, .right = right});
}

static const leat_match_stage *stage_of(const builder *b) { return &b->spec->stages[b->at.stage]; }
static const leat_match_stage *group_of(const builder *b)
{
    return b->at.group < 0 ? NULL : &b->spec->stages[b->at.group];
}

// The first stage of a group follows as the group says.
static bool is_head(const builder *b) { return b->at.group >= 0 && b->previous[b->at.stage] < 0; }

static const pattern_test *where(builder *b, uint32_t stage) { return condition(b, b->spec->stages[stage].where); }

static const pattern_test *until(builder *b)
{
    return stage_of(b)->until < 0 ? NULL : condition(b, stage_of(b)->until);
}

static const pattern_test *unless(builder *b, const pattern_test *end, const pattern_test *test)
{
    return end && test ? both(b, not(b, end), test) : test;
}

static const pattern_test *before_until(builder *b, const pattern_test *test) { return unless(b, until(b), test); }

// What the group's own `until` leaves of a test.
static const pattern_test *in_group(builder *b, const pattern_test *test)
{
    const leat_match_stage *group = group_of(b);
    return group && group->until >= 0 ? unless(b, condition(b, group->until), test) : test;
}

static const pattern_test *taking(builder *b, uint32_t stage) { return in_group(b, where(b, stage)); }
static const pattern_test *passing(builder *b) { return in_group(b, &always); }

// Which rows may be ignored; NULL: none.
static const pattern_test *ignoring(builder *b, leat_match_contiguity contiguity)
{
    if (contiguity == LEAT_MATCH_FOLLOWED)
        return in_group(b, not(b, where(b, b->at.stage)));
    return contiguity == LEAT_MATCH_ANY ? in_group(b, &always) : NULL;
}

static const pattern_test *ignoring_before(builder *b)
{
    const leat_match_stage *group = group_of(b);
    if (!is_head(b))
        return ignoring(b, stage_of(b)->contiguity);
    return ignoring(b, b->later_round[b->at.group] ? group->inner : group->contiguity);
}

static const pattern_test *ignoring_within(builder *b)
{
    return before_until(b, ignoring(b, is_head(b) ? group_of(b)->inner : stage_of(b)->inner));
}

// ---- states

static pattern_state *state_new(builder *b, int32_t stage, pattern_state_kind kind)
{
    pattern_state *state = leat_arena_new(b->arena, pattern_state);
    if (b->count == b->room) {
        uint32_t room = b->room ? b->room * 2 : 16;
        const pattern_state **states = leat_arena_array(b->arena, const pattern_state *, room);
        if (b->count)
            memcpy(states, b->states, b->count * sizeof *states);
        b->states = states;
        b->room = room;
    }
    *state = (pattern_state){.index = b->count, .stage = stage, .kind = kind};
    b->states[b->count++] = state;
    b->too_many |= b->count > LEAT_MATCH_STATES;
    return state;
}

// Flink bounds a loop by the states that do not have the plain name of their stage: all but the one that was made first. Groups share a name.
static bool *named(builder *b, uint32_t stage)
{
    return &b->has_state[b->spec->stages[stage].span ? LEAT_MATCH_STAGES : stage];
}

static pattern_state *waiting_state(builder *b) // rows are ignored in it: it does not look at the time
{
    *named(b, b->at.stage) = true;
    return state_new(b, (int32_t)b->at.stage, PATTERN_NORMAL);
}

static pattern_state *stage_state(builder *b, pattern_state_kind kind)
{
    bool bounded = !stage_of(b)->repeated || *named(b, b->at.stage);
    pattern_state *state = waiting_state(b);
    state->kind = kind;
    state->within_ms = bounded ? stage_of(b)->within_ms : 0;
    b->has_within |= state->within_ms > 0;
    return state;
}

static void add(builder *b, pattern_state *from, pattern_action action, const pattern_state *target,
                const pattern_test *test)
{
    if (from->transition_count == from->transition_room) {
        uint32_t room = from->transition_room ? from->transition_room * 2 : 4;
        pattern_transition *all = leat_arena_array(b->arena, pattern_transition, room);
        if (from->transition_count)
            memcpy(all, from->transitions, from->transition_count * sizeof *all);
        from->transitions = all;
        from->transition_room = room;
    }
    from->transitions[from->transition_count++] = (pattern_transition){action, target, test};
}

static pattern_state *copy_plain(builder *b, const pattern_state *state)
{
    pattern_state *copy = state_new(b, state->stage, state->kind);
    for (uint32_t i = 0; i < state->transition_count; i++) {
        const pattern_transition *way = &state->transitions[i];
        add(b, copy, way->action, way->target == state ? copy : way->target, way->test);
    }
    return copy;
}

// ---- stages that must not come

static bool is_not_followed(const leat_match_stage *stage) { return stage->contiguity == LEAT_MATCH_NOT_FOLLOWED; }

// One for all states that stop at the stage.
static pattern_state *stop_state(builder *b, uint32_t stage)
{
    if (!b->stops[stage]) {
        *named(b, stage) = true;
        b->stops[stage] = state_new(b, (int32_t)stage, PATTERN_STOP);
        add(b, b->stops[stage], PATTERN_TAKE, b->stops[stage], taking(b, stage));
    }
    return b->stops[stage];
}

// Stages before the one being built whose rows stop it: NOT_FOLLOWED directly before, or with only optional ones between.
static uint32_t stops_before(const builder *b, uint32_t out_stages[LEAT_MATCH_STAGES])
{
    const leat_match_stage *stages = b->spec->stages;
    uint32_t count = 0;
    for (int32_t i = b->previous[b->at.stage]; i >= 0 && (stages[i].optional || is_not_followed(&stages[i]));
         i = b->previous[i])
        if (is_not_followed(&stages[i]))
            out_stages[count++] = (uint32_t)i;
    return count;
}

static void add_stops_before(builder *b, pattern_state *state)
{
    uint32_t stages[LEAT_MATCH_STAGES], count = stops_before(b, stages);
    for (uint32_t i = 0; i < count; i++)
        add(b, state, PATTERN_PROCEED, stop_state(b, stages[i]), taking(b, stages[i]));
}

// A loop that has begun is stopped by the stage behind it.
static void add_stop_behind(builder *b, pattern_state *state)
{
    if (b->at.following < 0 || !is_not_followed(&b->spec->stages[b->at.following]))
        return;
    uint32_t stage = (uint32_t)b->at.following;
    add(b, state, PATTERN_PROCEED, stop_state(b, stage), taking(b, stage));
}

static bool listed(const uint32_t *stages, uint32_t count, int32_t stage)
{
    for (uint32_t i = 0; i < count; i++)
        if ((int32_t)stages[i] == stage)
            return true;
    return false;
}

// Once an optional stage has taken a row, what must not come before it no longer counts: it leads to copies that do not stop there.
static pattern_state *without_stops(builder *b, pattern_state *sink)
{
    uint32_t stages[LEAT_MATCH_STAGES], count = stops_before(b, stages);
    if (!count || !stage_of(b)->optional || b->too_many)
        return sink;
    pattern_state *copy = state_new(b, sink->stage, sink->kind);
    for (uint32_t i = 0; i < sink->transition_count; i++) {
        pattern_transition way = sink->transitions[i];
        if (way.action != PATTERN_PROCEED)
            add(b, copy, way.action, way.target == sink ? copy : way.target, way.test);
        else if (way.target->kind != PATTERN_STOP)
            add(b, copy, way.action, without_stops(b, (pattern_state *)way.target), way.test);
        else if (!listed(stages, count, way.target->stage))
            add(b, copy, way.action, way.target, way.test);
    }
    return copy;
}

// ---- loops

// What comes after a greedy loop only gets rows that the loop does not take.
static void after_greedy(pattern_state *sink, builder *b, const pattern_test *take)
{
    for (uint32_t i = 0; i < sink->transition_count; i++)
        sink->transitions[i].test = both(b, sink->transitions[i].test, not(b, take));
}

static copied_state *find_copy(const builder *b, const pattern_state *sink)
{
    copied_state *at = b->copies;
    while (at && at->original != sink)
        at = at->next;
    return at;
}

static void remember_copy(builder *b, const pattern_state *sink)
{
    copied_state *known = find_copy(b, sink);
    if (!known) {
        known = leat_arena_new(b->arena, copied_state);
        *known = (copied_state){.next = b->copies, .original = sink};
        b->copies = known;
    }
    known->copy = copy_plain(b, sink);
}

// A greedy loop proceeds on the row that ends it to states that may take the very same row.
static void add_greedy_proceed(builder *b, pattern_state *from, const pattern_state *sink)
{
    const pattern_test *end = until(b);
    const copied_state *copied = end ? find_copy(b, sink) : NULL;
    if (copied)
        add(b, from, PATTERN_PROCEED, copied->copy, both(b, passing(b), end));
    add(b, from, PATTERN_PROCEED, sink, end ? both(b, passing(b), not(b, end)) : passing(b));
}

// ---- one round

static pattern_state *members(builder *b, pattern_state *sink);

static pattern_state *single_stage(builder *b, pattern_state *sink, const pattern_state *proceed,
                                   const pattern_test *take, const pattern_test *ignore, bool optional)
{
    pattern_state *state = stage_state(b, PATTERN_NORMAL);
    const pattern_state *behind = without_stops(b, sink);
    add(b, state, PATTERN_TAKE, behind, take);
    if (optional && stage_of(b)->greedy)
        add_greedy_proceed(b, state, proceed);
    else if (optional)
        add(b, state, PATTERN_PROCEED, proceed, passing(b));
    if (!ignore)
        return state;
    pattern_state *waiting = state;
    bool optional_group = is_head(b) && !b->later_round[b->at.group] && group_of(b)->optional;
    if (optional || optional_group) { // it waits in a state that does not proceed, so that each way is gone once
        waiting = waiting_state(b);
        add(b, waiting, PATTERN_TAKE, behind, take);
        add(b, waiting, PATTERN_IGNORE, waiting, ignore);
        add_stops_before(b, waiting);
    }
    add(b, state, PATTERN_IGNORE, waiting, ignore);
    return state;
}

static pattern_state *single(builder *b, pattern_state *sink, const pattern_state *proceed, const pattern_test *take,
                             const pattern_test *ignore, bool optional)
{
    if (!stage_of(b)->span)
        return single_stage(b, sink, proceed, take, ignore, optional);
    pattern_state *first = members(b, sink);
    if (optional)
        add(b, first, PATTERN_PROCEED, proceed, passing(b));
    return first;
}

// ---- loops

static pattern_state *looping_group(builder *b, const pattern_state *sink)
{
    pattern_state *between = stage_state(b, PATTERN_NORMAL), *first = members(b, between);
    add(b, first, PATTERN_PROCEED, sink, passing(b));
    add(b, between, PATTERN_PROCEED, first, passing(b));
    return first;
}

static pattern_state *looping(builder *b, pattern_state *sink)
{
    const leat_match_stage *stage = stage_of(b);
    if (stage->span)
        return looping_group(b, sink);
    const pattern_test *ignore = ignoring_within(b);
    const pattern_test *take = before_until(b, taking(b, b->at.stage));
    pattern_state *loop = stage_state(b, PATTERN_NORMAL);
    if (stage->greedy) {
        if (until(b))
            remember_copy(b, sink);
        add_greedy_proceed(b, loop, sink);
        after_greedy(sink, b, taking(b, b->at.stage));
    } else {
        add(b, loop, PATTERN_PROCEED, sink, passing(b));
    }
    add(b, loop, PATTERN_TAKE, loop, take);
    add_stop_behind(b, loop);
    if (!ignore)
        return loop;
    pattern_state *waiting = waiting_state(b);
    add(b, waiting, PATTERN_TAKE, loop, take);
    add(b, waiting, PATTERN_IGNORE, waiting, ignore);
    add(b, loop, PATTERN_IGNORE, waiting, ignore);
    add_stop_behind(b, waiting);
    return loop;
}

static void set_later_round(builder *b, bool later) { b->later_round[b->at.stage] = later; }

static pattern_state *times(builder *b, pattern_state *sink, pattern_state *proceed, uint32_t to)
{
    const leat_match_stage *stage = stage_of(b);
    const pattern_test *ignore = ignoring_within(b);
    const pattern_test *take = before_until(b, taking(b, b->at.stage));
    pattern_state *last = sink;
    if (stage->greedy && stage->from != to) {
        if (until(b))
            remember_copy(b, sink);
        after_greedy(sink, b, take);
    }
    set_later_round(b, true);
    for (uint32_t i = stage->from; i < to && !b->too_many; i++) {
        last = single(b, last, proceed, take, ignore, true);
        add_stop_behind(b, last);
    }
    for (uint32_t i = 1; i < stage->from && !b->too_many; i++) {
        last = single(b, last, NULL, take, ignore, false);
        add_stop_behind(b, last);
    }
    set_later_round(b, false);
    return single(b, last, proceed, take, ignoring_before(b), stage->optional);
}

static pattern_state *endless(builder *b, pattern_state *sink)
{
    set_later_round(b, true);
    pattern_state *loop = looping(b, without_stops(b, sink));
    return times(b, loop, sink, stage_of(b)->from);
}

// ---- all stages

static pattern_state *convert(builder *b, pattern_state *sink)
{
    const leat_match_stage *stage = stage_of(b);
    pattern_state *first;
    if (stage->repeated && stage->to == UINT32_MAX)
        first = endless(b, sink);
    else if (stage->repeated)
        first = times(b, sink, sink, stage->to);
    else
        first = single(b, sink, sink, taking(b, b->at.stage), ignoring_before(b), stage->optional);
    add_stops_before(b, first);
    return first;
}

static pattern_state *not_next(builder *b, const pattern_state *sink)
{
    pattern_state *state = stage_state(b, PATTERN_NORMAL);
    const pattern_test *fits = taking(b, b->at.stage);
    const pattern_state *stop = stop_state(b, b->at.stage);
    // The final state is only reached by a row, not by none.
    add(b, state, sink->kind == PATTERN_FINAL ? PATTERN_IGNORE : PATTERN_PROCEED, sink, not(b, fits));
    add(b, state, PATTERN_PROCEED, stop, fits);
    return state;
}

static pattern_state *not_followed_at_end(builder *b)
{
    pattern_state *state = stage_state(b, PATTERN_PENDING);
    const pattern_test *fits = taking(b, b->at.stage);
    add(b, state, PATTERN_PROCEED, stop_state(b, b->at.stage), fits);
    add(b, state, PATTERN_IGNORE, state, not(b, fits));
    return state;
}

static pattern_state *middle(builder *b, pattern_state *sink)
{
    const leat_match_stage *stage = stage_of(b);
    bool timed = b->spec->within_ms > 0 || stage->within_ms > 0;
    if (is_not_followed(stage))
        return sink->kind == PATTERN_FINAL && timed ? not_followed_at_end(b) : sink;
    return stage->contiguity == LEAT_MATCH_NOT_NEXT ? not_next(b, sink) : convert(b, sink);
}

// From `last` to the first stage of its sequence.
static pattern_state *sequence(builder *b, uint32_t last, pattern_state *sink)
{
    b->at.stage = last;
    for (; b->previous[b->at.stage] >= 0 && !b->too_many; b->at.stage = (uint32_t)b->previous[b->at.stage]) {
        sink = middle(b, sink);
        b->at.following = (int32_t)b->at.stage;
    }
    return convert(b, sink);
}

// The last one of `count` stages, groups counted with all that is in them; links each to the one before.
static uint32_t link_stages(builder *b, uint32_t first, uint32_t count)
{
    int32_t before = -1;
    for (uint32_t i = first; i < first + count; i += b->spec->stages[i].span + 1) {
        b->previous[i] = before;
        before = (int32_t)i;
    }
    return (uint32_t)before;
}

static pattern_state *members(builder *b, pattern_state *sink)
{
    place outer = b->at;
    b->has_groups = true;
    b->at.group = (int32_t)outer.stage;
    uint32_t last = link_stages(b, outer.stage + 1, b->spec->stages[outer.stage].span);
    pattern_state *first = sequence(b, last, sink);
    b->at = outer;
    return first;
}

// ---- what makes a pattern

static bool negated(const leat_match_stage *stage)
{
    return stage->contiguity == LEAT_MATCH_NOT_NEXT || is_not_followed(stage);
}

// Whether all stages of a group can be passed without a row: one without an end would go round for ever.
static bool members_can_be_empty(const leat_match_stage *group)
{
    for (uint32_t i = 1; i <= group->span; i += group[i].span + 1)
        if (!group[i].optional && !negated(&group[i]) && !(group[i].span && members_can_be_empty(&group[i])))
            return false;
    return true;
}

static leat_code check_group(const leat_match_stage *group, leat_error *out_error)
{
    bool endless_group = group->repeated && group->to == UINT32_MAX;
    if (negated(group) || group->greedy || group->where >= 0)
        return leat_error_set(out_error, LEAT_E_INVALID, "a group is neither negated nor greedy, and has no condition");
    if (endless_group && members_can_be_empty(group))
        return leat_error_set(out_error, LEAT_E_INVALID, "a group that repeats without an end takes at least one row");
    return LEAT_OK;
}

static leat_code check_stage(const leat_match_stage *stage, leat_error *out_error)
{
    if (stage->repeated && (!stage->from || stage->to < stage->from))
        return leat_error_set(out_error, LEAT_E_INVALID, "a stage repeats from 1 or more to no less rows");
    return stage->span ? check_group(stage, out_error) : LEAT_OK;
}

static leat_code check_sequence(const leat_match_stage *stages, uint32_t count, bool may_end_in_not,
                                leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (!count || negated(&stages[0]))
        return leat_error_set(out_error, LEAT_E_INVALID,
                              "a pattern has 1 to %d stages, and begins with one that takes rows", LEAT_MATCH_STAGES);
    for (uint32_t i = 0, step; i < count && code == LEAT_OK; i += step) {
        step = stages[i].span + 1;
        if (step > count - i)
            return leat_error_set(out_error, LEAT_E_INVALID, "a group ends behind the sequence that it is in");
        code = check_stage(&stages[i], out_error);
        if (code == LEAT_OK && stages[i].span)
            code = check_sequence(&stages[i + 1], stages[i].span, false, out_error);
        if (code == LEAT_OK && i + step == count && is_not_followed(&stages[i]) && !may_end_in_not)
            return leat_error_set(out_error, LEAT_E_INVALID,
                                  "a last stage that must not follow needs a time, and does not end a group");
    }
    return code;
}

static leat_code check(const leat_match_spec *spec, leat_error *out_error)
{
    uint32_t count = spec->stage_count > LEAT_MATCH_STAGES ? 0 : spec->stage_count;
    bool timed = spec->within_ms > 0 || (count && spec->stages[count - 1].within_ms > 0);
    return check_sequence(spec->stages, count, timed, out_error);
}

leat_code leat_pattern_compile(leat_arena *arena, const leat_match_spec *spec, pattern_graph *out_graph,
                               leat_error *out_error)
{
    builder b = {.arena = arena, .spec = spec, .at = {.following = -1, .group = -1}};
    leat_code code = check(spec, out_error);
    if (code != LEAT_OK)
        return code;
    b.stops = leat_arena_array(arena, pattern_state *, spec->stage_count);
    pattern_state *end = state_new(&b, -1, PATTERN_FINAL);
    pattern_state *start = sequence(&b, link_stages(&b, 0, spec->stage_count), end);
    start->kind = PATTERN_START;
    if (b.too_many)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the pattern needs more than %d states: repeat less often",
                              LEAT_MATCH_STATES);
    *out_graph = (pattern_graph){.state_count = b.count,
                                 .states = b.states,
                                 .start = start,
                                 .has_within = b.has_within,
                                 .has_groups = b.has_groups};
    return LEAT_OK;
}
