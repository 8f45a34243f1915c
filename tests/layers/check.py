#!/usr/bin/python3
"""Checks who may include whom, and who may touch the world. Names file, line and rule; exits 1 on any violation.

Usage: check.py [ROOT]

The rules are CONTRIBUTING.md's section "Layers". Everything that is allowed beyond the plain layering stands in the
tables below, one line with its reason each; a new line there is a design decision and is reviewed as one.
"""

import fnmatch
import os
import re
import sys

CODE_FOLDERS = ("operators", "drivers", "config", "firmware-agent")
TOP_FOLDERS = CODE_FOLDERS + ("board", "tests", "docs")

# Layer of a file, first match wins: (path pattern, layer name, patterns of what it may include).
BASE, CORE, EXPR, STATE = (f"operators/{name}/*" for name in ("base", "core", "expr", "state"))
API = "operators/api/leat.h"
LAYERS = [
    ("operators/api/*", "operators/api", []),
    ("operators/functions/*", "operators/functions", [API, "operators/functions/*"]),
    ("operators/base/*", "operators/base", [BASE]),
    ("operators/core/*", "operators/core", [BASE, CORE]),
    ("operators/expr/*", "operators/expr", [BASE, CORE, EXPR]),
    ("operators/state/*", "operators/state", [BASE, CORE, STATE]),
    ("operators/*", "operators", [BASE, CORE, EXPR, STATE, API]),
    ("drivers/*", "drivers", [BASE, CORE, EXPR, "drivers/*"]),
    ("config/*", "config", [BASE, CORE, EXPR, "config/*", "drivers/driver.h"]),
    ("firmware-agent/*", "firmware-agent",
     [API, "operators/*", "drivers/*", "config/*", "firmware-agent/*"]),
]

# Subfolders that exist; a file of code anywhere else is in the wrong place.
SUBFOLDERS = {
    "operators": ("api", "functions", "base", "core", "expr", "state"),
    "drivers": ("source", "format", "sink", "bus"),
    "config": ("yaml", "sql"),
    "firmware-agent": ("flow", "checkpoint", "log", "control", "platform"),
}

# (including file, included file, reason): what a layer's line above does not say.
EXTRA_INCLUDES = [
    ("operators/*", "operators/operators.def", "the list of operators, written once"),
    ("operators/*", "operators/registry.h", "the table made from that list"),
    ("operators/window*", "operators/window*.h", "assigner, trigger, evictor and panes are shared by the windows"),
    ("operators/match*", "operators/match*.h", "one operator in several files: automaton, buffer, values, stored form"),
    ("operators/process*", "operators/process*.h", "one operator in several files: views, context, order"),
    ("operators/state/*", API, "keyed state holds the cells of the public header"),
    ("operators/join*", "operators/join*.h", "the joins share their buffers"),
    ("operators/*", "operators/row_frame.h", "what operators share that keep rows per key"),
    ("operators/*", "operators/row_timers.h", "those of them that have timers"),
    ("operators/over*", "operators/over*.h", "one operator in several files: firing, values, stored form"),
    ("operators/top_n*", "operators/top_n*.h", "one operator in two files: by where its rows lie"),
    ("operators/core/*", API, "the loader of owners' functions checks its tables against the public header"),
    ("config/*", API, "functions are declared while the plan is made"),
    ("config/*", "operators/match_graph.h", "a pattern of too many states is refused where it stands, and not when it starts"),
    ("operators/expr/*", API, "owners' scalar and aggregate functions are called through its tables"),
]

# Headers of C, C11 and types only: no call in them reaches a file, a clock or a thread by the rules below.
PURE_HEADERS = set("""
assert.h ctype.h endian.h errno.h fenv.h float.h inttypes.h limits.h locale.h math.h setjmp.h stdalign.h stdarg.h
stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h sys/types.h time.h wchar.h
""".split())

# (file pattern, headers, reason): system headers beyond PURE_HEADERS.
EXTRA_HEADERS = [
    ("operators/*", ["xxhash.h"], "hashing of keys and result ids; header only"),
    ("firmware-agent/*", ["xxhash.h"], "as above"),
    ("operators/base/checksum*", ["arm_acle.h", "sys/auxv.h", "asm/hwcap.h", "nmmintrin.h", "cpuid.h"],
     "CRC32C in hardware, chosen at start"),
    ("operators/base/*", ["sched.h"], "yield in the ring's spin"),
    ("operators/expr/regex.c", ["pcre2.h"], "regular expressions; matching only, with memory of arenas"),
    ("config/yaml/*", ["yaml.h"], "libyaml is used in this folder only"),
    ("drivers/*/mqtt*", ["MQTTAsync.h", "MQTTClientPersistence.h", "MQTTProperties.h", "MQTTReasonCodes.h",
                         "MQTTSubscribeOpts.h", "pthread.h"],
     "paho: its callbacks come on its own threads and need a lock"),
    ("drivers/bus/mqtt_link.c", ["sys/socket.h"], "shutdown: the only way to keep paho from acknowledging a message"),
    ("drivers/source/sqlite.c", ["sqlite3.h"], "SQLite; it reads the database's file by itself"),
    ("drivers/*/modbus*", ["modbus/*", "modbus.h", "termios.h", "sys/time.h"], "libmodbus and its serial settings"),
    ("drivers/bus/modbus_socket.c", ["netdb.h", "netinet/*", "poll.h", "sys/socket.h", "unistd.h"],
     "connects for libmodbus, which cannot do it within a time limit"),
    ("firmware-agent/checkpoint/*", ["lmdb.h"], "LMDB is used in this folder only"),
    ("firmware-agent/*", ["pthread.h", "semaphore.h", "sched.h", "signal.h"], "the only folder with threads"),
    ("firmware-agent/*", ["dlfcn.h"], "loads drivers and owners' functions"),
    ("firmware-agent/main.c", ["getopt.h", "sysexits.h"], "command line and exit codes"),
    ("firmware-agent/control/*",
     ["getopt.h", "sysexits.h", "sys/socket.h", "sys/un.h", "poll.h", "unistd.h", "sys/stat.h"],
     "the commands and the control socket"),
    ("firmware-agent/platform/*", ["*"], "the POSIX side of env"),
]

