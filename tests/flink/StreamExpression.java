import java.io.Serializable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/**
 * A SQL expression of a case that is no SQL: conditions and results of windows, patterns, joins and process functions. Flink has no words for
 * them outside of its tables, so they are evaluated here, in the subset that the cases use: NULL, logic of three values, INT and BIGINT that
 * overflow, DOUBLE, strings, CASE, aggregates over the rows of a frame. Times are milliseconds.
 */
final class StreamExpression implements Serializable {
    /** Where columns come from: a row, a match, a window, a pair. */
    interface Frame {
        /** table is null for a plain column. */
        Object column(String table, String name);

        /** What an aggregate is over, of one table (a stage of a pattern) or, with null, of all. */
        default Iterable<? extends Frame> rows(String table) {
            throw new IllegalStateException("aggregates have no rows here");
        }
    }

    /** A part of the tree. Times and INTERVALs are BIGINT. */
    private static final class Node {
        final String type;
        final Function<Frame, Object> run;

        Node(String type, Function<Frame, Object> run) {
            this.type = type;
            this.run = run;
        }
    }

    private final String text;
    private final HashMap<String, String> types;
    private transient Node root;

    StreamExpression(String text, Map<String, String> types) {
        this.text = text;
        this.types = new HashMap<>(types);
        root();
    }

    Object run(Frame frame) {
        return root().run.apply(frame);
    }

    boolean isTrue(Frame frame) {
        return Boolean.TRUE.equals(run(frame));
    }

    private Node root() {
        if (root == null) {
            root = new Reader(StreamTokens.of(text), types).whole();
        }
        return root;
    }

    /** Descends over the tokens, a method for each level of precedence. */
    private static final class Reader {
        private static final List<String> AGGREGATES = List.of("COUNT", "SUM", "AVG", "MIN", "MAX", "ARRAY_AGG", "FIRST_VALUE", "LAST_VALUE", "FIRST", "LAST");
        private static final Map<String, Long> UNITS =
                Map.of("MILLISECOND", 1L, "SECOND", 1000L, "MINUTE", 60_000L, "HOUR", 3_600_000L, "DAY", 86_400_000L);
        private final StreamTokens tokens;
        private final Map<String, String> types;
        private String aggregated; // the table of the column that is read inside an aggregate

        Reader(StreamTokens tokens, Map<String, String> types) {
            this.tokens = tokens;
            this.types = types;
        }

        Node whole() {
            Node made = or();
            tokens.end();
            return made;
        }

        private Node or() {
            Node left = and();
            while (tokens.word("OR")) {
                Node a = left, b = and();
                left = new Node("BOOLEAN", frame -> either(a, b, frame, true));
            }
            return left;
        }

        private Node and() {
            Node left = not();
            while (tokens.word("AND")) {
                Node a = left, b = not();
                left = new Node("BOOLEAN", frame -> either(a, b, frame, false));
            }
            return left;
        }

        /** OR with `strong` TRUE, AND with FALSE: one that is `strong` decides, else NULL is stronger than the other. */
        private static Object either(Node a, Node b, Frame frame, boolean strong) {
            Object x = a.run.apply(frame);
            if (x != null && (Boolean) x == strong) {
                return strong;
            }
            Object y = b.run.apply(frame);
            return y != null && (Boolean) y == strong ? (Object) strong : x == null || y == null ? null : (Object) !strong;
        }

        private Node not() {
            return tokens.word("NOT") ? negated(not()) : comparison();
        }

        private static Node negated(Node a) {
            return strict("BOOLEAN", x -> !(Boolean) x[0], a);
        }

        private Node comparison() {
            Node left = sum();
            if (tokens.word("IS")) {
                return is(left);
            }
            boolean not = tokens.word("NOT");
            Node made = left;
            if (tokens.word("BETWEEN")) {
                Node low = sum();
                tokens.expectWord("AND");
                Node a = compared(">=", left, low), b = compared("<=", left, sum());
                made = new Node("BOOLEAN", frame -> either(a, b, frame, false));
            } else if (tokens.word("IN")) {
                made = in(left);
            } else if (tokens.word("LIKE")) {
                made = strict("BOOLEAN", x -> ((String) x[0]).matches(pattern((String) x[1])), left, sum());
            } else {
                String sign = tokens.oneOf("=", "<>", "!=", "<=", ">=", "<", ">");
                made = sign == null ? left : compared(sign, left, sum());
            }
            return not ? negated(made) : made;
        }

        private static String pattern(String like) {
            StringBuilder made = new StringBuilder("(?s)");
            for (char c : like.toCharArray()) {
                made.append(c == '%' ? ".*" : c == '_' ? "." : java.util.regex.Pattern.quote(String.valueOf(c)));
            }
            return made.toString();
        }

