import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.runtime.dataview.StateDataViewStore;
import org.apache.flink.table.runtime.generated.NamespaceAggsHandleFunction;
import org.apache.flink.table.runtime.operators.window.CountWindow;
import org.apache.flink.table.runtime.operators.window.TimeWindow;
import org.apache.flink.table.runtime.operators.window.Window;
import org.apache.flink.table.runtime.operators.window.groupwindow.operator.WindowOperatorBuilder;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.apache.flink.table.types.logical.BigIntType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.VarCharType;
import org.apache.flink.types.Row;

/**
 * Kind `group_window`: the group window operator of the table runtime. Its rows are (rowtime, key, columns), the latter two as JSON, and so are
 * its accumulators (all rows of the window) and its results, so that one aggregate function does for all programs.
 */
final class StreamGroupWindow {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final LogicalType TEXT = new VarCharType(VarCharType.MAX_LENGTH);
    private static final LogicalType[] INPUT = {new BigIntType(), TEXT, TEXT};
    private final StreamProgram program;
    private final StreamInput input;

    StreamGroupWindow(StreamProgram program) {
        this.program = program;
        this.input = program.input();
    }

    StreamPorts make(StreamResults<RowData> results) throws Exception {
        results.shape("main", row -> values((RowData) row));
        WindowOperatorBuilder builder = windows(WindowOperatorBuilder.builder().withInputFields(INPUT)).produceUpdates();
        builder.withAllowedLateness(Duration.ofMillis(program.json.path("allowed_lateness_ms").asLong(0)));
        LogicalType[] text = {TEXT};
        OneInputStreamOperator<RowData, RowData> operator = builder.aggregate(new Rows(program),
                (a, b) -> a.getString(0).equals(b.getString(0)), text, text, new LogicalType[0]).build();
        KeyedOneInputStreamOperatorTestHarness<RowData, RowData, RowData> harness = new KeyedOneInputStreamOperatorTestHarness<>(
                operator, StreamGroupWindow::key, InternalTypeInfo.of(RowType.of(TEXT)));
        harness.setOutputCreator(serializer -> results);
        return new Port(harness);
    }

    /** Binary, as the planner has keys: what comes back from a savepoint has to equal what comes with a row. */
    private static RowData key(RowData row) {
        return new RowDataSerializer(TEXT).toBinaryRow(GenericRowData.of(row.getString(1))).copy();
    }

    private WindowOperatorBuilder windows(WindowOperatorBuilder builder) {
        JsonNode window = program.json.get("window");
        switch (window.get("type").asText()) {
            case "tumbling_time":
                return builder.tumble(ms(window, "size_ms")).withEventTime(0);
            case "sliding_time":
                return builder.sliding(ms(window, "size_ms"), ms(window, "slide_ms")).withEventTime(0);
            case "cumulative_time":
                return builder.cumulative(ms(window, "max_size_ms"), ms(window, "step_ms")).withEventTime(0);
            case "session_time":
                return builder.session(ms(window, "gap_ms")).withEventTime(0);
            case "tumbling_count":
                return builder.countWindow(window.get("size").asLong());
            case "sliding_count":
                return builder.countWindow(window.get("size").asLong(), window.get("slide").asLong());
            default:
                throw new IllegalArgumentException("window " + window);
        }
    }

    private static Duration ms(JsonNode declared, String name) {
        return Duration.ofMillis(declared.get(name).asLong());
    }

    /** A result is the key and, behind it, the columns of `select`. */
    private Object[] values(RowData row) {
        JsonNode made = read(row.getString(1));
        Object[] values = new Object[made.size()];
        int at = 0;
        for (String type : program.columns("main").values()) {
            values[at] = StreamTypes.read(made.get(at), type);
            at++;
        }
        return values;
    }

    private static JsonNode read(StringData text) {
        try {
            return JSON.readTree(text.toString());
        } catch (JsonProcessingException failure) {
            throw new IllegalStateException(failure);
        }
    }

    private static StringData print(StreamInput input, Row row, Iterable<String> columns) {
        ArrayNode made = JsonNodeFactory.instance.arrayNode();
        columns.forEach(column -> made.add(StreamTypes.print(input.value(row, column), input.columns.get(column))));
        return StringData.fromString(made.toString());
    }

