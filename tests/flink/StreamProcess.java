import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.api.operators.co.KeyedCoProcessOperator;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Kind `process`: the functions that the format of cases defines, as one writes them in Flink. */
final class StreamProcess {
    private static final OutputTag<Object[]> TIMEOUT = new OutputTag<>("timeout") {};
    private final StreamProgram program;

    StreamProcess(StreamProgram program) {
        this.program = program;
    }

    StreamPorts make(StreamResults<Object[]> results) throws Exception {
        String name = program.json.get("function").asText();
        if (name.equals("rides_and_fares")) {
            return StreamPorts.two(program, new KeyedCoProcessOperator<>(new RidesAndFares(program)), results);
        }
        return StreamPorts.one(program, new KeyedProcessOperator<>(function(name)), results);
    }

    private Keyed function(String name) {
        switch (name) {
            case "rising":
                return new Rising(program);
            case "small_then_large":
                return new SmallThenLarge(program);
            case "order_timeout":
                return new OrderTimeout(program);
            case "long_ride":
                return new LongRide(program);
            case "timer_at":
                return new TimerAt(program);
            case "register_then_delete":
                return new RegisterThenDelete(program);
            default:
                throw new IllegalArgumentException("function " + name);
        }
    }

    /** What all functions have: parameters, the key, state by name. */
    private abstract static class Keyed extends KeyedProcessFunction<Row, Row, Object[]> {
        final StreamProgram program;
        final StreamInput input;

        Keyed(StreamProgram program) {
            this.program = program;
            this.input = program.input();
        }

        JsonNode parameter(String name) {
            return program.json.path("parameters").path(name);
        }

        StreamExpression expression(String name) {
            return new StreamExpression(parameter(name).asText(), input.columns);
        }

        <T> ValueState<T> state(String name, TypeInformation<T> type) {
            return getRuntimeContext().getState(new ValueStateDescriptor<>(name, type));
        }

        static Object[] behind(Row key, Object... values) {
            List<Object> made = new ArrayList<>();
            for (int i = 0; i < key.getArity(); i++) {
                made.add(key.getField(i));
            }
            made.addAll(java.util.Arrays.asList(values));
            return made.toArray();
        }
    }

    private static final class Rising extends Keyed {
        private final StreamExpression value = expression("value");
        private final long duration = parameter("duration_ms").asLong();
        private final boolean eventTime = parameter("time").asText().equals("event_time");
        private transient ValueState<Double> last;
        private transient ValueState<Long> timer;

        Rising(StreamProgram program) {
            super(program);
        }

        @Override
        public void open(OpenContext context) {
            last = state("last", Types.DOUBLE);
            timer = state("timer", Types.LONG);
        }

        @Override
        public void processElement(Row row, Context context, Collector<Object[]> out) throws Exception {
            Double before = last.value(), now = (Double) value.run(input.frame(row));
            last.update(now);
            if (before == null) {
                return;
            }
            if (now < before && timer.value() != null) {
                if (eventTime) {
                    context.timerService().deleteEventTimeTimer(timer.value());
                } else {
                    context.timerService().deleteProcessingTimeTimer(timer.value());
                }
                timer.clear();
            } else if (now > before && timer.value() == null) {
                register(context);
            }
        }

        private void register(Context context) throws Exception {
            long at = (eventTime ? context.timestamp() : context.timerService().currentProcessingTime()) + duration;
            if (eventTime) {
                context.timerService().registerEventTimeTimer(at);
            } else {
                context.timerService().registerProcessingTimeTimer(at);
            }
            timer.update(at);
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Object[]> out) {
            out.collect(behind(context.getCurrentKey(), time));
            timer.clear();
        }
    }

    private static final class SmallThenLarge extends Keyed {
        private final StreamExpression small = expression("small");
        private final StreamExpression large = expression("large");
        private final ArrayList<String> emitted = new ArrayList<>(StreamTypes.names(parameter("emit")));
        private transient ValueState<Boolean> flag;
        private transient ValueState<Long> timer;

        SmallThenLarge(StreamProgram program) {
            super(program);
        }

        @Override
        public void open(OpenContext context) {
            flag = state("flag", Types.BOOLEAN);
            timer = state("timer", Types.LONG);
        }

        @Override
        public void processElement(Row row, Context context, Collector<Object[]> out) throws Exception {
            if (flag.value() != null) {
                if (large.isTrue(input.frame(row))) {
                    out.collect(emitted.stream().map(column -> input.value(row, column)).toArray());
                }
                flag.clear();
                if (timer.value() != null) {
                    context.timerService().deleteProcessingTimeTimer(timer.value());
                    timer.clear();
                }
            }
            if (small.isTrue(input.frame(row))) {
                flag.update(true);
                if (parameter("within_ms").isNumber()) {
                    timer.update(context.timerService().currentProcessingTime() + parameter("within_ms").asLong());
                    context.timerService().registerProcessingTimeTimer(timer.value());
                }
            }
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Object[]> out) {
            flag.clear();
            timer.clear();
        }
    }

