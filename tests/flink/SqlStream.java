import com.fasterxml.jackson.databind.JsonNode;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.source.legacy.SourceFunction;
import org.apache.flink.streaming.api.operators.StreamSource;
import org.apache.flink.streaming.api.transformations.LegacySourceTransformation;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.runtime.typeutils.ExternalTypeInfo;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.utils.LogicalTypeParser;
import org.apache.flink.table.types.utils.TypeConversions;
import org.apache.flink.types.Row;
import org.apache.flink.types.RowKind;

/**
 * A stream of a case as a table, and its rows and watermarks.
 *
 * <p>Watermarks are made here, as the case's strategy says (what a connector's own assigner does), and reach the table by SOURCE_WATERMARK().
 * An expression that is not the event time less a delay stands in the table's schema and is Flink's to compute.
 */
final class SqlStream {
    private final JsonNode declared;
    private final Map<String, LogicalType> columns = new LinkedHashMap<>();
    private final String eventTime;
    private final String strategy;
    private final boolean inTable;
    private final long delayMs;
    private long highest = Long.MIN_VALUE;

    SqlStream(JsonNode declared) {
        this.declared = declared;
        eventTime = declared.path("event_time").asText(null);
        JsonNode watermark = declared.path("watermark");
        strategy = watermark.path("strategy").asText("none");
        inTable = strategy.equals("expression") && !watermark.has("delay_ms");
        delayMs = watermark.path("delay_ms").asLong(0);
        List<String> key = key();
        declared.get("columns").fields().forEachRemaining(each -> {
            LogicalType type = LogicalTypeParser.parse(each.getValue().asText(), SqlStream.class.getClassLoader());
            columns.put(each.getKey(), type.copy(type.isNullable() && !key.contains(each.getKey())));
        });
    }

    private List<String> key() {
        List<String> names = new ArrayList<>();
        declared.path("primary_key").forEach(each -> names.add(each.asText()));
        return names;
    }

    void declare(StreamExecutionEnvironment environment, StreamTableEnvironment tables, String name) {
        Schema.Builder schema = Schema.newBuilder();
        List<DataTypes.Field> fields = new ArrayList<>();
        columns.forEach((column, type) -> {
            DataType data = TypeConversions.fromLogicalToDataType(type);
            fields.add(DataTypes.FIELD(column, data));
            schema.column(column, data);
        });
        if (declared.hasNonNull("processing_time")) {
            schema.columnByExpression(declared.get("processing_time").asText(), "PROCTIME()");
        }
        if (eventTime != null && !strategy.equals("none")) {
            schema.watermark(eventTime, inTable ? declared.get("watermark").get("expression").asText() : "SOURCE_WATERMARK()");
        } else if (eventTime != null) {
            schema.watermark(eventTime, "SOURCE_WATERMARK()");
        }
        if (!key().isEmpty()) {
            schema.primaryKey(key());
        }
        DataType row = DataTypes.ROW(fields).notNull();
        LegacySourceTransformation<Row> source = new LegacySourceTransformation<>(
                name, new StreamSource<>(new Never()), ExternalTypeInfo.of(row), 1, Boundedness.CONTINUOUS_UNBOUNDED, true);
        DataStream<Row> stream = new DataStream<>(environment, source);
        tables.createTemporaryView("`" + name + "`", tables.fromChangelogStream(stream, schema.build(), mode()));
    }

    private ChangelogMode mode() {
        return switch (declared.path("changelog_mode").asText("insert_only")) {
            case "insert_only" -> ChangelogMode.insertOnly();
            case "upsert" -> ChangelogMode.upsert();
            default -> ChangelogMode.all();
        };
    }

    StreamRecord<Row> row(JsonNode line) {
        Row row = Row.ofKind(kind(line.path("__op__").asText("+I")), new Object[columns.size()]);
        int at = 0;
        for (Map.Entry<String, LogicalType> column : columns.entrySet()) {
            row.setField(at++, SqlValues.read(line.get(column.getKey()), column.getValue()));
        }
        if (eventTime == null) {
            return new StreamRecord<>(row);
        }
        return new StreamRecord<>(row, time(line));
    }

    private long time(JsonNode line) {
        Object value = SqlValues.read(line.get(eventTime), columns.get(eventTime));
        if (value == null) {
            throw new IllegalArgumentException("a row without event time");
        }
        return value instanceof Instant instant ? instant.toEpochMilli() : ((LocalDateTime) value).toInstant(ZoneOffset.UTC).toEpochMilli();
    }

    /** The watermark behind this row, or Long.MIN_VALUE: it does not rise. */
    long watermark(JsonNode line) {
        if (eventTime == null || inTable || strategy.equals("none") || strategy.equals("explicit")) {
            return Long.MIN_VALUE;
        }
        if (time(line) <= highest) {
            return Long.MIN_VALUE;
        }
        highest = time(line);
        return strategy.equals("expression") ? highest - delayMs : highest - delayMs - 1;
    }

    /** A savepoint forgets what the generator had seen. */
    void restart() {
        highest = Long.MIN_VALUE;
    }

    private static RowKind kind(String text) {
        for (RowKind kind : RowKind.values()) {
            if (kind.shortString().equals(text)) {
                return kind;
            }
        }
        throw new IllegalArgumentException("row kind " + text);
    }

    /** Stands for the source in the plan; its rows come from the script. */
    private static final class Never implements SourceFunction<Row> {
        @Override
        public void run(SourceContext<Row> context) {}

        @Override
        public void cancel() {}
    }
}
