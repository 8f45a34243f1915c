import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * What Flink makes of SQL: reads requests from standard input, a line of JSON each, and answers each with a line.
 *
 * <p>Request: {@code id}, {@code program} and {@code rows} of a conformance case of kind sql; {@code config}: settings of Flink by key;
 * {@code on_error: "drop"}: a row that fails the job is left out and told in its place as {@code __error__}; {@code trace: true}: the plan too.
 * Answer: {@code id}, {@code results} as expected.jsonl has them, {@code types} of the columns; {@code error} with {@code stage}, plan or run.
 */
public final class SqlJudge {
    private static final int MESSAGE_MAX = 600;

    private SqlJudge() {}

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(SqlValues.JSON.writeValueAsString(answer(SqlValues.JSON.readTree(line))));
        }
    }

    private static ObjectNode answer(JsonNode request) {
        ObjectNode answer = SqlValues.JSON.createObjectNode();
        answer.set("id", request.get("id"));
        try {
            new SqlCase(request, answer).play();
        } catch (Throwable failure) {
            answer.put("error", message(failure));
            if (request.has("trace")) {
                failure.printStackTrace();
            }
        }
        return answer;
    }

    /** The failure and what caused it. */
    static String message(Throwable failure) {
        StringBuilder text = new StringBuilder();
        for (Throwable each = failure; each != null; each = each.getCause()) {
            String line = each.getClass().getSimpleName() + ": " + each.getMessage();
            text.append(text.length() > 0 ? " <- " : "").append(line.length() > MESSAGE_MAX ? line.substring(0, MESSAGE_MAX) : line);
        }
        return text.toString();
    }
}