    private static final class OrderTimeout extends Keyed {
        private final StreamExpression open = expression("open");
        private final StreamExpression close = expression("close");
        private transient ValueState<Long> timer;

        OrderTimeout(StreamProgram program) {
            super(program);
        }

        @Override
        public void open(OpenContext context) {
            timer = state("timer", Types.LONG);
        }

        @Override
        public void processElement(Row row, Context context, Collector<Object[]> out) throws Exception {
            if (open.isTrue(input.frame(row))) {
                timer.update(context.timestamp() + parameter("timeout_ms").asLong());
                context.timerService().registerEventTimeTimer(timer.value());
            }
            if (close.isTrue(input.frame(row))) {
                if (timer.value() != null) {
                    context.timerService().deleteEventTimeTimer(timer.value());
                    timer.clear();
                }
                out.collect(behind(context.getCurrentKey(), "paid"));
            }
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Object[]> out) {
            context.output(TIMEOUT, behind(context.getCurrentKey()));
        }
    }

    private static final class LongRide extends Keyed {
        private final StreamExpression start = expression("is_start");
        private final long limit = parameter("limit_ms").asLong();
        private transient ValueState<Row> first;

        LongRide(StreamProgram program) {
            super(program);
        }

        @Override
        public void open(OpenContext context) {
            first = state("first", StreamTypes.row(input.columns));
        }

        @Override
        public void processElement(Row row, Context context, Collector<Object[]> out) throws Exception {
            boolean starts = start.isTrue(input.frame(row));
            Row kept = first.value();
            if (kept == null) {
                first.update(row);
                if (starts) {
                    context.timerService().registerEventTimeTimer(context.timestamp() + limit);
                }
                return;
            }
            if (!starts) {
                context.timerService().deleteEventTimeTimer(input.timestamp(kept) + limit);
            }
            long between = input.timestamp(row) - input.timestamp(kept);
            if ((starts ? -between : between) > limit) {
                out.collect(behind(context.getCurrentKey()));
            }
            first.clear();
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Object[]> out) {
            out.collect(behind(context.getCurrentKey()));
            first.clear();
        }
    }

    private static final class TimerAt extends Keyed {
        TimerAt(StreamProgram program) {
            super(program);
        }

        @Override
        public void processElement(Row row, Context context, Collector<Object[]> out) {
            out.collect(new Object[] {context.getCurrentKey().getField(0)});
            context.timerService().registerEventTimeTimer(parameter("timer_ms").asLong());
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Object[]> out) {
            out.collect(new Object[] {StreamTypes.read(parameter("on_timer"), program.columns("main").values().iterator().next())});
        }
    }

    private static final class RegisterThenDelete extends Keyed {
        private transient ValueState<String> kept;

        RegisterThenDelete(StreamProgram program) {
            super(program);
        }

        @Override
        public void open(OpenContext context) {
            kept = state("key", Types.STRING);
        }

        @Override
        public void processElement(Row row, Context context, Collector<Object[]> out) throws Exception {
            long now = context.timerService().currentWatermark();
            if (kept.value() != null) {
                kept.clear();
                context.timerService().deleteEventTimeTimer(now + parameter("delete_after_ms").asLong());
                return;
            }
            kept.update(String.valueOf(context.getCurrentKey().getField(0)));
            out.collect(new Object[] {"INPUT:" + kept.value()});
            context.timerService().registerEventTimeTimer(now + parameter("register_after_ms").asLong());
        }

        @Override
        public void onTimer(long time, OnTimerContext context, Collector<Object[]> out) throws Exception {
            out.collect(new Object[] {"STATE:" + kept.value()});
        }
    }

    private static final class RidesAndFares extends KeyedCoProcessFunction<Row, Row, Row, Object[]> {
        private final StreamProgram program;
        private transient ValueState<Row> ride;
        private transient ValueState<Row> fare;

        RidesAndFares(StreamProgram program) {
            this.program = program;
        }

        @Override
        public void open(OpenContext context) {
            ride = getRuntimeContext().getState(new ValueStateDescriptor<>("ride", StreamTypes.row(program.inputs.get(0).columns)));
            fare = getRuntimeContext().getState(new ValueStateDescriptor<>("fare", StreamTypes.row(program.inputs.get(1).columns)));
        }

        private Object number(int side, Row row) {
            return program.inputs.get(side).value(row, "ride_id");
        }

        @Override
        public void processElement1(Row row, Context context, Collector<Object[]> out) throws Exception {
            if (fare.value() == null) {
                ride.update(row);
                return;
            }
            out.collect(pair(row, fare.value()));
            fare.clear();
        }

        @Override
        public void processElement2(Row row, Context context, Collector<Object[]> out) throws Exception {
            if (ride.value() == null) {
                fare.update(row);
                return;
            }
            out.collect(pair(ride.value(), row));
            ride.clear();
        }

        private Object[] pair(Row rideRow, Row fareRow) {
            Object[] both = {number(0, rideRow), number(1, fareRow)};
            return java.util.Arrays.copyOf(both, program.columns("main").size());
        }
    }
}
