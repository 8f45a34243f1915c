// Compiling a tree into blocks of steps.
#include <string.h>

#include "operators/base/hash.h"
#include "operators/expr/code.h"

enum { REGISTERS_MAX = 16384, SELECTION_NONE = UINT16_MAX, LISTS_CHUNK = 8192 };

// What is known already: this tree lies in this register for the rows of this selection.
typedef struct computed {
    const leat_expr *expr;
    uint32_t hash;
    uint16_t selection, result;
} computed;

typedef struct leat_compiler {
    leat_arena *arena;
    leat_arena lists; // those below while they grow
    leat_step *steps;
    computed *known;
    leat_vector *registers;
    uint16_t *parents; // of selections
    uint32_t step_count, known_count, register_count, selection_count;
    uint32_t step_capacity, known_capacity, register_capacity, selection_capacity;
    bool too_large;
} leat_compiler;

static void *grown(leat_compiler *compiler, void *old, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return old;
    uint32_t wanted = *capacity ? *capacity * 2 : 16;
    void *memory = leat_arena_alloc_aligned(&compiler->lists, size * wanted, 16);
    memset(memory, 0, size * wanted);
    if (count)
        memcpy(memory, old, size * count);
    *capacity = wanted;
    return memory;
}

static uint16_t new_register(leat_compiler *compiler, leat_type type)
{
    compiler->registers = grown(compiler, compiler->registers, compiler->register_count, &compiler->register_capacity,
                                sizeof(leat_vector));
    if (compiler->register_count >= REGISTERS_MAX) {
        compiler->too_large = true;
        return 0;
    }
    compiler->registers[compiler->register_count] = (leat_vector){.column.type = type, .mask = UINT32_MAX};
    return (uint16_t)compiler->register_count++;
}

static uint16_t new_selection(leat_compiler *compiler, uint16_t parent)
{
    compiler->parents =
        grown(compiler, compiler->parents, compiler->selection_count, &compiler->selection_capacity, sizeof(uint16_t));
    if (compiler->selection_count >= REGISTERS_MAX) {
        compiler->too_large = true;
        return 0;
    }
    compiler->parents[compiler->selection_count] = parent;
    return (uint16_t)compiler->selection_count++;
}

static leat_step *new_step(leat_compiler *compiler, leat_operation operation, uint16_t selection, const leat_expr *expr)
{
    compiler->steps =
        grown(compiler, compiler->steps, compiler->step_count, &compiler->step_capacity, sizeof(leat_step));
    leat_step *step = &compiler->steps[compiler->step_count++];
    *step = (leat_step){.operation = (uint8_t)operation,
                        .selection = selection,
                        .expr = expr,
                        .selection_out = SELECTION_NONE,
                        .selection_rest = SELECTION_NONE};
    return step;
}

static const uint16_t *register_list(leat_compiler *compiler, const uint16_t *registers, uint32_t count)
{
    uint16_t *copy = leat_arena_alloc_aligned(compiler->arena, sizeof *copy * (count + 1), 2);
    memcpy(copy, registers, sizeof *copy * count);
    return copy;
}

static bool selection_within(const leat_compiler *compiler, uint16_t inner, uint16_t outer)
{
    while (inner != outer && inner != 0)
        inner = compiler->parents[inner];
    return inner == outer;
}

enum { HASH_DEPTH = 3 };

// Of the upper part of a tree: trees that differ below are told apart by leat_expr_equal.
static uint32_t expr_hash(const leat_expr *expr, unsigned depth)
{
    uint64_t hash = leat_hash_combine((uint64_t)expr->kind, expr->argument_count);
    if (expr->kind == LEAT_EXPR_CALL)
        hash = leat_hash_combine(hash, (uintptr_t)expr->function);
    else if (expr->kind == LEAT_EXPR_COLUMN)
        hash = leat_hash_combine(hash, (uint64_t)expr->input << 32 | expr->column);
    else if (expr->kind == LEAT_EXPR_LITERAL)
        hash = leat_hash_combine(hash, leat_value_hash(expr->type, &expr->literal));
    for (uint32_t i = 0; depth && i < expr->argument_count && i < 4; i++)
        hash = leat_hash_combine(hash, expr_hash(expr->arguments[i], depth - 1));
    return (uint32_t)leat_hash_mix(hash);
}

