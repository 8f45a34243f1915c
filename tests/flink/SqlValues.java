import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.Period;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.types.Row;

/** Values of cases in JSON, and Flink's objects for them. */
final class SqlValues {
    private static final DateTimeFormatter MILLISECONDS = DateTimeFormatter.ofPattern("uuuu-MM-dd HH:mm:ss.SSS");
    static final ObjectMapper JSON = new ObjectMapper();

    private SqlValues() {}

    static LocalDateTime timestamp(String text) {
        return LocalDateTime.parse(text.replace(' ', 'T').replace("Z", ""));
    }

    static Object read(JsonNode value, LogicalType type) {
        if (value == null || value.isNull()) {
            return null;
        }
        switch (type.getTypeRoot()) {
            case BOOLEAN:
                return value.booleanValue();
            case TINYINT:
                return (byte) value.intValue();
            case SMALLINT:
                return (short) value.intValue();
            case INTEGER:
                return value.intValue();
            case BIGINT:
                return value.longValue();
            case FLOAT:
                return value.isTextual() ? Float.parseFloat(value.textValue()) : (Object) value.floatValue();
            case DOUBLE:
                return value.isTextual() ? Double.parseDouble(value.textValue()) : (Object) value.doubleValue();
            case DECIMAL:
                return new BigDecimal(value.asText());
            case CHAR:
            case VARCHAR:
                return value.textValue();
            case BINARY:
            case VARBINARY:
                return Base64.getDecoder().decode(value.textValue());
            case DATE:
                return LocalDate.parse(value.textValue());
            case TIME_WITHOUT_TIME_ZONE:
                return LocalTime.parse(value.textValue());
            case TIMESTAMP_WITHOUT_TIME_ZONE:
                return timestamp(value.textValue());
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return value.isTextual() ? timestamp(value.textValue()).toInstant(ZoneOffset.UTC) : Instant.ofEpochMilli(value.longValue());
            case ARRAY:
                Object[] items = (Object[]) java.lang.reflect.Array.newInstance(boxed(((ArrayType) type).getElementType()), value.size());
                for (int i = 0; i < items.length; i++) {
                    items[i] = read(value.get(i), ((ArrayType) type).getElementType());
                }
                return items;
            case MAP:
                Map<Object, Object> entries = new HashMap<>();
                MapType map = (MapType) type;
                value.fields().forEachRemaining(each -> entries.put(
                        read(JSON.getNodeFactory().textNode(each.getKey()), map.getKeyType()), read(each.getValue(), map.getValueType())));
                return entries;
            case ROW:
                List<RowType.RowField> fields = ((RowType) type).getFields();
                Row row = new Row(fields.size());
                for (int i = 0; i < fields.size(); i++) {
                    row.setField(i, read(value.get(fields.get(i).getName()), fields.get(i).getType()));
                }
                return row;
            default:
                throw new UnsupportedOperationException("values of type " + type);
        }
    }

    private static Class<?> boxed(LogicalType type) {
        return type.getDefaultConversion();
    }

    static JsonNode write(Object value) {
        var make = JSON.getNodeFactory();
        if (value == null) {
            return make.nullNode();
        } else if (value instanceof Boolean known) {
            return make.booleanNode(known);
        } else if (value instanceof Byte || value instanceof Short || value instanceof Integer || value instanceof Long) {
            return make.numberNode(((Number) value).longValue());
        } else if (value instanceof Float || value instanceof Double) {
            double number = ((Number) value).doubleValue();
            return Double.isNaN(number) || Double.isInfinite(number) ? make.textNode(String.valueOf(number))
                    : make.numberNode(new BigDecimal(value.toString()));
        } else if (value instanceof BigDecimal decimal) {
            return make.textNode(decimal.toPlainString());
        } else if (value instanceof LocalDateTime time) {
            return make.textNode(MILLISECONDS.format(time));
        } else if (value instanceof Instant instant) {
            return make.numberNode(instant.toEpochMilli());
        } else if (value instanceof byte[] bytes) {
            return make.textNode(Base64.getEncoder().encodeToString(bytes));
        } else if (value instanceof Duration duration) {
            return make.numberNode(duration.toMillis());
        } else if (value instanceof Period period) {
            return make.numberNode(period.toTotalMonths());
        } else if (value instanceof Object[] items) {
            ArrayNode array = make.arrayNode();
            for (Object item : items) {
                array.add(write(item));
            }
            return array;
        } else if (value instanceof List<?> items) {
            return write(items.toArray());
        } else if (value instanceof Map<?, ?> entries) {
            ObjectNode object = make.objectNode();
            entries.forEach((key, item) -> object.set(String.valueOf(key), write(item)));
            return object;
        } else if (value instanceof Row row) {
            ArrayNode array = make.arrayNode();
            for (int i = 0; i < row.getArity(); i++) {
                array.add(write(row.getField(i)));
            }
            return array;
        } else if (value.getClass().isArray()) {
            ArrayNode array = make.arrayNode();
            for (int i = 0; i < java.lang.reflect.Array.getLength(value); i++) {
                array.add(write(java.lang.reflect.Array.get(value, i)));
            }
            return array;
        }
        return make.textNode(value.toString());
    }
}
