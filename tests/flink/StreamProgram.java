import com.fasterxml.jackson.databind.JsonNode;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.typeutils.RowTypeInfo;
import org.apache.flink.types.Row;
import org.apache.flink.util.OutputTag;

/** `program` of a case, with what all kinds read from it. Flink serializes functions that hold it. */
final class StreamProgram implements Serializable {
    final JsonNode json;
    final ArrayList<StreamInput> inputs = new ArrayList<>();
    private final LinkedHashMap<String, Map<String, String>> outputs = new LinkedHashMap<>();

    StreamProgram(JsonNode json) {
        this.json = json;
        json.path("streams").fields().forEachRemaining(stream -> inputs.add(new StreamInput(stream.getKey(), stream.getValue())));
        json.path("outputs").fields().forEachRemaining(output -> {
            Map<String, String> columns = new LinkedHashMap<>();
            output.getValue().path("columns").fields().forEachRemaining(column -> columns.put(column.getKey(), column.getValue().asText()));
            outputs.put(output.getKey(), columns);
        });
    }

    StreamInput input() {
        return inputs.get(0);
    }

    boolean hasOutput(String name) {
        return outputs.containsKey(name);
    }

    Map<String, String> columns(String output) {
        return outputs.get(output);
    }

    /** Columns of all streams together: names decide, as streams of one case mean the same by the same name. */
    Map<String, String> allColumns() {
        Map<String, String> made = new LinkedHashMap<>();
        inputs.forEach(input -> made.putAll(input.columns));
        return made;
    }

    /** How the columns of an output are made, in their order. */
    List<StreamExpression> select(String output) {
        Map<String, String> types = allColumns();
        types.put("window_start", "BIGINT");
        types.put("window_end", "BIGINT");
        JsonNode select = json.path("outputs").path(output).path("select");
        return columns(output).keySet().stream().map(column -> new StreamExpression(select.get(column).asText(), types)).collect(Collectors.toList());
    }

    static Object[] run(List<StreamExpression> select, StreamExpression.Frame frame) {
        return select.stream().map(each -> each.run(frame)).toArray();
    }

    List<String> keys() {
        return StreamTypes.names(json.path("key_by"));
    }

    TypeInformation<Row> keyType() {
        TypeInformation<?>[] types = keys().stream().map(key -> StreamTypes.information(input().columns.get(key))).toArray(TypeInformation[]::new);
        return new RowTypeInfo(types);
    }

    KeySelector<Row, Row> keySelector(StreamInput input) {
        List<String> keys = keys();
        return row -> {
            Row made = new Row(keys.size());
            for (int i = 0; i < keys.size(); i++) {
                made.setField(i, input.value(row, keys.get(i)));
            }
            return made;
        };
    }

    /** The side output of late rows, or null when nobody asked for it. */
    OutputTag<Row> lateTag(StreamInput input) {
        return hasOutput("late") ? new OutputTag<>("late:" + input.name, StreamTypes.row(input.columns)) : null;
    }
}