# Calls that reach the world or the allocator; all of these go through env (operators/base/env.h).
WORLD_CALLS = {
    "file": "open openat creat fopen fdopen freopen tmpfile mkstemp fsync fdatasync sync_file_range unlink rename mkdir rmdir "
            "stat fstat lstat ftruncate truncate fallocate posix_fallocate opendir mmap munmap msync read write pread "
            "pwrite fread fwrite fclose ioctl",
    "clock": "clock_gettime gettimeofday time nanosleep clock_nanosleep usleep sleep localtime localtime_r mktime",
    "memory": "malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf aligned_alloc posix_memalign",
    "random": "getrandom getentropy rand srand rand_r random srandom drand48",
    "socket": "socket socketpair connect bind listen accept accept4 getaddrinfo",
    "process": "fork vfork execv execve execvp execlp system popen exit _exit quick_exit atexit signal sigaction kill",
    "thread": "pthread_create pthread_join thrd_create",
    "output": "printf fprintf vprintf vfprintf puts fputs putchar putc fputc perror syslog",
    "environment": "getenv secure_getenv setenv putenv",
}
CALL_GROUP = {name: group for group, names in WORLD_CALLS.items() for name in names.split()}

# (file pattern, groups or names, reason): who may call them.
EXTRA_CALLS = [
    ("firmware-agent/platform/*", list(WORLD_CALLS), "the POSIX side of env"),
    ("firmware-agent/*", ["thread"], "the only folder with threads"),
    ("firmware-agent/*", ["exit", "_exit", "atexit"], "only the agent may end the process"),
    ("firmware-agent/main.c", ["output", "signal", "sigaction", "kill", "environment"], "main speaks to the user"),
    ("firmware-agent/control/*", ["output", "socket", "read", "write", "unlink", "stat", "fstat", "kill"],
     "the commands speak to the user and to the control socket"),
    ("operators/base/assert.c", ["fprintf", "fputs"], "the last words of a broken invariant, before abort"),
    ("operators/base/error.c", ["fprintf", "fputs"], "the last words of a broken invariant, before abort"),
    ("operators/base/arena.c", ["fprintf", "fputs"], "the last words of an exhausted arena, before abort"),
    ("drivers/*/mqtt*", ["free"], "what paho hands over"),
    ("drivers/bus/modbus_socket.c", ["socket"], "connects for libmodbus, which cannot do it within a time limit"),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.M)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')', re.S)
# A plain call: not a member (x.open, x->open), not part of a longer name.
CALL = re.compile(r"(?<![\w.])(?<!->)(" + "|".join(sorted(CALL_GROUP, key=len, reverse=True)) + r")\s*\(")


def blank(text):
    """The same number of lines with nothing in them."""
    return "\n" * text.count("\n") or " "


def without_comments(text):
    return COMMENT.sub(lambda match: match.group(1) or blank(match.group(0)), text)


def without_strings(text):
    return COMMENT.sub(lambda match: '""' if match.group(1) else blank(match.group(0)), text)


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


