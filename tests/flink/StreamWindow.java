import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.streaming.api.functions.windowing.WindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.DynamicEventTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.DynamicProcessingTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.EventTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.GlobalWindows;
import org.apache.flink.streaming.api.windowing.assigners.ProcessingTimeSessionWindows;
import org.apache.flink.streaming.api.windowing.assigners.SessionWindowTimeGapExtractor;
import org.apache.flink.streaming.api.windowing.assigners.SlidingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.SlidingProcessingTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.TumblingProcessingTimeWindows;
import org.apache.flink.streaming.api.windowing.assigners.WindowAssigner;
import org.apache.flink.streaming.api.windowing.evictors.CountEvictor;
import org.apache.flink.streaming.api.windowing.evictors.DeltaEvictor;
import org.apache.flink.streaming.api.windowing.evictors.Evictor;
import org.apache.flink.streaming.api.windowing.evictors.TimeEvictor;
import org.apache.flink.streaming.api.windowing.triggers.ContinuousEventTimeTrigger;
import org.apache.flink.streaming.api.windowing.triggers.ContinuousProcessingTimeTrigger;
import org.apache.flink.streaming.api.windowing.triggers.CountTrigger;
import org.apache.flink.streaming.api.windowing.triggers.DeltaTrigger;
import org.apache.flink.streaming.api.windowing.triggers.EventTimeTrigger;
import org.apache.flink.streaming.api.windowing.triggers.ProcessingTimeTrigger;
import org.apache.flink.streaming.api.windowing.triggers.PurgingTrigger;
import org.apache.flink.streaming.api.windowing.triggers.Trigger;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.streaming.api.windowing.windows.Window;
import org.apache.flink.streaming.runtime.operators.windowing.WindowOperatorBuilder;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Kind `window`: the operator behind keyBy(..).window(..), built by Flink's own builder. */
final class StreamWindow {
    private final StreamProgram program;
    private final StreamInput input;

    StreamWindow(StreamProgram program) {
        this.program = program;
        this.input = program.input();
    }

    /** Windows of time and the global one differ in a type that every part shares, hence the cast. */
    @SuppressWarnings("unchecked")
    StreamPorts make(StreamResults<Object[]> results) throws Exception {
        RowTypeInfo type = StreamTypes.row(input.columns);
        WindowAssigner<Object, Window> assigner = (WindowAssigner<Object, Window>) assigner(program.json.get("assigner"));
        JsonNode declared = program.json.path("trigger");
        Trigger<Object, Window> trigger = (Trigger<Object, Window>) (declared.isObject() ? trigger(declared) : assigner.getDefaultTrigger());
        WindowOperatorBuilder<Row, Row, Window> builder =
                new WindowOperatorBuilder<>(assigner, trigger, new ExecutionConfig(), type, program.keySelector(input), program.keyType());
        builder.trigger(trigger); // which refuses what cannot merge
        builder.allowedLateness(Duration.ofMillis(program.json.path("allowed_lateness_ms").asLong(0)));
        if (program.json.path("evictor").isObject()) {
            builder.evictor((Evictor<Row, Window>) (Evictor<?, ?>) evictor(program.json.get("evictor")));
        }
        OutputTag<Row> late = program.lateTag(input);
        if (late != null) {
            builder.sideOutputLateData(late);
            List<StreamExpression> select = program.select("late");
            results.shape(late.getId(), row -> StreamProgram.run(select, input.frame((Row) row)));
        }
        return StreamPorts.one(program, builder.apply(new Result(program)), results);
    }

    private static Duration ms(JsonNode declared, String name) {
        return Duration.ofMillis(declared.path(name).asLong(0));
    }

    private WindowAssigner<?, ?> assigner(JsonNode declared) {
        Duration size = ms(declared, "size_ms"), slide = ms(declared, "slide_ms"), offset = ms(declared, "offset_ms"), gap = ms(declared, "gap_ms");
        switch (declared.get("type").asText()) {
            case "TumblingEventTimeWindows":
                return TumblingEventTimeWindows.of(size, offset);
            case "TumblingProcessingTimeWindows":
                return TumblingProcessingTimeWindows.of(size, offset);
            case "SlidingEventTimeWindows":
                return SlidingEventTimeWindows.of(size, slide, offset);
            case "SlidingProcessingTimeWindows":
                return SlidingProcessingTimeWindows.of(size, slide, offset);
            case "EventTimeSessionWindows":
                return EventTimeSessionWindows.withGap(gap);
            case "ProcessingTimeSessionWindows":
                return ProcessingTimeSessionWindows.withGap(gap);
            case "DynamicEventTimeSessionWindows":
                return DynamicEventTimeSessionWindows.withDynamicGap(gap(declared));
            case "DynamicProcessingTimeSessionWindows":
                return DynamicProcessingTimeSessionWindows.withDynamicGap(gap(declared));
            case "GlobalWindows":
                return GlobalWindows.create();
            default:
                throw new IllegalArgumentException("assigner " + declared);
        }
    }

