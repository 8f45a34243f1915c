#include "firmware-agent/control/command.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "firmware-agent/control/gateway.h"
#include "firmware-agent/control/json_writer.h"
#include "firmware-agent/control/run.h"
#include "firmware-agent/control/socket.h"
#include "firmware-agent/platform/env_posix.h"
#include "operators/base/suggest.h"

#ifndef LEAT_VERSION
#define LEAT_VERSION "development"
#endif

enum { OVERRIDES_MAX = 64, TEXT_MAX = 16 << 20 };

typedef struct options {
    bool json, dot;
    const char *socket;
    const char *overrides[OVERRIDES_MAX + 1];
    uint32_t override_count;
    const char *savepoint;  // stop: where to
    leat_agent_start start; // run
    const char *file;
} options;

typedef struct command {
    const char *name, *arguments, *summary, *help;
    bool needs_file;
    int (*run)(const options *given);
} command;

// ---- commands

static void print_writer(leat_writer *text)
{
    printf("%.*s", (int)text->size, text->bytes ? (const char *)text->bytes : "");
    leat_writer_fini(text);
}

// The agent works somewhere else: what is told to it is absolute.
static const char *absolute(const char *path, char out_path[PATH_MAX])
{
    char here[PATH_MAX / 2];
    if (path[0] == '/' || !getcwd(here, sizeof here))
        snprintf(out_path, PATH_MAX, "%s", path);
    else
        snprintf(out_path, PATH_MAX, "%s/%s", here, path);
    return out_path;
}

static int run_file(const options *given)
{
    leat_gateway gateway;
    char path[PATH_MAX];
    leat_agent_start start = given->start;
    if (!start.savepoint && (start.fresh || start.allow_non_restored_state)) {
        fprintf(stderr, "leat run: --fresh and --allow-non-restored-state go with --from\n");
        return EX_USAGE;
    }
    if (start.savepoint)
        start.savepoint = absolute(start.savepoint, path);
    int code = leat_gateway_open(&gateway, given->file, given->overrides, true);
    if (code == EX_OK)
        code = leat_run(&gateway, &start);
    leat_gateway_close(&gateway);
    return code;
}

static int check_file(const options *given)
{
    leat_gateway gateway;
    int code = leat_gateway_open(&gateway, given->file, given->overrides, false);
    if (code == EX_OK)
        printf("%s: %u sources, %u rules, %u sinks: fine\n", given->file, gateway.plan->source_count,
               gateway.plan->rule_count, gateway.plan->sink_count);
    leat_gateway_close(&gateway);
    return code;
}

static int explain_file(const options *given)
{
    leat_gateway gateway;
    leat_writer text;
    int code = leat_gateway_open(&gateway, given->file, given->overrides, false);
    if (code == EX_OK) {
        leat_writer_init(&text, gateway.env, TEXT_MAX);
        if (given->dot)
            leat_plan_print_dot(gateway.plan, &text);
        else
            leat_plan_print(gateway.plan, false, &text);
        print_writer(&text);
    }
    leat_gateway_close(&gateway);
    return code;
}

// The rest of a JSON text up to its quote: our own writer made it, so these escapes are all there are.
static void print_json_text(const char *cursor, FILE *to)
{
    for (; *cursor && *cursor != '"'; cursor++) {
        if (*cursor != '\\') {
            fputc(*cursor, to);
        } else if (*++cursor == 'u') {
            char digits[5];
            snprintf(digits, sizeof digits, "%.4s", cursor + 1);
            fputc((int)strtoul(digits, NULL, 16), to);
            cursor += strlen(digits);
        } else {
            fputc(*cursor, to);
        }
    }
}

// The text member of {"text":"..."}.
static void print_text_member(const char *json)
{
    const char *cursor = strchr(json, ':');
    print_json_text(cursor ? cursor + 2 : "", stdout);
}

static int ask_agent(const options *given, const char *socket_path, leat_env *env)
{
    leat_arena arena;
    leat_error error = {0};
    char *answer;
    leat_arena_init(&arena, env, 4096);
    const char *request = given->json ? "{\"command\":\"status\"}\n" : "{\"command\":\"status_text\"}\n";
    leat_code code = leat_socket_ask(socket_path, leat_slice_text(request), false, &arena, &answer, &error);
    if (code != LEAT_OK)
        fprintf(stderr, "leat: %s%s%s\n", error.place, error.place[0] ? ": " : "", error.message);
    else if (given->json)
        fputs(answer, stdout);
    else
        print_text_member(answer);
    leat_arena_fini(&arena);
    return code == LEAT_OK ? EX_OK : EX_UNAVAILABLE;
}