static int known_find(const leat_compiler *compiler, const leat_expr *expr, uint32_t hash, uint16_t selection)
{
    for (uint32_t i = 0; i < compiler->known_count; i++)
        if (compiler->known[i].hash == hash && leat_expr_equal(compiler->known[i].expr, expr) &&
            selection_within(compiler, selection, compiler->known[i].selection))
            return compiler->known[i].result;
    return -1;
}

static bool has_volatile(const leat_expr *expr)
{
    if (expr->kind == LEAT_EXPR_CALL && (expr->function->flags & LEAT_FUNCTION_VOLATILE))
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (has_volatile(expr->arguments[i]))
            return true;
    return false;
}

static void known_add(leat_compiler *compiler, const leat_expr *expr, uint32_t hash, uint16_t selection,
                      uint16_t result)
{
    if (has_volatile(expr))
        return;
    compiler->known =
        grown(compiler, compiler->known, compiler->known_count, &compiler->known_capacity, sizeof(computed));
    compiler->known[compiler->known_count++] = (computed){expr, hash, selection, result};
}

// Worth a selection of its own: what can fail, or costs more than the selection does.
static bool wants_narrowing(const leat_expr *expr)
{
    if (expr->may_fail || expr->kind == LEAT_EXPR_CASE || expr->kind == LEAT_EXPR_CAST)
        return true;
    unsigned cheap = LEAT_FUNCTION_TOTAL | LEAT_FUNCTION_AND | LEAT_FUNCTION_OR;
    if (expr->kind == LEAT_EXPR_CALL && !(expr->function->flags & cheap))
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (wants_narrowing(expr->arguments[i]))
            return true;
    return false;
}

static uint16_t compile(leat_compiler *compiler, const leat_expr *expr, uint16_t selection);

static uint16_t compile_literal(leat_compiler *compiler, const leat_expr *expr)
{
    uint16_t result = new_register(compiler, expr->type);
    leat_column *column = &compiler->registers[result].column;
    column->values = leat_arena_alloc_aligned(compiler->arena, 16, 16);
    memset(column->values, 0, 16);
    column->nulls = leat_arena_alloc_aligned(compiler->arena, 1, 1);
    column->nulls[0] = expr->literal.is_null;
    if (!expr->literal.is_null) {
        leat_column_set(column, 0, &expr->literal, compiler->arena);
        column->nulls = NULL;
    }
    compiler->registers[result].mask = 0;
    return result;
}

static uint16_t compile_load(leat_compiler *compiler, const leat_expr *expr)
{
    static const leat_operation operations[] = {
        [LEAT_EXPR_COLUMN] = LEAT_LOAD_COLUMN,
        [LEAT_EXPR_ROWTIME] = LEAT_LOAD_ROWTIME,
        [LEAT_EXPR_PROCTIME] = LEAT_LOAD_PROCTIME,
        [LEAT_EXPR_WATERMARK] = LEAT_LOAD_WATERMARK,
    };
    uint16_t result = new_register(compiler, expr->type);
    leat_step *step = new_step(compiler, operations[expr->kind], 0, expr);
    step->out = result;
    if (expr->kind == LEAT_EXPR_COLUMN) {
        step->input = (uint16_t)expr->input;
        step->column = (uint16_t)expr->column;
    }
    return result;
}

static uint16_t emit_call(leat_compiler *compiler, const leat_expr *expr, uint16_t selection, leat_kernel kernel,
                          unsigned flags, const uint16_t *arguments, uint32_t count)
{
    uint16_t result = new_register(compiler, expr->type);
    leat_step *step = new_step(compiler, LEAT_CALL, selection, expr);
    step->kernel = kernel;
    step->flags = flags;
    step->out = result;
    step->argument_count = count;
    step->arguments = register_list(compiler, arguments, count);
    return result;
}

static uint16_t split(leat_compiler *compiler, leat_operation operation, uint16_t selection, uint16_t argument)
{
    uint16_t out = new_selection(compiler, selection);
    leat_step *step = new_step(compiler, operation, selection, NULL);
    step->argument_count = 1;
    step->arguments = register_list(compiler, &argument, 1);
    step->selection_out = out;
    return out;
}

static uint16_t branches(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    uint16_t result = new_register(compiler, expr->type);
    new_step(compiler, LEAT_BRANCHES, selection, expr)->out = result;
    return result;
}