class Check:
    def __init__(self, root):
        self.root = root
        self.violations = []
        self.includes = {}  # header or source -> [(line, included)]

    def violation(self, path, line, rule, message):
        self.violations.append((path, line, rule, message))

    def run(self):
        files = self.find()
        for path in files:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                text = file.read()
            self.check_file(path, text)
        self.check_cycles()
        return sorted(set(self.violations))

    def find(self):
        """Files of code; a file of code in no layer is reported and left out."""
        found = []
        for name in sorted(os.listdir(self.root)):
            if os.path.isfile(os.path.join(self.root, name)):
                if name.endswith((".c", ".h")):
                    self.violation(name, 1, "place", "code lies in operators, drivers, config, firmware-agent or tests")
                continue
            if name.startswith((".", "build")) or name == "__pycache__":
                continue
            for folder, folders, names in os.walk(os.path.join(self.root, name)):
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                for file in sorted(names):
                    path = os.path.relpath(os.path.join(folder, file), self.root)
                    if file.endswith((".c", ".h")) and self.placed(path):
                        found.append(path)
        return found

    def placed(self, path):
        parts = path.split("/")
        top = parts[0]
        if top not in TOP_FOLDERS:
            self.violation(path, 1, "place", f"{top}/ is no folder of this project")
            return False
        if top in ("board", "docs"):
            self.violation(path, 1, "place", f"{top}/ holds no code")
            return False
        if top in SUBFOLDERS and len(parts) > 2 and parts[1] not in SUBFOLDERS[top]:
            self.violation(path, 1, "place", f"{top}/{parts[1]}/ is no folder of code")
            return False
        return True

    def check_file(self, path, text):
        bare = without_comments(text)
        included = [(line_of(bare, match.start(1) if match.group(1) else match.start(2)), match.group(1),
                     match.group(2)) for match in INCLUDE.finditer(bare)]
        self.includes[path] = [(line, own) for line, own, _ in included if own]
        for line, own, system in included:
            if own:
                self.check_include(path, line, own)
            else:
                self.check_header(path, line, system)
        if path.startswith("tests/"):
            return
        self.check_umbrella(path, bare)
        self.check_calls(path, without_strings(text))

    def check_include(self, path, line, own):
        if own.startswith((".", "/")) or "/../" in own or "/" not in own:
            self.violation(path, line, "root", f'"{own}" is not written from the root of the repository')
            return
        if not os.path.isfile(os.path.join(self.root, own)):
            self.violation(path, line, "resolve", f'"{own}" does not exist')
            return
        if own.endswith(".c"):
            self.violation(path, line, "source", f'"{own}" is a source; include its header')
            return
        if path.startswith("tests/functions/"):
            if own != API:
                self.violation(path, line, "layer", f'an owner\'s function includes {API} only, not "{own}"')
            return
        if path.startswith("tests/"):
            return
        if own.startswith(("tests/", "board/", "docs/")):
            self.violation(path, line, "layer", f'"{own}": {own.split("/")[0]}/ is included by nobody')
            return
        layer, allowed = next((name, patterns) for pattern, name, patterns in LAYERS
                              if fnmatch.fnmatchcase(path, pattern))
        if matches(own, allowed):
            return
        if any(fnmatch.fnmatchcase(path, by) and fnmatch.fnmatchcase(own, what) for by, what, _ in EXTRA_INCLUDES):
            return
        if layer == "operators" and own.startswith("operators/") and own.count("/") == 1:
            if os.path.splitext(path)[0] == os.path.splitext(own)[0]:
                return
            self.violation(path, line, "operator", f'an operator never includes another one\'s "{own}"')
            return
        self.violation(path, line, "layer", f'{layer} may not include "{own}"')

    def check_header(self, path, line, system):
        if path.startswith("tests/"):
            if path.startswith("tests/functions/") and system not in PURE_HEADERS:
                self.violation(path, line, "header", f"<{system}>: an owner's function needs libc only")
            return
        if system in PURE_HEADERS:
            return
        if any(fnmatch.fnmatchcase(path, by) and matches(system, headers) for by, headers, _ in EXTRA_HEADERS):
            return
        self.violation(path, line, "header", f"<{system}> is not for this folder (see EXTRA_HEADERS)")

    def check_umbrella(self, path, bare):
        if not path.endswith(".h"):
            return
        rest = re.sub(r"^[ \t]*#[^\n]*$", "", bare, flags=re.M).strip()
        if len(self.includes[path]) >= 2 and not rest and "#define" not in re.sub(r"#\s*define\s+\w+_H_?\s*$", "", bare,
                                                                                    flags=re.M):
            self.violation(path, 1, "umbrella", "a header that only includes other headers")

    def check_calls(self, path, code):
        for match in CALL.finditer(code):
            name = match.group(1)
            if any(fnmatch.fnmatchcase(path, by) and (name in names or CALL_GROUP[name] in names)
                   for by, names, _ in EXTRA_CALLS):
                continue
            self.violation(path, line_of(code, match.start()), "world",
                           f"{name}() ({CALL_GROUP[name]}) goes through env or the agent (see EXTRA_CALLS)")

    def check_cycles(self):
        state = {}  # 1 = on the path, 2 = done
        for start in sorted(self.includes):
            if state.get(start):
                continue
            state[start] = 1
            stack = [(start, iter(self.includes[start]))]
            while stack:
                path, rest = stack[-1]
                step = next(rest, None)
                if step is None:
                    state[path] = 2
                    stack.pop()
                    continue
                line, own = step
                if own not in self.includes:
                    continue
                if state.get(own) == 1:
                    names = [name for name, _ in stack]
                    loop = names[names.index(own):] + [own]
                    self.violation(path, line, "cycle", " -> ".join(loop))
                elif not state.get(own):
                    state[own] = 1
                    stack.append((own, iter(self.includes[own])))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    check = Check(os.path.abspath(root))
    violations = check.run()
    for path, line, rule, message in violations:
        print(f"{path}:{line}: {rule}: {message}")
    print(f"layers: {len(check.includes)} files, {len(violations)} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