// Finds the agent's socket and speaks with it.
static int with_socket(const options *given, const char *name,
                       int (*speak)(const options *given, const char *socket_path, leat_env *env))
{
    leat_gateway gateway;
    leat_arena arena;
    if (given->socket)
        return speak(given, given->socket, leat_env_posix(0));
    if (!given->file) {
        fprintf(stderr, "leat %s: name the gateway file, or the socket with --socket\n", name);
        return EX_USAGE;
    }
    int code = leat_gateway_open(&gateway, given->file, given->overrides, false);
    if (code == EX_OK) {
        leat_arena_init(&arena, gateway.env, 4096);
        code = speak(given, leat_gateway_socket(&gateway, &arena), gateway.env);
        leat_arena_fini(&arena);
    }
    leat_gateway_close(&gateway);
    return code;
}

static int show_status(const options *given) { return with_socket(given, "status", ask_agent); }

static void write_stop(const options *given, leat_writer *out)
{
    char path[PATH_MAX];
    leat_json_writer json = {.out = out};
    leat_json_open(&json, NULL, '{');
    leat_json_string(&json, "command", "stop");
    if (given->savepoint)
        leat_json_string(&json, "savepoint", absolute(given->savepoint, path));
    leat_json_close(&json, '}');
    leat_write_text(out, "\n");
}

static int tell_stop(const options *given, const char *answer)
{
    static const char failed[] = "{\"error\":\"", saved[] = "\"savepoint\":\"";
    bool wrong = strncmp(answer, failed, sizeof failed - 1) == 0;
    const char *path = strstr(answer, saved);
    if (given->json) {
        fputs(answer, stdout);
    } else if (wrong) {
        fprintf(stderr, "leat stop: the agent goes on: ");
        print_json_text(answer + sizeof failed - 1, stderr);
        fprintf(stderr, "\n");
    } else if (path) {
        print_json_text(path + sizeof saved - 1, stdout);
        printf("\n");
    }
    return wrong ? EX_IOERR : EX_OK;
}

static int ask_stop(const options *given, const char *socket_path, leat_env *env)
{
    leat_arena arena;
    leat_writer request;
    leat_error error = {0};
    char *answer;
    leat_arena_init(&arena, env, 4096);
    leat_writer_init(&request, env, 65536);
    write_stop(given, &request);
    leat_code code = leat_socket_ask(socket_path, leat_writer_slice(&request), true, &arena, &answer, &error);
    if (code != LEAT_OK)
        fprintf(stderr, "leat: %s%s%s\n", error.place, error.place[0] ? ": " : "", error.message);
    int exit_code = code == LEAT_OK ? tell_stop(given, answer) : EX_UNAVAILABLE;
    leat_writer_fini(&request);
    leat_arena_fini(&arena);
    return exit_code;
}

static int stop_agent(const options *given) { return with_socket(given, "stop", ask_stop); }

static int print_manual(const options *given)
{
    leat_writer text;
    (void)given;
    leat_writer_init(&text, leat_env_posix(0), TEXT_MAX);
    leat_manual_print(leat_driver_catalog_get(), &text);
    print_writer(&text);
    return EX_OK;
}

static int show_version(const options *given)
{
    (void)given;
    printf("leat %s\n", LEAT_VERSION);
    return EX_OK;
}