        private Node is(Node a) {
            boolean not = tokens.word("NOT");
            Object wanted = tokens.word("NULL") ? null : tokens.word("TRUE") ? Boolean.TRUE : tokens.expectWord("FALSE") ? Boolean.FALSE : null;
            return new Node("BOOLEAN", frame -> java.util.Objects.equals(a.run.apply(frame), wanted) != not);
        }

        private Node in(Node a) {
            tokens.expect("(");
            Node made = compared("=", a, or());
            while (tokens.sign(",")) {
                Node before = made, next = compared("=", a, or());
                made = new Node("BOOLEAN", frame -> either(before, next, frame, true));
            }
            tokens.expect(")");
            return made;
        }

        private static Node compared(String sign, Node a, Node b) {
            return strict("BOOLEAN", x -> holds(sign, order(x[0], x[1])), a, b);
        }

        private static int order(Object a, Object b) {
            if (a instanceof Number && b instanceof Number) {
                boolean whole = a instanceof Long && b instanceof Long;
                return whole ? Long.compare((Long) a, (Long) b) : Double.compare(((Number) a).doubleValue(), ((Number) b).doubleValue());
            }
            @SuppressWarnings("unchecked")
            Comparable<Object> left = (Comparable<Object>) a;
            return left.compareTo(b);
        }

        private static boolean holds(String sign, int order) {
            switch (sign) {
                case "=":
                    return order == 0;
                case "<":
                    return order < 0;
                case "<=":
                    return order <= 0;
                case ">":
                    return order > 0;
                case ">=":
                    return order >= 0;
                default:
                    return order != 0;
            }
        }

        private Node sum() {
            Node left = product();
            for (String sign; (sign = tokens.oneOf("+", "-")) != null;) {
                left = computed(sign, left, product());
            }
            return left;
        }

        private Node product() {
            Node left = unary();
            for (String sign; (sign = tokens.oneOf("*", "/", "%")) != null;) {
                left = computed(sign, left, unary());
            }
            return left;
        }

        private static Node computed(String sign, Node a, Node b) {
            if (a.type.equals("DOUBLE") || b.type.equals("DOUBLE")) {
                return strict("DOUBLE", x -> real(sign, ((Number) x[0]).doubleValue(), ((Number) x[1]).doubleValue()), a, b);
            }
            String type = a.type.equals("INT") && b.type.equals("INT") ? "INT" : "BIGINT";
            return strict(type, x -> fit(type, whole(sign, (Long) x[0], (Long) x[1])), a, b);
        }

        private static double real(String sign, double a, double b) {
            return sign.equals("+") ? a + b : sign.equals("-") ? a - b : sign.equals("*") ? a * b : sign.equals("/") ? a / b : a % b;
        }

        private static long whole(String sign, long a, long b) {
            return sign.equals("+") ? a + b : sign.equals("-") ? a - b : sign.equals("*") ? a * b : sign.equals("/") ? a / b : a % b;
        }

        private static Object fit(String type, long value) {
            return type.equals("INT") ? (Object) (long) (int) value : (Object) value;
        }

        /** NULL when one of the arguments is. */
        private static Node strict(String type, Function<Object[], Object> work, Node... arguments) {
            return new Node(type, frame -> {
                Object[] values = new Object[arguments.length];
                for (int i = 0; i < values.length; i++) {
                    if ((values[i] = arguments[i].run.apply(frame)) == null) {
                        return null;
                    }
                }
                return work.apply(values);
            });
        }

        private Node unary() {
            if (tokens.sign("-")) {
                Node a = unary();
                return computed("-", new Node(a.type, frame -> a.type.equals("DOUBLE") ? (Object) 0.0 : (Object) 0L), a);
            }
            return primary();
        }

        private Node primary() {
            if (tokens.sign("(")) {
                Node made = or();
                tokens.expect(")");
                return made;
            }
            if (tokens.kind() == StreamTokens.Kind.NUMBER) {
                String number = tokens.take();
                return number.contains(".") ? constant("DOUBLE", Double.valueOf(number)) : constant("INT", Long.valueOf(number));
            }
            if (tokens.kind() == StreamTokens.Kind.TEXT) {
                return constant("STRING", tokens.take());
            }
            return tokens.kind() == StreamTokens.Kind.QUOTED ? column(tokens.take()) : named(tokens.take());
        }

        private static Node constant(String type, Object value) {
            return new Node(type, frame -> value);
        }

        private Node named(String word) {
            String name = word.toUpperCase(Locale.ROOT);
            switch (name) {
                case "TRUE":
                case "FALSE":
                    return constant("BOOLEAN", name.equals("TRUE"));
                case "NULL":
                    return constant("INT", null);
                case "INTERVAL":
                    return interval();
                case "CASE":
                    return branches();
                default:
                    return tokens.sign("(") ? call(name) : column(word);
            }
        }

