import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.time.Duration;
import java.util.List;
import org.apache.flink.api.common.eventtime.BoundedOutOfOrdernessWatermarks;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.runtime.event.WatermarkEvent;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.streaming.runtime.io.PushingAsyncDataInput;
import org.apache.flink.streaming.runtime.streamrecord.LatencyMarker;
import org.apache.flink.streaming.runtime.streamrecord.RecordAttributes;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.StatusWatermarkValve;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;

/** Kinds that are no flow but one class of Flink's: the valve, the arithmetic of windows, the generator of watermarks. */
final class StreamUnits {
    private StreamUnits() {}

    static ArrayNode valve(JsonNode program, Iterable<JsonNode> rows) throws Exception {
        ArrayNode lines = JsonNodeFactory.instance.arrayNode();
        StatusWatermarkValve valve = new StatusWatermarkValve(program.get("channels").asInt());
        int step = 0;
        for (JsonNode row : rows) {
            Steps output = new Steps(lines, step++);
            int channel = row.get("__channel__").asInt();
            if (row.has("__watermark__")) {
                valve.inputWatermark(new Watermark(row.get("__watermark__").asLong()), channel, output);
            } else {
                boolean idle = row.get("__status__").asText().equals("IDLE");
                valve.inputWatermarkStatus(idle ? WatermarkStatus.IDLE : WatermarkStatus.ACTIVE, channel, output);
            }
        }
        return lines;
    }

    static ArrayNode assigner(JsonNode program, Iterable<JsonNode> rows) {
        ArrayNode lines = JsonNodeFactory.instance.arrayNode();
        for (JsonNode row : rows) {
            if (program.get("function").asText().equals("window_start")) {
                lines.addObject().put("start", TimeWindow.getWindowStartWithOffset(
                        row.get("ts").asLong(), row.get("offset").asLong(), row.get("size").asLong()));
            } else {
                lines.addObject().put("intersects", window(row.get("a")).intersects(window(row.get("b"))));
            }
        }
        return lines;
    }

    private static TimeWindow window(JsonNode pair) {
        return new TimeWindow(pair.get(0).asLong(), pair.get(1).asLong());
    }

    static ArrayNode generator(JsonNode program, List<JsonNode> rows) throws Exception {
        return program.get("mode").asText().equals("compare") ? StreamGenerators.compare(program, rows) : emitted(program, rows);
    }

    private static ArrayNode emitted(JsonNode program, Iterable<JsonNode> rows) {
        ArrayNode lines = JsonNodeFactory.instance.arrayNode();
        JsonNode stream = program.get("streams").elements().next();
        BoundedOutOfOrdernessWatermarks<JsonNode> generator =
                new BoundedOutOfOrdernessWatermarks<>(Duration.ofMillis(stream.get("watermark").path("delay_ms").asLong(0)));
        for (JsonNode row : rows) {
            if (row.has("__emit__")) {
                generator.onPeriodicEmit(new Listed(lines));
            } else {
                generator.onEvent(row, row.get(stream.get("event_time").asText()).asLong(), null);
            }
        }
        return lines;
    }

    private static final class Listed implements WatermarkOutput {
        private final ArrayNode lines;

        Listed(ArrayNode lines) {
            this.lines = lines;
        }

        @Override
        public void emitWatermark(org.apache.flink.api.common.eventtime.Watermark watermark) {
            lines.addObject().put("__watermark__", watermark.getTimestamp());
        }

        @Override
        public void markIdle() {}

        @Override
        public void markActive() {}
    }

    private static final class Steps implements PushingAsyncDataInput.DataOutput<Object> {
        private final ArrayNode lines;
        private final int step;

        Steps(ArrayNode lines, int step) {
            this.lines = lines;
            this.step = step;
        }

        @Override
        public void emitWatermark(Watermark watermark) {
            lines.addObject().put("step", step).put("__watermark__", watermark.getTimestamp());
        }

        @Override
        public void emitWatermarkStatus(WatermarkStatus status) {
            lines.addObject().put("step", step).put("__status__", status.isIdle() ? "IDLE" : "ACTIVE");
        }

        @Override
        public void emitRecord(StreamRecord<Object> record) {}

        @Override
        public void emitLatencyMarker(LatencyMarker marker) {}

        @Override
        public void emitRecordAttributes(RecordAttributes attributes) {}

        @Override
        public void emitWatermark(WatermarkEvent watermark) {}
    }
}
