// The source `sqlite` alone, beside another connection that writes, locks, replaces and removes the database.
#include "tests/unit/drivers/table_support.h"

#include <sqlite3.h>

#include "drivers/bus/sqlite_settings.h"

extern const leat_source_ops leat_source_sqlite_ops;

static leat_sqlite_source_settings settings;
static sqlite3 *writer;

static void run(const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(writer, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static int set_up(void **state)
{
    (void)state;
    settings = (leat_sqlite_source_settings){.table = "t", .follow = true, .check_ms = 500};
    set_up_table(&leat_source_sqlite_ops, &settings, "t.db", &settings.path);
    assert_int_equal(sqlite3_open(fixture.path, &writer), SQLITE_OK);
    run("CREATE TABLE t(k TEXT, v INT)");
    return 0;
}

static int tear_down(void **state)
{
    sqlite3_close(writer);
    writer = NULL;
    return tear_down_table(state);
}

static void ask(const char *query)
{
    close_table();
    settings.query = query;
    settings.table = NULL;
    open_table();
}

static void test_values(void **state)
{
    (void)state;
    ask("SELECT 1 AS a, -9223372036854775807-1 AS b, 0.1 AS c, NULL AS d, 'x\"\\' || char(10) AS e, x'6869' AS f, "
        "1e999 AS g");
    reading();
    expect_table(
        "{\"a\":1,\"b\":-9223372036854775808,\"c\":0.10000000000000001,\"d\":null,\"e\":\"x\\u0022\\u005c\\u000a\","
        "\"f\":\"hi\",\"g\":null}\n");
}

static void test_read_again_only_after_a_commit(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    reading();
    expect_table("{\"k\":\"a\",\"v\":1}\n");
    uint64_t last = fixture.last;
    assert_int_equal(reading(), LEAT_AGAIN);
    expect_no_table();
    assert_int_equal(fixture.wait_ms, 500);
    run("UPDATE t SET v = 2");
    reading();
    expect_table("{\"k\":\"a\",\"v\":2}\n");
    assert_true(fixture.first > last);
}

static void test_empty_table(void **state)
{
    (void)state;
    reading();
    expect_table(""); // an end without rows: everything is gone
    assert_int_equal(fixture.blocks, 0);
}

static void test_locked(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    reading();
    run("BEGIN EXCLUSIVE; UPDATE t SET v = 2");
    reading();
    expect_left("database is locked");
    run("COMMIT");
    reading();
    expect_table("{\"k\":\"a\",\"v\":2}\n");
}

static void test_rolled_back(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    reading();
    run("BEGIN EXCLUSIVE; DELETE FROM t; ROLLBACK");
    reading();
    expect_no_table();
}

// With a write-ahead log a writer does not lock readers out: they see what is committed.
static void test_write_ahead_log(void **state)
{
    (void)state;
    run("PRAGMA journal_mode=WAL; INSERT INTO t VALUES('a', 1)");
    reading();
    expect_table("{\"k\":\"a\",\"v\":1}\n");
    run("BEGIN IMMEDIATE; UPDATE t SET v = 2");
    reading();
    expect_no_table();
    assert_true(fixture.good);
    run("COMMIT");
    reading();
    expect_table("{\"k\":\"a\",\"v\":2}\n");
    run("PRAGMA wal_checkpoint(TRUNCATE)"); // changes the file and no row
    reading();
    run("UPDATE t SET v = 3");
    reading();
    expect_table("{\"k\":\"a\",\"v\":3}\n");
}

// The database can be checkpointed and truncated after a reading: no reader is left within a statement.
static void test_holds_no_lock(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    reading();
    run("BEGIN EXCLUSIVE; DELETE FROM t; COMMIT; VACUUM");
    reading();
    expect_table("");
}

static void test_missing_table_then_there(void **state)
{
    (void)state;
    ask("SELECT k FROM later");
    reading();
    expect_left("no such table: later");
    run("CREATE TABLE later(k TEXT); INSERT INTO later VALUES('x')");
    reading();
    expect_table("{\"k\":\"x\"}\n");
}

static void test_missing_column(void **state)
{
    (void)state;
    ask("SELECT k, other FROM t");
    reading();
    expect_left("no such column: other");
    run("ALTER TABLE t ADD COLUMN other INT; INSERT INTO t VALUES('a', 1, 2)");
    reading();
    expect_table("{\"k\":\"a\",\"other\":2}\n");
}

static void test_columns_change(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    reading();
    run("ALTER TABLE t RENAME COLUMN v TO w");
    reading();
    expect_table("{\"k\":\"a\",\"w\":1}\n");
}

static void test_queries_that_read_nothing(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    const char *refused[] = {"DELETE FROM t", "INSERT INTO t VALUES('b', 2) RETURNING k", "CREATE TABLE u(x)",
                             "DROP TABLE t"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ask(refused[i]);
        reading();
        expect_left(""); // by us or by the library, which opened it read-only
    }
    ask("  -- nothing");
    reading();
    expect_left("the query is empty");
    ask("SELECT count(*) AS n FROM t");
    reading();
    expect_table("{\"n\":1}\n");
}

static void test_name_in_need_of_quotes(void **state)
{
    (void)state;
    run("CREATE TABLE \"my \"\"table\"\"; DROP TABLE t\"(x INT); INSERT INTO \"my \"\"table\"\"; DROP TABLE t\" "
        "VALUES(1)");
    close_table();
    settings.table = "my \"table\"; DROP TABLE t";
    open_table();
    reading();
    expect_table("{\"x\":1}\n");
    run("SELECT * FROM t");
}

static void test_not_a_database(void **state)
{
    (void)state;
    char path[160];
    snprintf(path, sizeof path, "%s/other.db", fixture.folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 2000; i++)
        fputs("this is no database", file);
    fclose(file);
    settings.path = path;
    reading();
    expect_left("file is not a database");
    settings.path = "/nowhere/t.db";
    reading();
    expect_left("the file cannot be read");
    settings.path = fixture.folder;
    reading();
    expect_left(""); // in the words of the library, which differ
}

static void test_replaced_by_another_file(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    reading();
    char beside[160];
    snprintf(beside, sizeof beside, "%s.new", fixture.path);
    sqlite3 *other;
    assert_int_equal(sqlite3_open(beside, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "CREATE TABLE t(k TEXT, v INT); INSERT INTO t VALUES('new', 9)", 0, 0, 0),
                     SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(rename(beside, fixture.path), 0);
    reading();
    expect_table("{\"k\":\"new\",\"v\":9}\n");
    assert_int_equal(unlink(fixture.path), 0);
    reading();
    expect_left("the file cannot be read");
}

static void test_half_a_database(void **state)
{
    (void)state;
    run("BEGIN");
    for (int i = 0; i < 2000; i++)
        run("INSERT INTO t VALUES('a long enough text to fill some pages', 1)");
    run("COMMIT");
    sqlite3_close(writer);
    writer = NULL;
    assert_int_equal(truncate(fixture.path, 8192), 0);
    assert_int_equal(reading(), LEAT_AGAIN);
    expect_left("malformed");
}

static void test_too_large(void **state)
{
    (void)state;
    ask("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) "
        "SELECT i, 'some text that makes the row longer than fifty bytes' AS x FROM n");
    reading();
    expect_left("larger than 16 MiB");
    ask("SELECT 1 AS a");
    reading();
    expect_table("{\"a\":1}\n");
}

static void test_read_once(void **state)
{
    (void)state;
    settings.follow = false;
    run("INSERT INTO t VALUES('a', 1)");
    assert_int_equal(reading(), LEAT_END);
    expect_table("{\"k\":\"a\",\"v\":1}\n");
    ask("SELECT absent FROM t");
    assert_int_equal(reading(), LEAT_E_INVALID);
    assert_non_null(strstr(fixture.error.message, "no such column: absent"));
    assert_string_equal(fixture.error.place, fixture.path);
}

static void test_positions_across_a_restart(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES('a', 1)");
    reading();
    uint64_t last = fixture.last;
    char kept[16];
    leat_slice position = fixture.ops->position(fixture.source);
    memcpy(kept, position.data, position.size);
    close_table();
    open_table();
    assert_int_equal(fixture.ops->seek(fixture.source, leat_slice_of(kept, position.size), &fixture.error), LEAT_OK);
    reading();
    expect_table("{\"k\":\"a\",\"v\":1}\n");
    assert_true(fixture.first > last);
    assert_int_equal(fixture.ops->seek(fixture.source, leat_slice_of("abc", 3), &fixture.error), LEAT_E_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_values),
        CASE(test_read_again_only_after_a_commit),
        CASE(test_empty_table),
        CASE(test_locked),
        CASE(test_rolled_back),
        CASE(test_write_ahead_log),
        CASE(test_holds_no_lock),
        CASE(test_missing_table_then_there),
        CASE(test_missing_column),
        CASE(test_columns_change),
        CASE(test_queries_that_read_nothing),
        CASE(test_name_in_need_of_quotes),
        CASE(test_not_a_database),
        CASE(test_replaced_by_another_file),
        CASE(test_half_a_database),
        CASE(test_too_large),
        CASE(test_read_once),
        CASE(test_positions_across_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
