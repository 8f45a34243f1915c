import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.time.LocalDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.typeutils.RowTypeInfo;

/** Values of a case's rows: whole numbers and times are Long, FLOAT, DOUBLE and DECIMAL are Double. */
final class StreamTypes {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSS");
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private StreamTypes() {}

    static boolean isReal(String type) {
        return type.equals("DOUBLE") || type.equals("FLOAT") || type.startsWith("DECIMAL");
    }

    /** The type by which expressions compute. */
    static String ofExpression(String type) {
        return isReal(type) ? "DOUBLE" : type.equals("INT") || type.equals("STRING") || type.equals("BOOLEAN") ? type : "BIGINT";
    }

    static TypeInformation<?> information(String type) {
        switch (ofExpression(type)) {
            case "DOUBLE":
                return Types.DOUBLE;
            case "STRING":
                return Types.STRING;
            case "BOOLEAN":
                return Types.BOOLEAN;
            default:
                return Types.LONG;
        }
    }

    static RowTypeInfo row(Map<String, String> columns) {
        TypeInformation<?>[] types = columns.values().stream().map(StreamTypes::information).toArray(TypeInformation[]::new);
        return new RowTypeInfo(types, columns.keySet().toArray(new String[0]));
    }

    static Object read(JsonNode value, String type) {
        if (value == null || value.isNull()) {
            return null;
        }
        if (value.isTextual() && type.startsWith("TIMESTAMP")) {
            String text = value.asText().replace('T', ' ').replace("Z", "");
            text = text.contains(".") ? (text + "00").substring(0, 23) : text + ".000";
            return LocalDateTime.parse(text, TIME).toInstant(ZoneOffset.UTC).toEpochMilli();
        }
        switch (ofExpression(type)) {
            case "DOUBLE":
                return value.isTextual() ? Double.parseDouble(value.asText()) : value.asDouble();
            case "STRING":
                return value.asText();
            case "BOOLEAN":
                return value.asBoolean();
            default:
                return value.asLong();
        }
    }

    static JsonNode print(Object value, String type) {
        if (value == null) {
            return JSON.nullNode();
        }
        if (value instanceof List) {
            ArrayNode made = JSON.arrayNode();
            ((List<?>) value).forEach(each -> made.add(print(each, type.substring(6, type.length() - 1))));
            return made;
        }
        if (type.equals("TIMESTAMP(3)")) {
            return JSON.textNode(TIME.format(LocalDateTime.ofEpochSecond(
                    Math.floorDiv((Long) value, 1000L), (int) Math.floorMod((Long) value, 1000L) * 1_000_000, ZoneOffset.UTC)));
        }
        return value instanceof Long ? JSON.numberNode((Long) value) : value instanceof Double ? JSON.numberNode((Double) value)
                : value instanceof Boolean ? JSON.booleanNode((Boolean) value) : JSON.textNode((String) value);
    }

    static List<String> names(JsonNode list) {
        List<String> made = new ArrayList<>();
        list.forEach(each -> made.add(each.asText()));
        return made;
    }
}
