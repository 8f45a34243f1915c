import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.function.Consumer;
import org.apache.flink.api.common.serialization.SerializerConfigImpl;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.dag.Transformation;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.StreamOperatorFactory;
import org.apache.flink.streaming.api.transformations.AbstractMultipleInputTransformation;
import org.apache.flink.streaming.api.transformations.KeyedMultipleInputTransformation;
import org.apache.flink.streaming.api.transformations.LegacySourceTransformation;
import org.apache.flink.streaming.api.transformations.OneInputTransformation;
import org.apache.flink.streaming.api.transformations.PartitionTransformation;
import org.apache.flink.streaming.api.transformations.SideOutputTransformation;
import org.apache.flink.streaming.api.transformations.TwoInputTransformation;
import org.apache.flink.streaming.api.transformations.UnionTransformation;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.io.PushingAsyncDataInput;
import org.apache.flink.streaming.runtime.streamrecord.LatencyMarker;
import org.apache.flink.streaming.runtime.streamrecord.RecordAttributes;
import org.apache.flink.streaming.runtime.streamrecord.StreamElement;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.StatusWatermarkValve;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.util.InstantiationUtil;
import org.apache.flink.util.OutputTag;

/**
 * A Flink job run by hand: the operators of its transformations, each in a test harness, with Flink's valve in front of every exchange. An
 * element that enters at a source has gone through all operators before the next one enters, which is one of the orders that a cluster may
 * choose, and always the same one. The clock is the script's.
 *
 * <p>Use: new, {@link #start}, then {@link #push}, {@link #clock}, {@link #end}; {@link #save} and start a second one with what it gave.
 */
@SuppressWarnings({"unchecked", "rawtypes"})
final class Graph implements AutoCloseable {
    /** An operator, and where its elements go. */
    private static final class Node {
        GraphOperator operator;
        TypeSerializer<Object> serializer;
        final List<Edge> edges = new ArrayList<>();
        final Map<OutputTag<?>, List<Edge>> sides = new LinkedHashMap<>();
    }

    /** One input of an operator: valve is null where Flink chains, that is without an exchange. */
    private static final class Gate implements PushingAsyncDataInput.DataOutput<Object> {
        final Graph graph;
        final Node node;
        final int input;
        StatusWatermarkValve valve;
        int channels;

        Gate(Graph graph, Node node, int input) {
            this.graph = graph;
            this.node = node;
            this.input = input;
        }

        @Override
        public void emitRecord(StreamRecord<Object> record) throws Exception {
            node.operator.element(input, record);
            graph.drain(node);
        }

        @Override
        public void emitWatermark(Watermark watermark) throws Exception {
            node.operator.watermark(input, watermark);
            graph.drain(node);
        }

        @Override
        public void emitWatermarkStatus(WatermarkStatus status) throws Exception {
            node.operator.status(input, status);
            graph.drain(node);
        }

        @Override
        public void emitLatencyMarker(LatencyMarker marker) {}

        @Override
        public void emitRecordAttributes(RecordAttributes attributes) {}

        @Override
        public void emitWatermark(org.apache.flink.runtime.event.WatermarkEvent event) {}
    }

    private record Edge(Gate gate, int channel, TypeSerializer<Object> serializer) {
        void give(StreamElement element) throws Exception {
            if (element.isRecord()) {
                gate.emitRecord(gate.valve == null ? element.asRecord() : sent(element.asRecord()));
            } else if (element.isWatermark()) {
                if (gate.valve == null) {
                    gate.emitWatermark(element.asWatermark());
                } else {
                    gate.valve.inputWatermark(element.asWatermark(), channel, gate);
                }
            } else if (element.isWatermarkStatus()) {
                if (gate.valve == null) {
                    gate.emitWatermarkStatus(element.asWatermarkStatus());
                } else {
                    gate.valve.inputWatermarkStatus(element.asWatermarkStatus(), channel, gate);
                }
            }
        }

