import java.util.List;
import java.util.Queue;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.core.memory.ManagedMemoryUseCase;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.operators.testutils.MockEnvironment;
import org.apache.flink.runtime.operators.testutils.MockEnvironmentBuilder;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedMultiInput;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.Input;
import org.apache.flink.streaming.api.operators.MultipleInputStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorFactory;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;

/** One operator of a job in Flink's own test harness: with its keyed state, timers, clock, and whatever number of inputs it has. */
@SuppressWarnings({"unchecked", "rawtypes"})
final class GraphOperator extends AbstractStreamOperatorTestHarness<Object> {
    private static final int KEY_GROUPS = 16;
    private static final int MANAGED_MEMORY_BYTES = 8 << 20;

    private final TypeInformation<?> outputType;

    GraphOperator(StreamOperatorFactory<?> factory, TypeInformation<?> outputType) throws Exception {
        super((StreamOperatorFactory<Object>) factory, environment());
        this.outputType = outputType;
        config.setManagedMemoryFractionOperatorOfUseCase(ManagedMemoryUseCase.OPERATOR, 0.5);
    }

    private static MockEnvironment environment() {
        return new MockEnvironmentBuilder()
                .setTaskName("judge")
                .setManagedMemorySize(MANAGED_MEMORY_BYTES)
                .setMaxParallelism(KEY_GROUPS)
                .setParallelism(1)
                .setSubtaskIndex(0)
                .build();
    }

    void keyBy(List<KeySelector<?, ?>> selectors, TypeInformation<?> keyType) {
        for (int i = 0; i < selectors.size(); i++) {
            config.setStatePartitioner(i, selectors.get(i));
        }
        config.setStateKeySerializer(keyType.createSerializer(executionConfig.getSerializerConfig()));
        config.serializeAllConfigs();
    }

    /** Ready for elements; state: what {@link #save} gave, or null. */
    void start(long nowMs, OperatorSubtaskState state) throws Exception {
        setup((org.apache.flink.api.common.typeutils.TypeSerializer<Object>)
                outputType.createSerializer(executionConfig.getSerializerConfig()));
        setProcessingTime(nowMs);
        setStateTtlProcessingTime(nowMs);
        if (state == null) {
            initializeEmptyState();
        } else {
            initializeState(state);
        }
        open();
    }

    OperatorSubtaskState save(long checkpoint) throws Exception {
        prepareSnapshotPreBarrier(checkpoint);
        return snapshot(checkpoint, checkpoint);
    }

    void element(int input, StreamRecord record) throws Exception {
        if (operator instanceof OneInputStreamOperator) {
            operator.setKeyContextElement1(record);
            ((OneInputStreamOperator) operator).processElement(record);
        } else if (operator instanceof TwoInputStreamOperator two) {
            if (input == 0) {
                operator.setKeyContextElement1(record);
                two.processElement1(record);
            } else {
                operator.setKeyContextElement2(record);
                two.processElement2(record);
            }
        } else {
            inputOf(input).setKeyContextElement(record);
            inputOf(input).processElement(record);
        }
    }

    void watermark(int input, Watermark mark) throws Exception {
        if (operator instanceof OneInputStreamOperator one) {
            one.processWatermark(mark);
        } else if (operator instanceof TwoInputStreamOperator two) {
            if (input == 0) {
                two.processWatermark1(mark);
            } else {
                two.processWatermark2(mark);
            }
        } else {
            inputOf(input).processWatermark(mark);
        }
    }

    void status(int input, WatermarkStatus status) throws Exception {
        if (operator instanceof OneInputStreamOperator one) {
            one.processWatermarkStatus(status);
        } else if (operator instanceof TwoInputStreamOperator two) {
            if (input == 0) {
                two.processWatermarkStatus1(status);
            } else {
                two.processWatermarkStatus2(status);
            }
        } else {
            inputOf(input).processWatermarkStatus(status);
        }
    }

    void end(int input) throws Exception {
        if (operator instanceof BoundedOneInput one) {
            one.endInput();
        } else if (operator instanceof BoundedMultiInput many) {
            many.endInput(input + 1);
        }
    }

    void clock(long nowMs) throws Exception {
        setStateTtlProcessingTime(nowMs);
        setProcessingTime(nowMs);
    }

    Queue<Object> output() {
        return getOutput();
    }

    Queue<?> side(org.apache.flink.util.OutputTag<?> tag) {
        return getSideOutput(tag);
    }

    private Input inputOf(int input) {
        return (Input) ((MultipleInputStreamOperator) operator).getInputs().get(input);
    }

    @Override
    public AbstractStreamOperator<Object> getOperator() {
        return (AbstractStreamOperator<Object>) operator;
    }
}
