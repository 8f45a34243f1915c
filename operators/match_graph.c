// Built from the last stage to the first, so that a state knows where it leads.
#include "operators/match_graph.h"

#include <string.h>

typedef struct copied_state { // for a loop that ends by `until`: its sink before the loop's own condition was added
    const pattern_state *original;
    pattern_state *copy;
} copied_state;

typedef struct builder {
    leat_arena *arena;
    const leat_match_spec *spec;
    uint32_t count, room;
    const pattern_state **states;
    uint32_t stage;        // being built
    int32_t following;     // the stage built before, -1: none
    pattern_state **stops; // by stage
    copied_state copies[LEAT_MATCH_STAGES];
    uint32_t copy_count;
    bool too_many;
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

static const leat_match_stage *stage_of(const builder *b) { return &b->spec->stages[b->stage]; }
static const pattern_test *where(builder *b, uint32_t stage) { return condition(b, b->spec->stages[stage].where); }

static const pattern_test *until(builder *b)
{
    return stage_of(b)->until < 0 ? NULL : condition(b, stage_of(b)->until);
}

// Which rows may be ignored; NULL: none.
static const pattern_test *ignoring(builder *b, leat_match_contiguity contiguity)
{
    if (contiguity == LEAT_MATCH_FOLLOWED)
        return not(b, where(b, b->stage));
    return contiguity == LEAT_MATCH_ANY ? &always : NULL;
}

static const pattern_test *before_until(builder *b, const pattern_test *test)
{
    const pattern_test *end = until(b);
    return end && test ? both(b, not(b, end), test) : test;
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

static pattern_state *stage_state(builder *b) { return state_new(b, (int32_t)b->stage, PATTERN_NORMAL); }

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
        b->stops[stage] = state_new(b, (int32_t)stage, PATTERN_STOP);
        add(b, b->stops[stage], PATTERN_TAKE, b->stops[stage], where(b, stage));
    }
    return b->stops[stage];
}

// Stages before the one being built whose rows stop it: NOT_FOLLOWED directly before, or with only optional ones between.
static uint32_t stops_before(const builder *b, uint32_t out_stages[LEAT_MATCH_STAGES])
{
    uint32_t count = 0;
    for (uint32_t i = b->stage; i && (b->spec->stages[i - 1].optional || is_not_followed(&b->spec->stages[i - 1])); i--)
        if (is_not_followed(&b->spec->stages[i - 1]))
            out_stages[count++] = i - 1;
    return count;
}

static void add_stops_before(builder *b, pattern_state *state)
{
    uint32_t stages[LEAT_MATCH_STAGES], count = stops_before(b, stages);
    for (uint32_t i = 0; i < count; i++)
        add(b, state, PATTERN_PROCEED, stop_state(b, stages[i]), where(b, stages[i]));
}