    /** Keeps all rows of a window and computes the results anew each time. */
    private static final class Rows implements NamespaceAggsHandleFunction<Window> {
        private final StreamProgram program;
        private final ArrayList<StreamExpression> select;
        private StringBuilder held = new StringBuilder();

        Rows(StreamProgram program) {
            this.program = program;
            this.select = new ArrayList<>(program.select("main"));
        }

        @Override
        public void open(StateDataViewStore store) {}

        @Override
        public void setAccumulators(Window window, RowData accumulators) {
            held = new StringBuilder(accumulators.getString(0).toString());
        }

        @Override
        public void accumulate(RowData row) {
            held.append(row.getString(2)).append('\n');
        }

        @Override
        public void retract(RowData row) {
            throw new UnsupportedOperationException("changelogs go through SQL");
        }

        @Override
        public void merge(Window window, RowData other) {
            held.append(other.getString(0));
        }

        @Override
        public RowData createAccumulators() {
            return GenericRowData.of(StringData.fromString(""));
        }

        @Override
        public RowData getAccumulators() {
            return GenericRowData.of(StringData.fromString(held.toString()));
        }

        @Override
        public void cleanup(Window window) {}

        @Override
        public void close() {}

        @Override
        public RowData getValue(Window window) {
            List<Row> rows = new ArrayList<>();
            for (String line : held.toString().split("\n")) {
                if (!line.isEmpty()) {
                    rows.add(row(read(StringData.fromString(line))));
                }
            }
            Object[] values = StreamProgram.run(select, new Contents(program.input(), window, rows));
            ArrayNode made = JsonNodeFactory.instance.arrayNode();
            int at = 0;
            for (String type : program.columns("main").values()) {
                made.add(StreamTypes.print(values[at++], type));
            }
            return GenericRowData.of(StringData.fromString(made.toString()));
        }

        private Row row(JsonNode columns) {
            Row made = new Row(columns.size());
            int at = 0;
            for (String type : program.input().columns.values()) {
                made.setField(at, StreamTypes.read(columns.get(at), type));
                at++;
            }
            return made;
        }
    }

    private static final class Contents implements StreamExpression.Frame {
        private final StreamInput input;
        private final Window window;
        private final List<Row> rows;

        Contents(StreamInput input, Window window, List<Row> rows) {
            this.input = input;
            this.window = window;
            this.rows = rows;
        }

        @Override
        public Object column(String table, String name) {
            switch (name) {
                case "window_start":
                    return ((TimeWindow) window).getStart();
                case "window_end":
                    return ((TimeWindow) window).getEnd();
                case "window_id":
                    return ((CountWindow) window).getId();
                default:
                    return input.value(rows.get(0), name); // a key column
            }
        }

        @Override
        public Iterable<StreamExpression.Frame> rows(String table) {
            List<StreamExpression.Frame> made = new ArrayList<>();
            rows.forEach(row -> made.add(input.frame(row)));
            return made;
        }
    }

    private final class Port implements StreamPorts {
        private final KeyedOneInputStreamOperatorTestHarness<RowData, RowData, RowData> harness;

        Port(KeyedOneInputStreamOperatorTestHarness<RowData, RowData, RowData> harness) {
            this.harness = harness;
        }

        @Override
        public AbstractStreamOperatorTestHarness<?> harness() {
            return harness;
        }

        @Override
        public int count() {
            return 1;
        }

        @Override
        public void row(int port, StreamRecord<Row> record) throws Exception {
            Row row = record.getValue();
            Long time = input.timestamp(row);
            harness.processElement(new StreamRecord<>(GenericRowData.of(time == null ? 0L : time,
                    print(input, row, program.keys()), print(input, row, input.columns.keySet()))));
        }

        @Override
        public void watermark(int port, Watermark watermark) throws Exception {
            harness.processWatermark(watermark);
        }

        @Override
        public void status(int port, WatermarkStatus status) throws Exception {
            harness.processWatermarkStatus(status);
        }
    }
}
