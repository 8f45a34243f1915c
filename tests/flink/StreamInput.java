import com.fasterxml.jackson.databind.JsonNode;
import java.io.Serializable;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.api.common.eventtime.BoundedOutOfOrdernessWatermarks;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.types.Row;

/** One stream of a case: its rows, their timestamps, and the watermark that rises with each of them. Flink serializes functions that hold it. */
final class StreamInput implements Serializable {
    final String name;
    final LinkedHashMap<String, String> columns = new LinkedHashMap<>();
    private final String eventTime;
    private final JsonNode watermark;
    private final StreamExpression expression;
    /** The number of a row in the order of arrival, in a column that no program names. */
    static final String ARRIVAL = "$arrival";

    private transient WatermarkGenerator<Row> generator;
    private long arrived;
    private long highest;

    StreamInput(String name, JsonNode declared) {
        this.name = name;
        declared.get("columns").fields().forEachRemaining(column -> columns.put(column.getKey(), column.getValue().asText()));
        columns.put(ARRIVAL, "BIGINT");
        eventTime = declared.path("event_time").asText(null);
        watermark = declared.path("watermark");
        expression = watermark.has("expression") ? new StreamExpression(watermark.get("expression").asText(), columns) : null;
        restart();
    }

    /** As after a savepoint, which generators of watermarks know nothing of. */
    void restart() {
        highest = Long.MIN_VALUE;
        String strategy = watermark.path("strategy").asText("none");
        boolean bounded = strategy.equals("bounded_out_of_orderness") || strategy.equals("ascending");
        generator = bounded ? new BoundedOutOfOrdernessWatermarks<>(Duration.ofMillis(watermark.path("delay_ms").asLong(0))) : null;
    }

    Row row(JsonNode line) {
        Row made = new Row(columns.size());
        int at = 0;
        for (Map.Entry<String, String> column : columns.entrySet()) {
            made.setField(at++, column.getKey().equals(ARRIVAL) ? (Object) arrived++ : StreamTypes.read(line.get(column.getKey()), column.getValue()));
        }
        return made;
    }

    Object value(Row row, String column) {
        int at = 0;
        for (String each : columns.keySet()) {
            if (each.equals(column)) {
                return row.getField(at);
            }
            at++;
        }
        throw new IllegalArgumentException("no column " + column + " in " + columns.keySet());
    }

    StreamExpression.Frame frame(Row row) {
        return (table, column) -> value(row, column);
    }

    /** Null where rows have none. */
    Long timestamp(Row row) {
        return eventTime == null ? null : (Long) value(row, eventTime);
    }

    /** What the stream's watermark rises to behind the row; null when it stays. */
    Long watermarkAfter(Row row) {
        if (expression != null) {
            Object value = expression.run(frame(row));
            return value == null ? null : risen((Long) value);
        }
        if (generator == null) {
            return null;
        }
        generator.onEvent(row, timestamp(row), null);
        return emitted();
    }

    private Long emitted() {
        long[] given = {Long.MIN_VALUE};
        generator.onPeriodicEmit(new Given(given));
        return risen(given[0]);
    }

    /** A source never takes a watermark back. */
    Long risen(long value) {
        if (value <= highest) {
            return null;
        }
        highest = value;
        return value;
    }

    private static final class Given implements WatermarkOutput {
        private final long[] given;

        Given(long[] given) {
            this.given = given;
        }

        @Override
        public void emitWatermark(Watermark watermark) {
            given[0] = watermark.getTimestamp();
        }

        @Override
        public void markIdle() {}

        @Override
        public void markActive() {}
    }
}
