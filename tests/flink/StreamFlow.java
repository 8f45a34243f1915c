import com.fasterxml.jackson.databind.JsonNode;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.event.WatermarkEvent;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.io.PushingAsyncDataInput;
import org.apache.flink.streaming.runtime.streamrecord.LatencyMarker;
import org.apache.flink.streaming.runtime.streamrecord.RecordAttributes;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.StatusWatermarkValve;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.types.Row;

/**
 * Plays the lines of a case on an operator: rows, watermarks and idle marks by way of the valve of each input, the clock, savepoints that the
 * operator is taken down for and started from again.
 */
final class StreamFlow {
    /** A new instance of the operator, not yet opened. */
    interface Maker<T> {
        StreamPorts make(StreamResults<T> results) throws Exception;
    }

    private final StreamProgram program;
    private final Maker<Object> maker;
    private final StreamResults<Object> results;
    private final Map<String, Integer> numbers = new HashMap<>();
    private final Set<String> asleep = new HashSet<>();
    private StreamPorts ports;
    private StatusWatermarkValve[] valves;
    private long checkpoint, clock;

    @SuppressWarnings("unchecked")
    StreamFlow(StreamProgram program, StreamResults<?> results, Maker<?> maker) {
        this.program = program;
        this.maker = (Maker<Object>) maker;
        this.results = (StreamResults<Object>) results;
        program.inputs.forEach(input -> numbers.put(input.name, numbers.size()));
    }

    /** afterEach: runs behind each line. */
    void play(Iterable<JsonNode> lines, Runnable afterEach) throws Exception {
        start(null);
        try {
            for (JsonNode line : lines) {
                step(line);
                afterEach.run();
            }
        } finally {
            ports.harness().close();
        }
    }

    private void start(OperatorSubtaskState state) throws Exception {
        ports = maker.make(results);
        ports.harness().setProcessingTime(clock);
        ports.harness().setup();
        if (state != null) {
            ports.harness().initializeState(state);
        }
        ports.harness().open();
        valves = new StatusWatermarkValve[ports.count()];
        for (int i = 0; i < valves.length; i++) {
            valves[i] = new StatusWatermarkValve(valves.length == 1 ? program.inputs.size() : 1);
        }
    }

    private void step(JsonNode line) throws Exception {
        StreamInput input = line.has("__stream__") ? program.inputs.get(numbers.get(line.get("__stream__").asText())) : program.input();
        if (line.has("__watermark__")) {
            rise(input, input.risen(line.get("__watermark__").asLong()));
        } else if (line.has("__status__")) {
            sleep(input, line.get("__status__").asText().equals("IDLE"));
        } else if (line.has("__proctime__")) {
            clock = line.get("__proctime__").asLong();
            ports.harness().setProcessingTime(clock);
        } else if (line.has("__savepoint__")) {
            savepoint();
        } else if (line.has("__end__")) {
            for (StreamInput each : program.inputs) {
                rise(each, each.risen(Long.MAX_VALUE));
            }
        } else {
            row(input, line);
        }
    }

    private int port(StreamInput input) {
        return valves.length == 1 ? 0 : numbers.get(input.name);
    }

    private int channel(StreamInput input) {
        return valves.length == 1 ? numbers.get(input.name) : 0;
    }

    private void row(StreamInput input, JsonNode line) throws Exception {
        if (asleep.contains(input.name)) {
            sleep(input, false);
        }
        Row row = input.row(line);
        Long timestamp = input.timestamp(row);
        ports.row(port(input), timestamp == null ? new StreamRecord<>(row) : new StreamRecord<>(row, timestamp));
        ports.harness().setProcessingTime(clock); // timers that were due when they were set
        rise(input, input.watermarkAfter(row));
    }

    private void rise(StreamInput input, Long watermark) throws Exception {
        if (watermark != null) {
            valves[port(input)].inputWatermark(new Watermark(watermark), channel(input), new Port(port(input)));
        }
    }

    private void sleep(StreamInput input, boolean idle) throws Exception {
        if (idle ? asleep.add(input.name) : asleep.remove(input.name)) {
            valves[port(input)].inputWatermarkStatus(idle ? WatermarkStatus.IDLE : WatermarkStatus.ACTIVE, channel(input), new Port(port(input)));
        }
    }

    private void savepoint() throws Exception {
        OperatorSubtaskState state = ports.harness().snapshot(++checkpoint, checkpoint);
        ports.harness().close();
        results.savepoint();
        asleep.clear();
        program.inputs.forEach(StreamInput::restart);
        start(state);
    }

    private final class Port implements PushingAsyncDataInput.DataOutput<Row> {
        private final int port;

        Port(int port) {
            this.port = port;
        }

        @Override
        public void emitRecord(StreamRecord<Row> record) throws Exception {
            ports.row(port, record);
        }

        @Override
        public void emitWatermark(Watermark watermark) throws Exception {
            ports.watermark(port, watermark);
        }

        @Override
        public void emitWatermarkStatus(WatermarkStatus status) throws Exception {
            ports.status(port, status);
        }

        @Override
        public void emitLatencyMarker(LatencyMarker marker) {}

        @Override
        public void emitRecordAttributes(RecordAttributes attributes) {}

        @Override
        public void emitWatermark(WatermarkEvent watermark) {}
    }
}
