import java.util.List;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.streaming.api.functions.co.ProcessJoinFunction;
import org.apache.flink.streaming.api.operators.co.IntervalJoinOperator;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Kind `interval_join`: the operator behind keyBy(..).intervalJoin(..). */
final class StreamJoin {
    private final StreamProgram program;
    private final StreamInput left;
    private final StreamInput right;

    StreamJoin(StreamProgram program) {
        this.program = program;
        left = program.inputs.get(0);
        right = program.inputs.get(1);
        if (!left.name.equals(program.json.get("left").asText())) {
            throw new IllegalArgumentException("the left stream has to be declared first");
        }
    }

    StreamPorts make(StreamResults<Object[]> results) throws Exception {
        OutputTag<Row> lateLeft = late(results, "late_left", left), lateRight = late(results, "late_right", right);
        IntervalJoinOperator<Row, Row, Row, Object[]> operator = new IntervalJoinOperator<>(
                program.json.get("lower_bound_ms").asLong(), program.json.get("upper_bound_ms").asLong(),
                !program.json.path("lower_bound_exclusive").asBoolean(false), !program.json.path("upper_bound_exclusive").asBoolean(false),
                lateLeft, lateRight, serializer(left), serializer(right), new Pairs(program.select("main"), left, right));
        return StreamPorts.two(program, operator, results);
    }

    /** Late rows of a side, as they came. */
    private OutputTag<Row> late(StreamResults<Object[]> results, String output, StreamInput input) {
        if (!program.hasOutput(output)) {
            return null;
        }
        results.shape(output, row -> program.columns(output).keySet().stream().map(column -> input.value((Row) row, column)).toArray());
        return new OutputTag<>(output, StreamTypes.row(input.columns));
    }

    private static TypeSerializer<Row> serializer(StreamInput input) {
        return StreamTypes.row(input.columns).createSerializer(new ExecutionConfig().getSerializerConfig());
    }

    private static final class Pairs extends ProcessJoinFunction<Row, Row, Object[]> {
        private final List<StreamExpression> select;
        private final StreamInput left;
        private final StreamInput right;

        Pairs(List<StreamExpression> select, StreamInput left, StreamInput right) {
            this.select = select;
            this.left = left;
            this.right = right;
        }

        @Override
        public void processElement(Row leftRow, Row rightRow, Context context, Collector<Object[]> out) {
            out.collect(StreamProgram.run(select, (stream, column) -> left.name.equals(stream) ? left.value(leftRow, column)
                    : right.value(rightRow, column)));
        }
    }
}