        /** An exchange writes rows and reads them: some arrive in another form than they were made in. */
        private StreamRecord<Object> sent(StreamRecord<Object> record) throws Exception {
            DataOutputSerializer bytes = new DataOutputSerializer(256);
            serializer.serialize(record.getValue(), bytes);
            return record.copy(serializer.deserialize(new DataInputDeserializer(bytes.getCopyOfBuffer())));
        }
    }

    /** What an input of a transformation comes from in the end. */
    private record Origin(Object node, OutputTag<?> tag, boolean exchanged) {}

    private final Map<Integer, Node> nodes = new LinkedHashMap<>();
    private final Map<String, Node> sources = new HashMap<>();
    private final List<Gate> gates = new ArrayList<>();
    private final Map<Node, Consumer<StreamElement>> sinks = new LinkedHashMap<>();
    private final Map<Node, Map<OutputTag<?>, Consumer<StreamElement>>> sideSinks = new HashMap<>();

    /** sink gets every element that comes out of the transformation: records, watermarks, statuses. */
    Graph(Transformation<?> last, Consumer<StreamElement> sink) throws Exception {
        addSink(last, sink);
    }

    void addSink(Transformation<?> last, Consumer<StreamElement> sink) throws Exception {
        Origin origin = origins(last, false, null).get(0);
        Node node = (Node) origin.node;
        if (origin.tag == null) {
            sinks.put(node, sink);
        } else {
            node.sides.computeIfAbsent(origin.tag, tag -> new ArrayList<>());
            sideSinks.computeIfAbsent(node, each -> new HashMap<>()).put(origin.tag, sink);
        }
    }

    private List<Origin> origins(Transformation<?> of, boolean exchanged, OutputTag<?> tag) throws Exception {
        if (of instanceof PartitionTransformation) {
            return origins(of.getInputs().get(0), true, tag);
        }
        if (of instanceof SideOutputTransformation side) {
            return origins((Transformation<?>) side.getInputs().get(0), exchanged, side.getOutputTag());
        }
        if (of instanceof UnionTransformation) {
            List<Origin> all = new ArrayList<>();
            for (Transformation<?> each : of.getInputs()) {
                all.addAll(origins(each, true, tag));
            }
            return all;
        }
        return List.of(new Origin(node(of), tag, exchanged));
    }

    private Node node(Transformation<?> of) throws Exception {
        Node made = nodes.get(of.getId());
        if (made != null) {
            return made;
        }
        made = new Node();
        made.serializer = serializer(of.getOutputType());
        if (of instanceof LegacySourceTransformation) {
            sources.put(of.getName(), made);
        } else {
            made.operator = operator(of);
            List<Transformation<?>> inputs = of.getInputs();
            for (int i = 0; i < inputs.size(); i++) {
                connect(inputs.get(i), new Gate(this, made, i));
            }
        }
        nodes.put(of.getId(), made);
        return made;
    }

    private void connect(Transformation<?> from, Gate gate) throws Exception {
        List<Origin> origins = origins(from, false, null);
        for (Origin origin : origins) {
            Node node = (Node) origin.node;
            List<Edge> edges = origin.tag == null ? node.edges : node.sides.computeIfAbsent(origin.tag, tag -> new ArrayList<>());
            edges.add(new Edge(gate, gate.channels++, origin.tag == null ? node.serializer : serializer(origin.tag.getTypeInfo())));
        }
        if (origins.size() > 1 || origins.get(0).exchanged) {
            gate.valve = new StatusWatermarkValve(gate.channels);
        }
        gates.add(gate);
    }

    private static TypeSerializer<Object> serializer(TypeInformation<?> type) {
        return (TypeSerializer<Object>) type.createSerializer(new SerializerConfigImpl());
    }

