#!/usr/bin/python3
"""Plants one violation of each rule in a tiny tree and expects the check to name it, and plants its near misses."""

import os
import subprocess
import sys
import tempfile
import unittest

CHECK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check.py")


def check(files):
    """Exit code and output lines of the check over a tree of {path: text}."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()


def include(*paths):
    return "".join(f'#include "{path}"\n' for path in paths)


# Headers that the cases below include.
TREE = {path: "int x;\n" for path in (
    "operators/api/leat.h", "operators/base/error.h", "operators/core/batch.h", "operators/expr/expr.h",
    "operators/state/keyed.h", "operators/filter.h", "operators/window_time.h", "operators/functions/rising.h",
    "drivers/driver.h", "drivers/bus/bus.h", "drivers/format/json.h", "config/plan.h", "firmware-agent/agent.h",
    "tests/support/harness.h")}


class Layers(unittest.TestCase):
    def expect(self, files, *lines):
        code, output = check({**TREE, **files})
        self.assertEqual(output[:-1], sorted(lines))
        self.assertEqual(code, 1 if lines else 0)

    def refuse_include(self, path, own, layer):
        self.expect({path: f'#include <stdint.h>\n#include "{own}"\n'}, f'{path}:2: layer: {layer} may not include "{own}"')

    def test_a_clean_tree_passes(self):
        self.expect({
            "operators/base/error.c": include("operators/base/error.h") + "#include <string.h>\n#include <xxhash.h>\n",
            "operators/core/batch.c": include("operators/core/batch.h", "operators/base/error.h"),
            "operators/expr/expr.c": include("operators/core/batch.h", "operators/base/error.h"),
            "operators/state/keyed.c": include("operators/core/batch.h", "operators/base/error.h"),
            "operators/filter.c": include("operators/filter.h", "operators/expr/expr.h", "operators/state/keyed.h"),
            "operators/functions/rising.c": include("operators/api/leat.h"),
            "drivers/source/file.c": include("drivers/format/json.h", "operators/expr/expr.h"),
            "config/sql/parse.c": include("config/plan.h", "drivers/driver.h", "operators/expr/expr.h"),
            "firmware-agent/main.c": include("config/plan.h", "operators/state/keyed.h", "drivers/bus/bus.h"),
            "tests/unit/test_x.c": include("firmware-agent/agent.h", "tests/support/harness.h"),
            "tests/functions/own.c": include("operators/api/leat.h"),
        })

    def test_base_includes_only_base(self):
        self.refuse_include("operators/base/a.c", "operators/core/batch.h", "operators/base")

    def test_core_includes_no_expressions(self):
        self.refuse_include("operators/core/a.c", "operators/expr/expr.h", "operators/core")

    def test_expr_includes_no_state(self):
        self.refuse_include("operators/expr/a.c", "operators/state/keyed.h", "operators/expr")

    def test_state_includes_no_expressions(self):
        self.refuse_include("operators/state/a.c", "operators/expr/expr.h", "operators/state")

    def test_operators_include_no_drivers(self):
        self.refuse_include("operators/filter.c", "drivers/driver.h", "operators")

    def test_an_operator_never_includes_another(self):
        self.expect({"operators/dedup.c": include("operators/filter.h")},
                    'operators/dedup.c:1: operator: an operator never includes another one\'s "operators/filter.h"')

    def test_windows_share_their_headers(self):
        self.expect({"operators/window_session.c": include("operators/window_time.h")})

    def test_functions_include_only_the_public_header(self):
        self.refuse_include("operators/functions/a.c", "operators/base/error.h", "operators/functions")

    def test_the_public_header_includes_nothing_of_ours(self):
        self.refuse_include("operators/api/leat.h", "operators/base/error.h", "operators/api")

    def test_drivers_include_no_operator(self):
        self.refuse_include("drivers/sink/a.c", "operators/filter.h", "drivers")

    def test_drivers_include_no_state(self):
        self.refuse_include("drivers/sink/a.c", "operators/state/keyed.h", "drivers")

    def test_drivers_include_no_config(self):
        self.refuse_include("drivers/sink/a.c", "config/plan.h", "drivers")

    def test_config_includes_no_state(self):
        self.refuse_include("config/sql/a.c", "operators/state/keyed.h", "config")

    def test_config_includes_no_operator(self):
        self.refuse_include("config/a.c", "operators/filter.h", "config")

    def test_config_knows_no_driver_by_name(self):
        self.refuse_include("config/a.c", "drivers/format/json.h", "config")

    def test_config_includes_no_agent(self):
        self.refuse_include("config/a.c", "firmware-agent/agent.h", "config")

    def test_nobody_includes_tests(self):
        self.expect({"firmware-agent/main.c": include("tests/support/harness.h")},
                    'firmware-agent/main.c:1: layer: "tests/support/harness.h": tests/ is included by nobody')

    def test_an_owners_function_includes_the_public_header_only(self):
        self.expect({"tests/functions/own.c": include("operators/base/error.h") + "#include <pthread.h>\n"},
                    "tests/functions/own.c:1: layer: an owner's function includes operators/api/leat.h only, not "
                    '"operators/base/error.h"',
                    "tests/functions/own.c:2: header: <pthread.h>: an owner's function needs libc only")

    def test_includes_are_written_from_the_root(self):
        self.expect({"operators/base/a.c": include("error.h", "../base/error.h")},
                    'operators/base/a.c:1: root: "error.h" is not written from the root of the repository',
                    'operators/base/a.c:2: root: "../base/error.h" is not written from the root of the repository')

    def test_includes_resolve(self):
        self.expect({"operators/base/a.c": include("operators/base/gone.h")},
                    'operators/base/a.c:1: resolve: "operators/base/gone.h" does not exist')

    def test_sources_are_not_included(self):
        self.expect({"operators/base/a.c": "int y;\n", "operators/base/b.c": include("operators/base/a.c")},
                    'operators/base/b.c:1: source: "operators/base/a.c" is a source; include its header')

    def test_cycles_are_named(self):
        self.expect({"operators/base/a.h": "int a;\n" + include("operators/base/b.h"),
                     "operators/base/b.h": "int b;\n" + include("operators/base/a.h")},
                    "operators/base/b.h:2: cycle: operators/base/a.h -> operators/base/b.h -> operators/base/a.h")

    def test_umbrella_headers_are_refused(self):
        self.expect({"operators/core/all.h": "#pragma once\n// All of it.\n" +
                     include("operators/core/batch.h", "operators/base/error.h")},
                    "operators/core/all.h:1: umbrella: a header that only includes other headers")

    def test_places(self):
        self.expect({"utils/a.c": "int a;\n", "board/a.c": "int a;\n", "operators/misc/a.c": "int a;\n"},
                    "board/a.c:1: place: board/ holds no code",
                    "operators/misc/a.c:1: place: operators/misc/ is no folder of code",
                    "utils/a.c:1: place: utils/ is no folder of this project")

    def test_a_source_beside_the_documents(self):
        self.expect({"config/../stray.c": "int a;\n"},
                    "stray.c:1: place: code lies in operators, drivers, config, firmware-agent or tests")

    def test_system_headers(self):
        rule = "header: <{}> is not for this folder (see EXTRA_HEADERS)"
        for path, header in (("operators/base/a.c", "fcntl.h"), ("operators/filter.c", "pthread.h"),
                             ("config/sql/a.c", "yaml.h"), ("drivers/source/file.c", "unistd.h"),
                             ("drivers/source/file.c", "MQTTAsync.h"), ("firmware-agent/flow/a.c", "lmdb.h"),
                             ("firmware-agent/flow/a.c", "sys/stat.h")):
            with self.subTest(path=path, header=header):
                self.expect({path: f"#include <{header}>\n"}, f"{path}:1: " + rule.format(header))

    def test_system_headers_where_they_belong(self):
        self.expect({"firmware-agent/platform/a.c": "#include <fcntl.h>\n#include <sys/stat.h>\n",
                     "firmware-agent/checkpoint/a.c": "#include <lmdb.h>\n", "config/yaml/a.c": "#include <yaml.h>\n",
                     "drivers/source/mqtt.c": "#include <MQTTAsync.h>\n", "firmware-agent/flow/a.c": "#include <pthread.h>\n",
                     "drivers/bus/modbus_link.c": "#include <modbus/modbus.h>\n"})

    def test_calls_that_reach_the_world(self):
        for path, call, group in (("operators/base/a.c", "malloc", "memory"), ("operators/filter.c", "free", "memory"),
                                  ("operators/state/a.c", "clock_gettime", "clock"), ("config/a.c", "fopen", "file"),
                                  ("config/sql/a.c", "time", "clock"), ("drivers/source/file.c", "open", "file"),
                                  ("drivers/sink/a.c", "socket", "socket"), ("firmware-agent/log/a.c", "fsync", "file"),
                                  ("firmware-agent/flow/a.c", "rand", "random"), ("operators/core/a.c", "printf", "output"),
                                  ("drivers/source/a.c", "pthread_create", "thread"), ("config/a.c", "exit", "process")):
            with self.subTest(path=path, call=call):
                self.expect({path: f"void f(void);\nvoid f(void) {{ {call} (0); }}\n"},
                            f"{path}:2: world: {call}() ({group}) goes through env or the agent (see EXTRA_CALLS)")

    def test_calls_that_only_look_like_it(self):
        self.expect({"operators/core/a.c": "// malloc(1) was tried\n/* open(\n free( */\nchar *s = \"time(0)\";\n"
                     "void f(struct e *e) { e->ops->open(e); e->ops.free(e); event_time(1); leat_free(2); }\n"
                     "struct o { int (*open)(void); };\n",
                     "firmware-agent/platform/env.c": "void f(void) { malloc(1); open(0); clock_gettime(0, 0); }\n",
                     "tests/unit/test_x.c": "void f(void) { malloc(1); }\n"})

    def test_commented_out_includes_do_not_count(self):
        self.expect({"operators/base/a.c": '// #include "config/plan.h"\n/*\n#include "config/plan.h"\n*/\n'})


if __name__ == "__main__":
    unittest.main()