static void copy(leat_compiler *compiler, uint16_t from, uint16_t into, uint16_t selection)
{
    leat_step *step = new_step(compiler, LEAT_COPY, selection, NULL);
    step->argument_count = 1;
    step->arguments = register_list(compiler, &from, 1);
    step->out = into;
}

// a AND b AND c: the later ones only where the earlier are not FALSE, if that pays.
static uint16_t compile_connective(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    bool is_and = expr->function->flags & LEAT_FUNCTION_AND;
    unsigned flags = LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_TOTAL;
    uint16_t pair[2] = {compile(compiler, expr->arguments[0], selection), 0};
    uint16_t inner = selection;
    for (uint32_t i = 1; i < expr->argument_count; i++) {
        if (wants_narrowing(expr->arguments[i]))
            inner = split(compiler, is_and ? LEAT_SPLIT_NOT_FALSE : LEAT_SPLIT_NOT_TRUE, inner, pair[0]);
        pair[1] = compile(compiler, expr->arguments[i], inner);
        pair[0] = emit_call(compiler, expr, selection, expr->function->kernel, flags, pair, 2);
    }
    return pair[0];
}

static uint16_t compile_coalesce(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    uint16_t result = branches(compiler, expr, selection), rest = selection;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        uint16_t value = compile(compiler, expr->arguments[i], rest);
        copy(compiler, value, result, rest);
        if (i + 1 < expr->argument_count)
            rest = split(compiler, LEAT_SPLIT_NULL, rest, value);
    }
    return result;
}

static uint16_t compile_case(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    uint16_t result = branches(compiler, expr, selection), rest = selection;
    for (uint32_t i = 0; i + 1 < expr->argument_count; i += 2) {
        uint16_t when = compile(compiler, expr->arguments[i], rest);
        uint16_t taken = split(compiler, LEAT_SPLIT_TRUE, rest, when);
        uint32_t split_step = compiler->step_count - 1;
        rest = new_selection(compiler, rest);
        compiler->steps[split_step].selection_rest = rest;
        copy(compiler, compile(compiler, expr->arguments[i + 1], taken), result, taken);
    }
    copy(compiler, compile(compiler, expr->arguments[expr->argument_count - 1], rest), result, rest);
    return result;
}

static const uint16_t *compile_arguments(leat_compiler *compiler, const leat_expr *expr, uint32_t count,
                                         uint16_t selection)
{
    uint16_t *registers = leat_arena_alloc_aligned(compiler->arena, sizeof *registers * (count + 1), 2);
    for (uint32_t i = 0; i < count; i++)
        registers[i] = compile(compiler, expr->arguments[i], selection);
    return registers;
}

static uint16_t compile_call(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    const leat_function *function = expr->function;
    if (function->flags & (LEAT_FUNCTION_AND | LEAT_FUNCTION_OR))
        return compile_connective(compiler, expr, selection);
    if (function->flags & LEAT_FUNCTION_COALESCE)
        return compile_coalesce(compiler, expr, selection);
    bool listed = (function->flags & LEAT_FUNCTION_LISTED) && expr->prepared;
    uint32_t count = listed ? 1 : expr->argument_count;
    const uint16_t *arguments = compile_arguments(compiler, expr, count, selection);
    leat_type first = expr->argument_count ? expr->arguments[0]->type : expr->type;
    leat_kernel kernel = leat_function_kernel(function, first);
    LEAT_ASSERT(kernel);
    return emit_call(compiler, expr, selection, kernel, function->flags, arguments, count);
}

static uint16_t compile_cast(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    uint16_t argument = compile(compiler, expr->arguments[0], selection);
    leat_type from = expr->arguments[0]->type;
    unsigned total = leat_variant_of(from) <= LEAT_VARIANT_F64 && leat_variant_of(expr->type) <= LEAT_VARIANT_F64 &&
                     leat_type_is_numeric(from) && leat_type_is_numeric(expr->type);
    unsigned flags = total ? LEAT_FUNCTION_TOTAL : LEAT_FUNCTION_FAILS;
    uint16_t result = emit_call(compiler, expr, selection, leat_cast_kernel(from, expr->type), flags, &argument, 1);
    compiler->steps[compiler->step_count - 1].try_cast = expr->try_cast;
    return result;
}

static uint16_t compile_new(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    switch (expr->kind) {
    case LEAT_EXPR_LITERAL:
        return compile_literal(compiler, expr);
    case LEAT_EXPR_CALL:
        return compile_call(compiler, expr, selection);
    case LEAT_EXPR_CASE:
        return compile_case(compiler, expr, selection);
    case LEAT_EXPR_CAST:
        return compile_cast(compiler, expr, selection);
    default:
        return compile_load(compiler, expr);
    }
}

