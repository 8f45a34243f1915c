import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.table.data.RowData;
import org.yaml.snakeyaml.Yaml;

/**
 * What Flink's operators of the DataStream API and CEP answer to cases. Arguments: directories of cases; without any, lines
 * {"id", "program", "rows"} are read. A line comes out for each case of a kind that is played here: {"id", "results"}, or {"id", "error"}
 * where Flink refuses the program.
 */
public final class StreamJudge {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Set<String> KINDS =
            Set.of("pattern", "window", "group_window", "interval_join", "process", "valve", "assigner", "watermark_generator");
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    private StreamJudge() {}

    public static void main(String[] arguments) throws IOException {
        if (arguments.length == 0) {
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line; (line = lines.readLine()) != null;) {
                JsonNode asked = JSON.readTree(line);
                answer(asked.get("id").asText(), asked.get("program"), list(asked.get("rows")));
            }
            return;
        }
        for (String directory : arguments) {
            for (Path path : cases(Path.of(directory))) {
                JsonNode program = JSON.valueToTree(new Yaml().<Object>load(Files.readString(path))).get("program");
                if (KINDS.contains(program.get("kind").asText())) {
                    answer(path.getParent().getFileName().toString(), program, rows(path.resolveSibling("input.jsonl")));
                }
            }
        }
    }

    private static List<Path> cases(Path directory) throws IOException {
        try (Stream<Path> paths = Files.walk(directory)) {
            return paths.filter(path -> path.endsWith("case.yaml")).sorted().collect(Collectors.toList());
        }
    }

    private static List<JsonNode> rows(Path path) throws IOException {
        List<JsonNode> made = new ArrayList<>();
        for (String line : Files.readAllLines(path)) {
            if (!line.isBlank()) {
                made.add(JSON.readTree(line));
            }
        }
        return made;
    }

    private static List<JsonNode> list(JsonNode array) {
        List<JsonNode> made = new ArrayList<>();
        array.forEach(made::add);
        return made;
    }

    private static void answer(String id, JsonNode program, List<JsonNode> rows) throws IOException {
        ObjectNode line = JSON.createObjectNode().put("id", id);
        try {
            line.set("results", results(program, rows));
        } catch (Exception | LinkageError failure) {
            line.put("error", cause(failure));
        }
        OUT.println(JSON.writeValueAsString(line));
        OUT.flush();
    }

    private static String cause(Throwable failure) {
        while (failure.getCause() != null) {
            failure = failure.getCause();
        }
        StackTraceElement[] trace = failure.getStackTrace();
        return failure + (trace.length > 0 ? " at " + trace[0] : "");
    }

    private static ArrayNode results(JsonNode json, List<JsonNode> rows) throws Exception {
        switch (json.get("kind").asText()) {
            case "valve":
                return StreamUnits.valve(json, rows);
            case "assigner":
                return StreamUnits.assigner(json, rows);
            case "watermark_generator":
                return StreamUnits.generator(json, rows);
            default:
                return played(new StreamProgram(json), rows);
        }
    }

    private static ArrayNode played(StreamProgram program, List<JsonNode> rows) throws Exception {
        StreamResults<?> results = new StreamResults<Object>(program);
        new StreamFlow(program, results, maker(program)).play(rows, () -> {});
        return results.lines;
    }

    private static StreamFlow.Maker<?> maker(StreamProgram program) {
        switch (program.json.get("kind").asText()) {
            case "pattern":
                return (StreamFlow.Maker<Object[]>) new CepPattern(program)::make;
            case "window":
                return (StreamFlow.Maker<Object[]>) new StreamWindow(program)::make;
            case "interval_join":
                return (StreamFlow.Maker<Object[]>) new StreamJoin(program)::make;
            case "process":
                return (StreamFlow.Maker<Object[]>) new StreamProcess(program)::make;
            case "group_window":
                return (StreamFlow.Maker<RowData>) new StreamGroupWindow(program)::make;
            default:
                throw new IllegalArgumentException("kind " + program.json.get("kind"));
        }
    }
}
