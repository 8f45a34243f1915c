import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.cep.functions.PatternProcessFunction;
import org.apache.flink.cep.functions.TimedOutPartialMatchHandler;
import org.apache.flink.cep.nfa.aftermatch.AfterMatchSkipStrategy;
import org.apache.flink.cep.nfa.compiler.NFACompiler;
import org.apache.flink.cep.operator.CepOperator;
import org.apache.flink.cep.pattern.Pattern;
import org.apache.flink.cep.pattern.WithinType;
import org.apache.flink.cep.pattern.conditions.IterativeCondition;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/** Kind `pattern`: stages become a Pattern of Flink's API, which its own compiler makes an automaton for CepOperator. */
final class CepPattern {
    private static final OutputTag<Object[]> TIMEOUT = new OutputTag<>("timeout") {};
    private final StreamProgram program;
    private final StreamInput input;

    CepPattern(StreamProgram program) {
        this.program = program;
        this.input = program.input();
    }

    StreamPorts make(StreamResults<Object[]> results) throws Exception {
        Pattern<Row, ?> pattern = pattern(program.json.get("stages"), skip(program.json.path("after_match_skip")));
        if (program.json.path("within_ms").asLong(0) > 0) {
            pattern = pattern.within(Duration.ofMillis(program.json.get("within_ms").asLong()));
        }
        boolean timeouts = program.hasOutput("timeout");
        OutputTag<Row> late = program.lateTag(input);
        if (late != null) {
            List<StreamExpression> select = program.select("late");
            results.shape(late.getId(), row -> StreamProgram.run(select, input.frame((Row) row)));
        }
        boolean byClock = program.json.path("time").asText("event").equals("processing");
        CepOperator<Row, Row, Object[]> operator = new CepOperator<>(
                StreamTypes.row(input.columns).createSerializer(new ExecutionConfig().getSerializerConfig()), byClock,
                NFACompiler.compileFactory(pattern, timeouts), null, pattern.getAfterMatchSkipStrategy(),
                timeouts ? new MatchesAndTimeouts(program) : new Matches(program), late);
        return StreamPorts.one(program, operator, results);
    }

    private static AfterMatchSkipStrategy skip(JsonNode declared) {
        String stage = declared.path("stage").asText(null);
        boolean fails = declared.path("on_miss").isTextual();
        switch (declared.path("strategy").asText("no_skip")) {
            case "skip_to_next":
                return AfterMatchSkipStrategy.skipToNext();
            case "skip_past_last_event":
                return AfterMatchSkipStrategy.skipPastLastEvent();
            case "skip_to_first":
                return fails ? AfterMatchSkipStrategy.skipToFirst(stage).throwExceptionOnMiss() : AfterMatchSkipStrategy.skipToFirst(stage);
            case "skip_to_last":
                return fails ? AfterMatchSkipStrategy.skipToLast(stage).throwExceptionOnMiss() : AfterMatchSkipStrategy.skipToLast(stage);
            default:
                return AfterMatchSkipStrategy.noSkip();
        }
    }

    private Pattern<Row, Row> pattern(JsonNode stages, AfterMatchSkipStrategy skip) {
        Pattern<Row, Row> made = null;
        for (JsonNode stage : stages) {
            made = stage.has("group") ? group(made, stage, skip) : single(made, stage, skip);
            quantify(made, stage);
        }
        return made;
    }

    private Pattern<Row, Row> group(Pattern<Row, Row> before, JsonNode stage, AfterMatchSkipStrategy skip) {
        Pattern<Row, Row> inner = pattern(stage.get("group"), AfterMatchSkipStrategy.noSkip());
        switch (stage.get("contiguity").asText()) {
            case "begin":
                return Pattern.begin(inner, skip);
            case "next":
                return before.next(inner);
            case "followed_by":
                return before.followedBy(inner);
            case "followed_by_any":
                return before.followedByAny(inner);
            default:
                throw new IllegalArgumentException("Flink has no " + stage.get("contiguity") + " of a group");
        }
    }

    private Pattern<Row, Row> single(Pattern<Row, Row> before, JsonNode stage, AfterMatchSkipStrategy skip) {
        Pattern<Row, Row> made = named(before, stage.get("contiguity").asText(), stage.get("name").asText(), skip);
        return stage.path("where").isTextual() ? made.where(condition(stage.get("where").asText())) : made;
    }

    private static Pattern<Row, Row> named(Pattern<Row, Row> before, String contiguity, String name, AfterMatchSkipStrategy skip) {
        switch (contiguity) {
            case "begin":
                return Pattern.begin(name, skip);
            case "next":
                return before.next(name);
            case "followed_by":
                return before.followedBy(name);
            case "followed_by_any":
                return before.followedByAny(name);
            case "not_next":
                return before.notNext(name);
            default:
                return before.notFollowedBy(name);
        }
    }