    private static GraphOperator operator(Transformation<?> of) throws Exception {
        StreamOperatorFactory<?> factory;
        List<KeySelector<?, ?>> selectors = new ArrayList<>();
        TypeInformation<?> keyType;
        if (of instanceof OneInputTransformation one) {
            factory = one.getOperatorFactory();
            keyType = one.getStateKeyType();
            selectors.add(one.getStateKeySelector());
        } else if (of instanceof TwoInputTransformation two) {
            factory = two.getOperatorFactory();
            keyType = two.getStateKeyType();
            selectors.add(two.getStateKeySelector1());
            selectors.add(two.getStateKeySelector2());
        } else if (of instanceof AbstractMultipleInputTransformation many) {
            factory = many.getOperatorFactory();
            keyType = many instanceof KeyedMultipleInputTransformation keyed ? keyed.getStateKeyType() : null;
            if (keyType != null) {
                ((KeyedMultipleInputTransformation<?>) many).getStateKeySelectors().forEach(each -> selectors.add((KeySelector<?, ?>) each));
            }
        } else {
            throw new UnsupportedOperationException("no way to run a " + of.getClass().getSimpleName());
        }
        // A factory may hold the operator itself: a second run needs one of its own.
        GraphOperator made = new GraphOperator(InstantiationUtil.clone(factory), of.getOutputType());
        if (keyType != null) {
            made.keyBy(selectors, keyType);
        }
        return made;
    }

    /** saved: by {@link #save} of a graph of the same job, or null. */
    void start(long nowMs, List<OperatorSubtaskState> saved) throws Exception {
        int at = 0;
        for (Node node : nodes.values()) {
            if (node.operator != null) {
                node.operator.start(nowMs, saved == null ? null : saved.get(at++));
            }
        }
    }

    List<OperatorSubtaskState> save(long checkpoint) throws Exception {
        List<OperatorSubtaskState> saved = new ArrayList<>();
        for (Node node : nodes.values()) {
            if (node.operator != null) {
                saved.add(node.operator.save(checkpoint));
                drain(node);
            }
        }
        return saved;
    }

    /** False: no operator reads this source. */
    boolean push(String source, StreamElement element) throws Exception {
        Node node = sources.get(source);
        if (node == null) {
            return false;
        }
        deliver(node.edges, element);
        return true;
    }

    /** Sets the clock of all operators: what is due fires, upstream first. */
    void clock(long nowMs) throws Exception {
        for (Node node : nodes.values()) {
            if (node.operator != null) {
                node.operator.clock(nowMs);
                drain(node);
            }
        }
    }

    /** Behind the last watermark: the inputs of all operators have ended. */
    void end() throws Exception {
        for (Node node : nodes.values()) {
            if (node.operator == null) {
                continue;
            }
            for (Gate gate : gates) {
                if (gate.node == node) {
                    node.operator.end(gate.input);
                }
            }
            drain(node);
        }
    }

    private void drain(Node node) throws Exception {
        Queue<Object> output = node.operator.output();
        for (Object each = output.poll(); each != null; each = output.poll()) {
            Consumer<StreamElement> sink = sinks.get(node);
            if (sink != null) {
                sink.accept((StreamElement) each);
            }
            deliver(node.edges, (StreamElement) each);
        }
        for (OutputTag<?> tag : node.sides.keySet()) {
            drainSide(node, tag);
        }
    }

    private void drainSide(Node node, OutputTag<?> tag) throws Exception {
        Queue<?> output = node.operator.side(tag);
        for (Object each = output == null ? null : output.poll(); each != null; each = output.poll()) {
            Consumer<StreamElement> sink = sideSinks.getOrDefault(node, Map.of()).get(tag);
            if (sink != null) {
                sink.accept((StreamElement) each);
            }
            deliver(node.sides.get(tag), (StreamElement) each);
        }
    }

    private static void deliver(List<Edge> edges, StreamElement element) throws Exception {
        for (Edge edge : edges) {
            edge.give(edges.size() > 1 && element.isRecord() ? element.asRecord().copy(element.asRecord().getValue()) : element);
        }
    }

    /** The names of the operators, in the order in which they were made. */
    List<String> operators() {
        List<String> names = new ArrayList<>();
        nodes.values().forEach(node -> names.add(node.operator == null ? "source" : node.operator.getOperator().getClass().getSimpleName()));
        return names;
    }

    @Override
    public void close() {
        for (Node node : nodes.values()) {
            try {
                if (node.operator != null) {
                    node.operator.close();
                }
            } catch (Exception ignored) {
                // What fails here has failed before, with a better message.
            }
        }
    }
}