    private SessionWindowTimeGapExtractor<Row> gap(JsonNode declared) {
        StreamExpression expression = new StreamExpression(declared.get("gap_expression_ms").asText(), input.columns);
        return row -> (Long) expression.run(input.frame(row));
    }

    private Trigger<?, ?> trigger(JsonNode declared) {
        Trigger<?, ?> made = plainTrigger(declared);
        return declared.path("purging").asBoolean(false) ? PurgingTrigger.of(made) : made;
    }

    private Trigger<?, ?> plainTrigger(JsonNode declared) {
        switch (declared.get("type").asText()) {
            case "EventTimeTrigger":
                return EventTimeTrigger.create();
            case "ProcessingTimeTrigger":
                return ProcessingTimeTrigger.create();
            case "CountTrigger":
                return CountTrigger.of(declared.get("count").asLong());
            case "ContinuousEventTimeTrigger":
                return ContinuousEventTimeTrigger.of(ms(declared, "interval_ms"));
            case "ContinuousProcessingTimeTrigger":
                return ContinuousProcessingTimeTrigger.of(ms(declared, "interval_ms"));
            case "DeltaTrigger":
                return DeltaTrigger.of(declared.get("threshold").asDouble(), (Row old, Row row) -> delta(declared, old, row),
                        StreamTypes.row(input.columns).createSerializer(new ExecutionConfig().getSerializerConfig()));
            default:
                throw new IllegalArgumentException("trigger " + declared);
        }
    }

    private Evictor<?, ?> evictor(JsonNode declared) {
        boolean after = declared.path("evict_after").asBoolean(false);
        switch (declared.get("type").asText()) {
            case "CountEvictor":
                return CountEvictor.of(declared.get("max_count").asLong(), after);
            case "TimeEvictor":
                return TimeEvictor.of(ms(declared, "window_size_ms"), after);
            case "DeltaEvictor":
                return DeltaEvictor.of(declared.get("threshold").asDouble(), (Row row, Row last) -> delta(declared, last, row), after);
            default:
                throw new IllegalArgumentException("evictor " + declared);
        }
    }

    /** `expression` of a delta: a plain column is the row's, `last_column` that of the other row. */
    private double delta(JsonNode declared, Row last, Row row) {
        StreamExpression expression = new StreamExpression(declared.get("expression").asText(), input.columns);
        Object value = expression.run((table, name) -> name.startsWith("last_") ? input.value(last, name.substring(5)) : input.value(row, name));
        return ((Number) value).doubleValue();
    }

    /** A result over all rows of the window. */
    private static final class Result implements WindowFunction<Row, Object[], Row, Window> {
        private final StreamProgram program;
        private final List<StreamExpression> select;

        Result(StreamProgram program) {
            this.program = program;
            this.select = program.select("main");
        }

        @Override
        public void apply(Row key, Window window, Iterable<Row> rows, Collector<Object[]> out) {
            out.collect(StreamProgram.run(select, new Contents(program, key, window, rows)));
        }
    }

    private static final class Contents implements StreamExpression.Frame {
        private final StreamProgram program;
        private final Row key;
        private final Window window;
        private final List<StreamExpression.Frame> rows = new ArrayList<>();

        Contents(StreamProgram program, Row key, Window window, Iterable<Row> rows) {
            this.program = program;
            this.key = key;
            this.window = window;
            rows.forEach(row -> this.rows.add(program.input().frame(row)));
        }

        @Override
        public Object column(String table, String name) {
            if (name.equals("window_start")) {
                return ((TimeWindow) window).getStart();
            }
            return name.equals("window_end") ? ((TimeWindow) window).getEnd() : key.getField(program.keys().indexOf(name));
        }

        @Override
        public Iterable<StreamExpression.Frame> rows(String table) {
            return rows;
        }
    }
}