    private void quantify(Pattern<Row, Row> pattern, JsonNode stage) {
        JsonNode quantifier = stage.path("quantifier");
        if (quantifier.isObject()) {
            int from = quantifier.get("from").asInt();
            Duration between = duration(quantifier);
            if (quantifier.path("to").isNumber()) {
                times(pattern, from, quantifier.get("to").asInt(), between);
            } else if (from == 1) {
                pattern.oneOrMore(between);
            } else {
                pattern.timesOrMore(from, between);
            }
            inner(pattern, stage.path("inner_contiguity").asText("relaxed"));
        }
        if (stage.path("optional").asBoolean(false)) {
            pattern.optional();
        }
        if (stage.path("greedy").asBoolean(false)) {
            pattern.greedy();
        }
        if (stage.path("until").isTextual()) {
            pattern.until(condition(stage.get("until").asText()));
        }
        if (duration(stage) != null) {
            pattern.within(duration(stage), WithinType.PREVIOUS_AND_CURRENT);
        }
    }

    private static void times(Pattern<Row, Row> pattern, int from, int to, Duration between) {
        if (from == to) {
            pattern.times(from, between);
        } else {
            pattern.times(from, to, between);
        }
    }

    /** `within_ms` of a stage or its loop: the time since the event before. */
    private static Duration duration(JsonNode declared) {
        return declared.path("within_ms").isNumber() ? Duration.ofMillis(declared.get("within_ms").asLong()) : null;
    }

    private static void inner(Pattern<Row, Row> pattern, String contiguity) {
        if (contiguity.equals("consecutive")) {
            pattern.consecutive();
        } else if (contiguity.equals("combinations")) {
            pattern.allowCombinations();
        }
    }

    private IterativeCondition<Row> condition(String text) {
        return new Condition(new StreamExpression(text, input.columns), new ArrayList<>(input.columns.keySet()));
    }

    /** A plain column is the event's that is tried, stage.column that of the last event which the stage has taken. Flink wants it serializable. */
    private static final class Condition extends IterativeCondition<Row> {
        private final StreamExpression expression;
        private final ArrayList<String> columns;

        Condition(StreamExpression expression, ArrayList<String> columns) {
            this.expression = expression;
            this.columns = columns;
        }

        @Override
        public boolean filter(Row event, Context<Row> context) throws Exception {
            return expression.isTrue(new StreamExpression.Frame() {
                @Override
                public Object column(String stage, String name) {
                    Row row = stage == null ? event : last(stage, context);
                    return row == null ? null : row.getField(columns.indexOf(name));
                }

                @Override
                public Iterable<StreamExpression.Frame> rows(String stage) {
                    List<StreamExpression.Frame> rows = new ArrayList<>();
                    taken(stage, context).forEach(row -> rows.add((table, name) -> row.getField(columns.indexOf(name))));
                    return rows;
                }
            });
        }

        private static Row last(String stage, Context<Row> context) {
            Row last = null;
            for (Row each : taken(stage, context)) {
                last = each;
            }
            return last;
        }

        private static Iterable<Row> taken(String stage, Context<Row> context) {
            try {
                return context.getEventsForPattern(stage);
            } catch (Exception failure) {
                throw new IllegalStateException(failure);
            }
        }
    }

    private static class Matches extends PatternProcessFunction<Row, Object[]> {
        final StreamProgram program;
        private final List<StreamExpression> select;

        Matches(StreamProgram program) {
            this.program = program;
            this.select = program.select("main");
        }

        @Override
        public void processMatch(Map<String, List<Row>> match, Context context, Collector<Object[]> out) {
            out.collect(StreamProgram.run(select, new Match(program, match, null)));
        }
    }

    private static final class MatchesAndTimeouts extends Matches implements TimedOutPartialMatchHandler<Row> {
        private final List<StreamExpression> select;

        MatchesAndTimeouts(StreamProgram program) {
            super(program);
            this.select = program.select("timeout");
        }

        @Override
        public void processTimedOutMatch(Map<String, List<Row>> match, Context context) {
            context.output(TIMEOUT, StreamProgram.run(select, new Match(program, match, context.timestamp())));
        }
    }

    /** A plain column is that of the last event, stage.column that of the stage's last one; aggregates go over all events in their order. */
    private static final class Match implements StreamExpression.Frame {
        private final StreamInput input;
        private final boolean grouped;
        private final Map<String, List<Row>> match;
        private final Long timeout;

        Match(StreamProgram program, Map<String, List<Row>> match, Long timeout) {
            this.input = program.input();
            this.grouped = program.json.get("stages").findValue("group") != null;
            this.match = match;
            this.timeout = timeout;
        }

        /** All events as the automaton took them: by stage, as the map has them, and where groups repeat stages by time, then arrival. */
        private List<Row> events(String stage) {
            if (stage != null) {
                return match.getOrDefault(stage, List.of());
            }
            List<Row> all = new ArrayList<>();
            match.values().forEach(all::addAll);
            if (!grouped) {
                return all;
            }
            all.sort(Comparator.comparing((Row row) -> input.timestamp(row), Comparator.nullsFirst(Comparator.naturalOrder()))
                    .thenComparing(row -> (Long) input.value(row, StreamInput.ARRIVAL)));
            return all;
        }

        @Override
        public Object column(String stage, String name) {
            if (name.equals("TIMEOUT_ROWTIME()")) {
                return timeout;
            }
            List<Row> events = events(stage);
            return events.isEmpty() ? null : input.value(events.get(events.size() - 1), name);
        }

        @Override
        public Iterable<StreamExpression.Frame> rows(String stage) {
            List<StreamExpression.Frame> rows = new ArrayList<>();
            events(stage).forEach(event -> rows.add((table, name) -> input.value(event, name)));
            return rows;
        }
    }
}