        private Node interval() {
            String size = tokens.take();
            String unit = tokens.take().toUpperCase(Locale.ROOT);
            if (tokens.sign("(")) { // precisions
                while (!tokens.sign(")")) {
                    tokens.take();
                }
            }
            return constant("BIGINT", Math.round(Double.parseDouble(size) * UNITS.get(unit)));
        }

        private Node branches() {
            List<Node> when = new ArrayList<>(), then = new ArrayList<>();
            while (tokens.word("WHEN")) {
                when.add(or());
                tokens.expectWord("THEN");
                then.add(or());
            }
            then.add(tokens.word("ELSE") ? or() : constant("INT", null));
            tokens.expectWord("END");
            return new Node(then.get(0).type, frame -> {
                int at = 0;
                while (at < when.size() && !Boolean.TRUE.equals(when.get(at).run.apply(frame))) {
                    at++;
                }
                return then.get(at).run.apply(frame);
            });
        }

        private Node column(String word) {
            boolean qualified = tokens.sign(".");
            String table = qualified ? word : null, name = qualified ? tokens.take() : word;
            aggregated = table;
            String type = types.getOrDefault(name, "BIGINT");
            return new Node(StreamTypes.ofExpression(type), frame -> frame.column(table, name));
        }

        private Node call(String name) {
            if (AGGREGATES.contains(name)) {
                return aggregate(name);
            }
            List<Node> arguments = new ArrayList<>();
            while (!tokens.sign(")")) {
                arguments.add(or());
                tokens.sign(",");
            }
            if (name.equals("TIMEOUT_ROWTIME")) {
                return new Node("BIGINT", frame -> frame.column(null, "TIMEOUT_ROWTIME()"));
            }
            if (name.equals("ABS")) {
                Node a = arguments.get(0);
                return strict(a.type, x -> x[0] instanceof Long ? (Object) Math.abs((Long) x[0]) : (Object) Math.abs((Double) x[0]), a);
            }
            if (name.equals("MOD")) {
                return computed("%", arguments.get(0), arguments.get(1));
            }
            if (name.equals("COALESCE")) {
                return new Node(arguments.get(0).type, frame ->
                        arguments.stream().map(each -> each.run.apply(frame)).filter(each -> each != null).findFirst().orElse(null));
            }
            throw new IllegalArgumentException("function " + name + " is unknown to the judge");
        }

        private Node aggregate(String name) {
            boolean distinct = tokens.word("DISTINCT");
            aggregated = null;
            Node argument = tokens.sign("*") ? constant("BOOLEAN", true) : or();
            String table = aggregated;
            int behind = tokens.sign(",") ? Integer.parseInt(tokens.take()) : 0; // LAST(column, 1) is that of the row before the last
            tokens.expect(")");
            String type = name.equals("COUNT") ? "BIGINT" : argument.type;
            boolean picks = name.equals("FIRST") || name.equals("LAST");
            return new Node(type, frame -> {
                List<Object> values = new ArrayList<>();
                for (Frame row : frame.rows(table)) {
                    Object value = argument.run.apply(row);
                    if ((value != null || name.equals("ARRAY_AGG") || picks) && !(distinct && values.contains(value))) {
                        values.add(value);
                    }
                }
                return picks ? picked(name, behind, values) : folded(name, type, values);
            });
        }

        private static Object picked(String name, int behind, List<Object> values) {
            int at = name.equals("FIRST") ? behind : values.size() - 1 - behind;
            return at < 0 || at >= values.size() ? null : values.get(at);
        }

        private static Object folded(String name, String type, List<Object> values) {
            if (name.equals("COUNT")) {
                return (long) values.size();
            }
            if (name.equals("ARRAY_AGG")) {
                return values;
            }
            if (values.isEmpty()) {
                return null;
            }
            switch (name) {
                case "MIN":
                    return values.stream().min(Reader::order).get();
                case "MAX":
                    return values.stream().max(Reader::order).get();
                case "FIRST_VALUE":
                    return values.get(0);
                case "LAST_VALUE":
                    return values.get(values.size() - 1);
                default:
                    return total(name, type, values);
            }
        }

        private static Object total(String name, String type, List<Object> values) {
            boolean mean = name.equals("AVG");
            if (type.equals("DOUBLE")) {
                double total = values.stream().mapToDouble(value -> (Double) value).sum();
                return mean ? total / values.size() : total;
            }
            long total = values.stream().mapToLong(value -> (Long) value).sum();
            return fit(type, mean ? total / values.size() : total);
        }
    }
}