static const command commands[] = {
    {"run", "FILE [--from SAVEPOINT]", "run the agent in the foreground",
     "Reads the gateway file, recovers from what the last run left, and works until every source has ended (bounded "
     "sources), a\n"
     "signal asks it to stop (SIGTERM, SIGINT: a last checkpoint, then what can be delivered within "
     "agent.stop_timeout), or a fault.\n"
     "--from begins with a savepoint instead: the state of each operator by its uid, positions of sources, what was "
     "not "
     "delivered.\n"
     "--fresh: a checkpoint that lies in the state directory is given up for it. --allow-non-restored-state: state "
     "that no rule takes\n"
     "is left behind.\n"
     "Exit codes: 0 finished or stopped, 75 results wait for a receiver or a fault that a restart may cure, 78 errors "
     "in the file,\n"
     "69 another agent runs on the state directory, 73 the state directory cannot be used, 65 the savepoint does not "
     "fit or is damaged.\n",
     true, run_file},
    {"check", "FILE", "report every error of a gateway file",
     "Reads, parses, binds and plans; starts nothing. All errors are printed at once, with their place. Exit codes: 0, "
     "66 no such\n"
     "file, 78 errors.\n",
     true, check_file},
    {"explain", "FILE [--dot]", "show what the rules compile to",
     "Prints sources, rules with their SQL, plan, keys, exchanges, state and guarantee, and sinks. --dot: the graph "
     "for Graphviz.\n",
     true, explain_file},
    {"status", "FILE | --socket PATH [--json]", "figures of the running agent",
     "Rows in and out, watermarks, drops by cause, backlog, checkpoints, memory and flash of the agent that runs this "
     "file. --json:\n"
     "one object, for scripts. Exit codes: 0, 69 no agent is running.\n",
     false, show_status},
    {"stop", "FILE | --socket PATH [--savepoint DIR]", "stop the running agent",
     "As SIGTERM: a last checkpoint, then what can be delivered within agent.stop_timeout; returns when the agent has "
     "ended.\n"
     "--savepoint writes a portable copy of its state into a new directory in DIR and prints its path; if it cannot "
     "be written the\n"
     "agent goes on. Exit codes: 0, 69 no agent is running, 74 no savepoint could be written.\n",
     false, stop_agent},
    {"manual", "", "print the reference of the gateway file as Markdown",
     "Made from the same tables that check the file.\n", false, print_manual},
    {"version", "", "print the version", "", false, show_version},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

// ---- help and arguments

static void print_help(FILE *to)
{
    fprintf(to, "leat: a stream processor for gateways\n\nusage: leat COMMAND [OPTION]... [FILE]\n\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-8s %-40s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fprintf(to, "\n  --set SECTION.KEY=VALUE  overrides a key of the file's agent section (may be repeated)\n"
                "  --help                   this, or a command's own help\n\n"
                "A first gateway file stands in the README; `leat manual` prints every key.\n");
}

static int print_command_help(const command *asked)
{
    printf("usage: leat %s %s\n\n%s.\n%s%s", asked->name, asked->arguments, asked->summary, asked->help[0] ? "\n" : "",
           asked->help);
    return EX_OK;
}

static const command *find_command(const char *name)
{
    leat_slice known[COMMAND_COUNT];
    char hint[128];
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
        known[i] = leat_slice_text(commands[i].name);
    }
    fprintf(stderr, "leat: unknown command '%s'%s; see leat --help\n", name,
            leat_suggest_text(leat_slice_text(name), known, COMMAND_COUNT, hint));
    return NULL;
}

// False: the process ends with *out_code.
static bool parse(const command *called, int count, char **arguments, options *out_options, int *out_code)
{
    static const struct option known[] = {{"json", no_argument, NULL, 'j'},
                                          {"dot", no_argument, NULL, 'd'},
                                          {"socket", required_argument, NULL, 's'},
                                          {"set", required_argument, NULL, 'o'},
                                          {"savepoint", required_argument, NULL, 'p'},
                                          {"from", required_argument, NULL, 'f'},
                                          {"fresh", no_argument, NULL, 'F'},
                                          {"allow-non-restored-state", no_argument, NULL, 'a'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *out_options = (options){0};
    *out_code = EX_USAGE;
    for (int option; (option = getopt_long(count, arguments, "h", known, NULL)) != -1;) {
        switch (option) {
        case 'j':
            out_options->json = true;
            break;
        case 'd':
            out_options->dot = true;
            break;
        case 's':
            out_options->socket = optarg;
            break;
        case 'o':
            if (out_options->override_count < OVERRIDES_MAX)
                out_options->overrides[out_options->override_count++] = optarg;
            break;
        case 'p':
            out_options->savepoint = optarg;
            break;
        case 'f':
            out_options->start.savepoint = optarg;
            break;
        case 'F':
            out_options->start.fresh = true;
            break;
        case 'a':
            out_options->start.allow_non_restored_state = true;
            break;
        case 'h':
            *out_code = print_command_help(called);
            return false;
        default:
            return false;
        }
    }
    if (optind < count)
        out_options->file = arguments[optind++];
    if (optind < count || (called->needs_file && !out_options->file)) {
        fprintf(stderr, "usage: leat %s %s\n", called->name, called->arguments);
        return false;
    }
    return true;
}

int leat_command_run(int count, char **arguments)
{
    options given;
    int code;
    if (count < 2 || strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "-h") == 0 ||
        strcmp(arguments[1], "help") == 0) {
        print_help(count < 2 ? stderr : stdout);
        return count < 2 ? EX_USAGE : EX_OK;
    }
    if (strcmp(arguments[1], "--version") == 0)
        return show_version(NULL);
    const command *called = find_command(arguments[1]);
    if (!called)
        return EX_USAGE;
    return parse(called, count - 1, arguments + 1, &given, &code) ? called->run(&given) : code;
}