// A loop that has begun is stopped by the stage behind it.
static void add_stop_behind(builder *b, pattern_state *state)
{
    if (b->following < 0 || !is_not_followed(&b->spec->stages[b->following]))
        return;
    uint32_t stage = (uint32_t)b->following;
    add(b, state, PATTERN_PROCEED, stop_state(b, stage), where(b, stage));
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

static pattern_state *remember_copy(builder *b, const pattern_state *sink)
{
    for (uint32_t i = 0; i < b->copy_count; i++)
        if (b->copies[i].original == sink) {
            b->copies[i].copy = copy_plain(b, sink);
            return b->copies[i].copy;
        }
    LEAT_ASSERT(b->copy_count < LEAT_MATCH_STAGES);
    b->copies[b->copy_count] = (copied_state){sink, copy_plain(b, sink)};
    return b->copies[b->copy_count++].copy;
}

static const pattern_state *copy_of(const builder *b, const pattern_state *sink)
{
    for (uint32_t i = 0; i < b->copy_count; i++)
        if (b->copies[i].original == sink)
            return b->copies[i].copy;
    return NULL;
}

// A greedy loop proceeds on the row that ends it to states that may take the very same row.
static void add_greedy_proceed(builder *b, pattern_state *from, const pattern_state *sink)
{
    const pattern_test *end = until(b);
    const pattern_state *copy = end ? copy_of(b, sink) : NULL;
    if (copy)
        add(b, from, PATTERN_PROCEED, copy, end);
    add(b, from, PATTERN_PROCEED, sink, end ? not(b, end) : &always);
}

static pattern_state *looping(builder *b, pattern_state *sink)
{
    const leat_match_stage *stage = stage_of(b);
    const pattern_test *ignore = before_until(b, ignoring(b, stage->inner));
    const pattern_test *take = before_until(b, where(b, b->stage));
    pattern_state *loop = stage_state(b);
    if (stage->greedy) {
        if (until(b))
            remember_copy(b, sink);
        add_greedy_proceed(b, loop, sink);
        after_greedy(sink, b, where(b, b->stage));
    } else {
        add(b, loop, PATTERN_PROCEED, sink, &always);
    }
    add(b, loop, PATTERN_TAKE, loop, take);
    add_stop_behind(b, loop);
    if (!ignore)
        return loop;
    pattern_state *waiting = stage_state(b);
    add(b, waiting, PATTERN_TAKE, loop, take);
    add(b, waiting, PATTERN_IGNORE, waiting, ignore);
    add(b, loop, PATTERN_IGNORE, waiting, ignore);
    add_stop_behind(b, waiting);
    return loop;
}

static pattern_state *single(builder *b, pattern_state *sink, const pattern_state *proceed, const pattern_test *take,
                             const pattern_test *ignore, bool optional)
{
    pattern_state *state = stage_state(b);
    const pattern_state *behind = without_stops(b, sink);
    add(b, state, PATTERN_TAKE, behind, take);
    if (optional && stage_of(b)->greedy)
        add_greedy_proceed(b, state, proceed);
    else if (optional)
        add(b, state, PATTERN_PROCEED, proceed, &always);
    if (!ignore)
        return state;
    pattern_state *waiting = state;
    if (optional) { // it waits in a state that does not proceed, so that each way is gone once
        waiting = stage_state(b);
        add(b, waiting, PATTERN_TAKE, behind, take);
        add(b, waiting, PATTERN_IGNORE, waiting, ignore);
        add_stops_before(b, waiting);
    }
    add(b, state, PATTERN_IGNORE, waiting, ignore);
    return state;
}

static pattern_state *times(builder *b, pattern_state *sink, pattern_state *proceed, uint32_t to)
{
    const leat_match_stage *stage = stage_of(b);
    const pattern_test *ignore = before_until(b, ignoring(b, stage->inner));
    const pattern_test *take = before_until(b, where(b, b->stage));
    pattern_state *last = sink;
    if (stage->greedy && stage->from != to) {
        if (until(b))
            remember_copy(b, sink);
        after_greedy(sink, b, take);
    }
    for (uint32_t i = stage->from; i < to && !b->too_many; i++) {
        last = single(b, last, proceed, take, ignore, true);
        add_stop_behind(b, last);
    }
    for (uint32_t i = 1; i < stage->from && !b->too_many; i++) {
        last = single(b, last, NULL, take, ignore, false);
        add_stop_behind(b, last);
    }
    return single(b, last, proceed, take, ignoring(b, stage->contiguity), stage->optional);
}

// ---- all stages

static pattern_state *convert(builder *b, pattern_state *sink)
{
    const leat_match_stage *stage = stage_of(b);
    pattern_state *first;
    if (stage->repeated && stage->to == UINT32_MAX)
        first = times(b, looping(b, without_stops(b, sink)), sink, stage->from);
    else if (stage->repeated)
        first = times(b, sink, sink, stage->to);
    else
        first = single(b, sink, sink, where(b, b->stage), ignoring(b, stage->contiguity), stage->optional);
    add_stops_before(b, first);
    return first;
}

static pattern_state *not_next(builder *b, const pattern_state *sink)
{
    pattern_state *state = stage_state(b);
    const pattern_test *fits = where(b, b->stage);
    const pattern_state *stop = stop_state(b, b->stage);
    // The final state is only reached by a row, not by none.
    add(b, state, sink->kind == PATTERN_FINAL ? PATTERN_IGNORE : PATTERN_PROCEED, sink, not(b, fits));
    add(b, state, PATTERN_PROCEED, stop, fits);
    return state;
}

static pattern_state *not_followed_at_end(builder *b)
{
    pattern_state *state = state_new(b, (int32_t)b->stage, PATTERN_PENDING);
    const pattern_test *fits = where(b, b->stage);
    add(b, state, PATTERN_PROCEED, stop_state(b, b->stage), fits);
    add(b, state, PATTERN_IGNORE, state, not(b, fits));
    return state;
}

static pattern_state *middle(builder *b, pattern_state *sink)
{
    const leat_match_stage *stage = stage_of(b);
    if (is_not_followed(stage))
        return sink->kind == PATTERN_FINAL && b->spec->within_ms > 0 ? not_followed_at_end(b) : sink;
    return stage->contiguity == LEAT_MATCH_NOT_NEXT ? not_next(b, sink) : convert(b, sink);
}

static bool negated(const leat_match_stage *stage)
{
    return stage->contiguity == LEAT_MATCH_NOT_NEXT || is_not_followed(stage);
}

static leat_code check(const leat_match_spec *spec, leat_error *out_error)
{
    const leat_match_stage *stages = spec->stages;
    if (!spec->stage_count || spec->stage_count > LEAT_MATCH_STAGES || negated(&stages[0]))
        return leat_error_set(out_error, LEAT_E_INVALID,
                              "a pattern has 1 to %d stages, and begins with one that takes rows", LEAT_MATCH_STAGES);
    for (uint32_t i = 0; i < spec->stage_count; i++)
        if (stages[i].repeated && (!stages[i].from || stages[i].to < stages[i].from))
            return leat_error_set(out_error, LEAT_E_INVALID, "a stage repeats from 1 or more to no less rows");
    if (is_not_followed(&stages[spec->stage_count - 1]) && spec->within_ms <= 0)
        return leat_error_set(out_error, LEAT_E_INVALID, "a last stage that must not follow needs a time");
    return LEAT_OK;
}

leat_code leat_pattern_compile(leat_arena *arena, const leat_match_spec *spec, pattern_graph *out_graph,
                               leat_error *out_error)
{
    builder b = {.arena = arena, .spec = spec, .following = -1};
    leat_code code = check(spec, out_error);
    if (code != LEAT_OK)
        return code;
    b.stops = leat_arena_array(arena, pattern_state *, spec->stage_count);
    pattern_state *sink = state_new(&b, -1, PATTERN_FINAL);
    for (b.stage = spec->stage_count - 1; b.stage; b.stage--) {
        sink = middle(&b, sink);
        b.following = (int32_t)b.stage;
    }
    sink = convert(&b, sink);
    sink->kind = PATTERN_START;
    if (b.too_many)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the pattern needs more than %d states: repeat less often",
                              LEAT_MATCH_STATES);
    *out_graph = (pattern_graph){.state_count = b.count, .states = b.states, .start = sink};
    return LEAT_OK;
}