static uint16_t compile(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    uint32_t hash = expr_hash(expr, HASH_DEPTH);
    int known = known_find(compiler, expr, hash, selection);
    if (known >= 0)
        return (uint16_t)known;
    uint16_t result = compile_new(compiler, expr, selection);
    // Loads are made for every row, whatever the selection.
    bool everywhere =
        expr->kind == LEAT_EXPR_LITERAL || expr->kind == LEAT_EXPR_COLUMN || expr->kind >= LEAT_EXPR_ROWTIME;
    known_add(compiler, expr, hash, everywhere ? 0 : selection, result);
    return result;
}

// The rows for which the condition is TRUE, out of those of a selection.
static uint16_t compile_filter(leat_compiler *compiler, const leat_expr *expr, uint16_t selection)
{
    if (expr->kind == LEAT_EXPR_CALL && (expr->function->flags & LEAT_FUNCTION_AND)) {
        for (uint32_t i = 0; i < expr->argument_count; i++)
            selection = compile_filter(compiler, expr->arguments[i], selection);
        return selection;
    }
    leat_kernel kernel = expr->kind == LEAT_EXPR_CALL && expr->argument_count == 2
                             ? leat_filter_kernel(expr->function, expr->arguments[0]->type)
                             : NULL;
    if (!kernel)
        return split(compiler, LEAT_SPLIT_TRUE, selection, compile(compiler, expr, selection));
    const uint16_t *arguments = compile_arguments(compiler, expr, 2, selection);
    uint16_t out = new_selection(compiler, selection);
    leat_step *step = new_step(compiler, LEAT_FILTER, selection, expr);
    step->kernel = kernel;
    step->argument_count = 2;
    step->arguments = arguments;
    step->selection_out = out;
    return out;
}

static void *kept(leat_arena *arena, const void *list, size_t size)
{
    void *copy = leat_arena_alloc_aligned(arena, size, 16);
    if (size)
        memcpy(copy, list, size);
    return copy;
}

static leat_code compile_block(leat_arena *arena, const leat_expr *expr, bool filter, leat_block *out_block,
                               leat_error *out_error)
{
    leat_compiler compiler = {.arena = arena};
    leat_arena_init(&compiler.lists, arena->env, LISTS_CHUNK);
    new_selection(&compiler, 0);
    uint16_t result = filter ? compile_filter(&compiler, expr, 0) : compile(&compiler, expr, 0);
    if (!compiler.too_large)
        *out_block =
            (leat_block){.steps = kept(arena, compiler.steps, compiler.step_count * sizeof(leat_step)),
                         .step_count = compiler.step_count,
                         .registers = kept(arena, compiler.registers, compiler.register_count * sizeof(leat_vector)),
                         .register_count = compiler.register_count,
                         .selection_count = compiler.selection_count,
                         .result = result};
    leat_arena_fini(&compiler.lists);
    if (compiler.too_large)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the expression needs more than %d registers", REGISTERS_MAX);
    return LEAT_OK;
}

leat_code leat_program_compile(leat_arena *arena, const leat_expr *expr, const leat_zone *zone,
                               leat_program **out_program, leat_error *out_error)
{
    leat_expr_scope scope = {arena, zone};
    leat_program *program = leat_arena_new(arena, leat_program);
    program->expr = expr;
    program->zone = zone;
    // A constant is run as it stands: folding runs programs.
    const leat_expr *folded = leat_expr_is_constant(expr) ? expr : leat_expr_fold(&scope, (leat_expr *)expr);
    leat_code code = compile_block(arena, folded, false, &program->value, out_error);
    if (code == LEAT_OK && expr->type.kind == LEAT_KIND_BOOLEAN)
        code = compile_block(arena, folded, true, &program->filter, out_error);
    if (code == LEAT_OK)
        *out_program = program;
    return code;
}

leat_type leat_program_type(const leat_program *program) { return program->expr->type; }

int leat_program_column(const leat_program *program)
{
    const leat_expr *expr = program->expr;
    return expr->kind == LEAT_EXPR_COLUMN && expr->input == 0 ? (int)expr->column : -1;
}

const leat_expr *leat_program_expr(const leat_program *program) { return program->expr; }
