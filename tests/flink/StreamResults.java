import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import org.apache.flink.runtime.event.WatermarkEvent;
import org.apache.flink.streaming.api.operators.Output;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.LatencyMarker;
import org.apache.flink.streaming.runtime.streamrecord.RecordAttributes;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.table.data.RowData;
import org.apache.flink.util.OutputTag;

/** What an operator sends, all outputs in one sequence, as lines of expected.jsonl. Operators reuse records, so each is written down at once. */
final class StreamResults<T> implements Output<StreamRecord<T>> {
    final ArrayNode lines = JsonNodeFactory.instance.arrayNode();
    private final StreamProgram program;
    private final boolean listsWatermarks;
    private final Map<String, Function<Object, Object[]>> shapes = new HashMap<>();

    StreamResults(StreamProgram program) {
        this.program = program;
        listsWatermarks = program.json.path("outputs").path("main").path("watermarks").asBoolean(false);
    }

    /** How records of an output become its columns; without a shape they are Object[] in their order. */
    void shape(String output, Function<Object, Object[]> shape) {
        shapes.put(output, shape);
    }

    void savepoint() {
        lines.addObject().put("__savepoint__", true);
    }

    private void add(String tag, StreamRecord<?> record) {
        String output = tag.split(":")[0];
        Object[] values = shapes.containsKey(tag) ? shapes.get(tag).apply(record.getValue()) : (Object[]) record.getValue();
        ObjectNode line = lines.addObject();
        int at = 0;
        for (Map.Entry<String, String> column : program.columns(output).entrySet()) {
            line.set(column.getKey(), StreamTypes.print(values[at++], column.getValue()));
        }
        if (record.getValue() instanceof RowData && !((RowData) record.getValue()).getRowKind().shortString().equals("+I")) {
            line.put("__op__", ((RowData) record.getValue()).getRowKind().shortString());
        }
        if (!output.equals("main")) {
            line.put("__out__", output);
        }
        if (record.hasTimestamp()) {
            line.put("__ts__", record.getTimestamp());
        }
    }

    @Override
    public void collect(StreamRecord<T> record) {
        add("main", record);
    }

    @Override
    public <X> void collect(OutputTag<X> tag, StreamRecord<X> record) {
        add(tag.getId(), record);
    }

    @Override
    public void emitWatermark(Watermark watermark) {
        if (listsWatermarks) {
            lines.addObject().put("__watermark__", watermark.getTimestamp());
        }
    }

    @Override
    public void emitWatermarkStatus(WatermarkStatus status) {}

    @Override
    public void emitLatencyMarker(LatencyMarker marker) {}

    @Override
    public void emitRecordAttributes(RecordAttributes attributes) {}

    @Override
    public void emitWatermark(WatermarkEvent watermark) {}

    @Override
    public void close() {}
}
