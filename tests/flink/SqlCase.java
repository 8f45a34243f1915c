import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.dag.Transformation;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamElement;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.Table;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;
import org.apache.flink.table.utils.EncodingUtils;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;

/** One case: planned by Flink, its rows played through Flink's operators. */
final class SqlCase {
    // One for each case: settings of a table environment leak into it.
    private final StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    private final JsonNode request;
    private final JsonNode program;
    private final ObjectNode answer;
    private final ArrayNode results;
    private final boolean watermarks;
    private final boolean drop;
    private final Map<String, SqlStream> streams = new LinkedHashMap<>();
    private List<String> columns = List.of();
    private Transformation<?> last;
    private Graph graph;
    private long nowMs;
    private long checkpoint;

    SqlCase(JsonNode request, ObjectNode answer) {
        environment.setParallelism(1);
        environment.getConfig().setAutoWatermarkInterval(0);
        this.request = request;
        this.answer = answer;
        program = request.get("program");
        results = answer.putArray("results");
        watermarks = program.path("outputs").path("main").path("watermarks").asBoolean();
        drop = request.path("on_error").asText().equals("drop");
    }

    void play() throws Exception {
        answer.put("stage", "plan");
        plan();
        answer.put("stage", "run");
        graph = new Graph(last, this::take);
        try {
            graph.start(nowMs, null);
            if (request.has("trace")) {
                answer.put("operators", graph.operators().toString());
            }
            for (JsonNode row : request.get("rows")) {
                step(row);
            }
        } finally {
            graph.close();
        }
        answer.remove("stage");
    }

    private void plan() {
        StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
        tables.getConfig().set("table.local-time-zone", program.path("time_zone").asText("UTC"));
        tables.getConfig().set("table.exec.sink.require-on-conflict", "false");
        if (program.path("settings").has("state_ttl")) {
            tables.getConfig().set("table.exec.state.ttl", program.get("settings").get("state_ttl").asText());
        }
        request.path("config").fields().forEachRemaining(each -> tables.getConfig().set(each.getKey(), each.getValue().asText()));
        program.get("streams").fields().forEachRemaining(each -> {
            SqlStream stream = new SqlStream(each.getValue());
            stream.declare(environment, tables, each.getKey());
            streams.put(each.getKey(), stream);
        });
        Table result = tables.sqlQuery(program.get("query").asText());
        columns = result.getResolvedSchema().getColumnNames();
        ObjectNode types = answer.putObject("types");
        result.getResolvedSchema().getColumns().forEach(each -> types.put(each.getName(), each.getDataType().getLogicalType().asSummaryString()));
        if (request.has("trace")) {
            answer.put("plan", result.explain());
        }
        last = sink(tables, oneRowtime(tables, result));
    }

    /** A sink takes one time attribute: where a query has several they become plain timestamps. */
    private static Table oneRowtime(StreamTableEnvironment tables, Table result) {
        List<Column> all = result.getResolvedSchema().getColumns();
        if (all.stream().filter(each -> LogicalTypeChecks.isRowtimeAttribute(each.getDataType().getLogicalType())).count() < 2) {
            return result;
        }
        StringBuilder list = new StringBuilder();
        for (Column each : all) {
            LogicalType type = each.getDataType().getLogicalType();
            String name = EncodingUtils.escapeIdentifier(each.getName());
            String plain = type.is(LogicalTypeRoot.TIMESTAMP_WITH_LOCAL_TIME_ZONE) ? "TIMESTAMP_LTZ(3)" : "TIMESTAMP(3)";
            list.append(list.length() > 0 ? ", " : "")
                    .append(LogicalTypeChecks.isRowtimeAttribute(type) ? "CAST(" + name + " AS " + plain + ") AS " + name : name);
        }
        tables.createTemporaryView("judged_result", result);
        return tables.sqlQuery("SELECT " + list + " FROM judged_result");
    }

    private Transformation<?> sink(StreamTableEnvironment tables, Table result) {
        JsonNode main = program.path("outputs").path("main");
        Schema.Builder schema = Schema.newBuilder();
        List<String> key = new ArrayList<>();
        main.path("primary_key").forEach(each -> key.add(each.asText()));
        boolean upsert = main.path("changelog_mode").asText().equals("upsert") && !key.isEmpty();
        if (upsert) {
            result.getResolvedSchema().getColumns().forEach(each ->
                    schema.column(each.getName(), key.contains(each.getName()) ? each.getDataType().notNull() : each.getDataType()));
            schema.primaryKey(key);
        }
        ChangelogMode mode = upsert ? ChangelogMode.upsert(false)
                : main.path("changelog_mode").asText("insert_only").equals("insert_only") ? ChangelogMode.insertOnly() : ChangelogMode.all();
        return tables.toChangelogStream(result, schema.build(), mode).getTransformation();
    }

    // ---- the script

    private void step(JsonNode line) throws Exception {
        String name = line.path("__stream__").asText(streams.keySet().iterator().next());
        if (line.has("__watermark__")) {
            graph.push(name, new Watermark(line.get("__watermark__").asLong()));
        } else if (line.has("__status__")) {
            graph.push(name, line.get("__status__").asText().equals("IDLE") ? WatermarkStatus.IDLE : WatermarkStatus.ACTIVE);
        } else if (line.has("__proctime__")) {
            nowMs = line.get("__proctime__").asLong();
            graph.clock(nowMs);
        } else if (line.has("__savepoint__")) {
            savepoint();
        } else if (line.has("__end__")) {
            for (String each : streams.keySet()) {
                graph.push(each, Watermark.MAX_WATERMARK);
            }
            graph.end();
        } else {
            row(name, line);
        }
    }

    private void row(String name, JsonNode line) throws Exception {
        SqlStream stream = streams.get(name);
        try {
            graph.push(name, stream.row(line));
        } catch (Exception failure) {
            if (!drop) {
                throw failure;
            }
            results.addObject().put("__error__", SqlJudge.message(failure));
        }
        long mark = stream.watermark(line);
        if (mark != Long.MIN_VALUE) {
            graph.push(name, new Watermark(mark));
        }
    }

    private void savepoint() throws Exception {
        List<OperatorSubtaskState> saved = graph.save(++checkpoint);
        graph.close();
        results.addObject().put("__savepoint__", true);
        streams.values().forEach(SqlStream::restart);
        graph = new Graph(last, this::take);
        graph.start(nowMs, saved);
    }

    // ---- results

    private void take(StreamElement element) {
        if (element.isWatermark() && watermarks) {
            results.addObject().put("__watermark__", element.asWatermark().getTimestamp());
        } else if (element.isRecord()) {
            Row row = (Row) element.asRecord().getValue();
            ObjectNode made = results.addObject();
            if (row.getKind() != RowKind.INSERT) {
                made.put("__op__", row.getKind().shortString());
            }
            for (int i = 0; i < columns.size(); i++) {
                made.set(columns.get(i), SqlValues.write(row.getField(i)));
            }
        }
    }
}
