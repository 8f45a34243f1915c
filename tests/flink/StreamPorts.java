import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.streaming.util.KeyedTwoInputStreamOperatorTestHarness;
import org.apache.flink.types.Row;

/** One of Flink's operators in its harness, with its inputs by number. Several streams may share the one input. */
interface StreamPorts {
    AbstractStreamOperatorTestHarness<?> harness();

    int count();

    void row(int port, StreamRecord<Row> row) throws Exception;

    void watermark(int port, Watermark watermark) throws Exception;

    void status(int port, WatermarkStatus status) throws Exception;

    static <T> StreamPorts one(StreamProgram program, OneInputStreamOperator<Row, T> operator, StreamResults<T> results) throws Exception {
        KeyedOneInputStreamOperatorTestHarness<Row, Row, T> harness = new KeyedOneInputStreamOperatorTestHarness<>(
                operator, program.keySelector(program.input()), program.keyType());
        harness.setOutputCreator(serializer -> results);
        return new One<>(harness);
    }

    static <T> StreamPorts two(StreamProgram program, TwoInputStreamOperator<Row, Row, T> operator, StreamResults<T> results) throws Exception {
        KeySelector<Row, Row> left = program.keySelector(program.inputs.get(0)), right = program.keySelector(program.inputs.get(1));
        TypeInformation<Row> type = program.keyType();
        KeyedTwoInputStreamOperatorTestHarness<Row, Row, Row, T> harness = new KeyedTwoInputStreamOperatorTestHarness<>(operator, left, right, type);
        harness.setOutputCreator(serializer -> results);
        return new Two<>(harness);
    }

    final class One<T> implements StreamPorts {
        private final KeyedOneInputStreamOperatorTestHarness<Row, Row, T> harness;

        One(KeyedOneInputStreamOperatorTestHarness<Row, Row, T> harness) {
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
        public void row(int port, StreamRecord<Row> row) throws Exception {
            harness.processElement(row);
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

    final class Two<T> implements StreamPorts {
        private final KeyedTwoInputStreamOperatorTestHarness<Row, Row, Row, T> harness;

        Two(KeyedTwoInputStreamOperatorTestHarness<Row, Row, Row, T> harness) {
            this.harness = harness;
        }

        @Override
        public AbstractStreamOperatorTestHarness<?> harness() {
            return harness;
        }

        @Override
        public int count() {
            return 2;
        }

        @Override
        public void row(int port, StreamRecord<Row> row) throws Exception {
            if (port == 0) {
                harness.processElement1(row);
            } else {
                harness.processElement2(row);
            }
        }

        @Override
        public void watermark(int port, Watermark watermark) throws Exception {
            if (port == 0) {
                harness.processWatermark1(watermark);
            } else {
                harness.processWatermark2(watermark);
            }
        }

        @Override
        public void status(int port, WatermarkStatus status) throws Exception {
            if (port == 0) {
                harness.processWatermarkStatus1(status);
            } else {
                harness.processWatermarkStatus2(status);
            }
        }
    }
}
