import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The words, literals and signs of an expression. */
final class StreamTokens {
    enum Kind { NUMBER, TEXT, QUOTED, WORD, SIGN, END }

    private static final Pattern FORM = Pattern.compile(
            "\\s*(?:(\\d+(?:\\.\\d+)?)|'((?:[^']|'')*)'|`([^`]*)`|([A-Za-z_$][A-Za-z_0-9$]*)|(<>|!=|<=|>=|[-+*/%=<>(),.]))\\s*");
    private final List<Kind> kinds = new ArrayList<>();
    private final List<String> texts = new ArrayList<>();
    private int at;

    static StreamTokens of(String text) {
        StreamTokens made = new StreamTokens();
        Matcher found = FORM.matcher(text);
        int place = 0;
        while (place < text.length()) {
            if (!found.find(place) || found.start() != place) {
                throw new IllegalArgumentException("expression " + text + " at " + place);
            }
            made.add(found);
            place = found.end();
        }
        made.kinds.add(Kind.END);
        made.texts.add("");
        return made;
    }

    private void add(Matcher found) {
        for (int group = 1; group <= 5; group++) {
            if (found.group(group) != null) {
                kinds.add(Kind.values()[group - 1]);
                texts.add(group == 2 ? found.group(group).replace("''", "'") : found.group(group));
            }
        }
    }

    Kind kind() {
        return kinds.get(at);
    }

    String take() {
        return texts.get(at++);
    }

    boolean word(String word) {
        return next(Kind.WORD, word);
    }

    boolean sign(String sign) {
        return next(Kind.SIGN, sign);
    }

    private boolean next(Kind kind, String text) {
        boolean is = kinds.get(at) == kind && texts.get(at).equalsIgnoreCase(text);
        at += is ? 1 : 0;
        return is;
    }

    String oneOf(String... signs) {
        for (String sign : signs) {
            if (sign(sign)) {
                return sign;
            }
        }
        return null;
    }

    void expect(String sign) {
        if (!sign(sign)) {
            throw new IllegalArgumentException(sign + " expected before " + texts.subList(at, texts.size()));
        }
    }

    boolean expectWord(String word) {
        if (!word(word)) {
            throw new IllegalArgumentException(word + " expected before " + texts.subList(at, texts.size()));
        }
        return true;
    }

    void end() {
        if (kind() != Kind.END) {
            throw new IllegalArgumentException("unexpected " + texts.subList(at, texts.size()));
        }
    }
}
