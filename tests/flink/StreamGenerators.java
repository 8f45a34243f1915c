import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Which windows fire behind which row, when several generators of watermarks drive an operator of their own each. */
final class StreamGenerators {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private StreamGenerators() {}

    static ArrayNode compare(JsonNode program, List<JsonNode> rows) throws Exception {
        Map<String, List<List<String>>> fired = new LinkedHashMap<>();
        for (Iterator<Map.Entry<String, JsonNode>> each = program.get("generators").fields(); each.hasNext();) {
            Map.Entry<String, JsonNode> generator = each.next();
            fired.put(generator.getKey(), firings(windows(program, generator.getValue()), rows));
        }
        ArrayNode lines = JSON.arrayNode();
        for (int row = 0; row < rows.size(); row++) {
            for (Map.Entry<String, List<List<String>>> generator : fired.entrySet()) {
                for (String window : generator.getValue().get(row)) {
                    lines.addObject().put("after_ts", rows.get(row).get("ts").asLong()).put("generator", generator.getKey()).put("fires", window);
                }
            }
        }
        return lines;
    }

    /** The program of kind `window` with that generator. */
    private static StreamProgram windows(JsonNode program, JsonNode generator) {
        ObjectNode made = JSON.objectNode();
        ObjectNode stream = made.putObject("streams").putObject("in");
        stream.set("columns", program.get("streams").elements().next().get("columns"));
        stream.put("event_time", "ts").set("watermark", generator);
        made.putArray("key_by");
        made.set("assigner", program.get("assigner"));
        ObjectNode main = made.putObject("outputs").putObject("main");
        main.putObject("columns").put("s", "BIGINT").put("e", "BIGINT");
        main.putObject("select").put("s", "window_start").put("e", "window_end");
        return new StreamProgram(made);
    }

    private static List<List<String>> firings(StreamProgram program, List<JsonNode> rows) throws Exception {
        StreamResults<Object[]> results = new StreamResults<>(program);
        List<List<String>> made = new ArrayList<>();
        new StreamFlow(program, results, (StreamFlow.Maker<Object[]>) new StreamWindow(program)::make).play(rows, () -> {
            List<String> windows = new ArrayList<>();
            results.lines.forEach(line -> windows.add("[" + line.get("s").asLong() + "," + line.get("e").asLong() + ")"));
            results.lines.removeAll();
            made.add(windows);
        });
        return made;
    }
}
