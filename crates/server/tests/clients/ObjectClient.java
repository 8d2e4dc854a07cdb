import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.math.BigInteger;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A client in the manner of Java's libraries: APOP, one reader of ISO-8859-1 lines whose strings are
 * decoded afterwards, control and 8-bit octets raw inside quotes. It makes one of each kind of object
 * and reads every form of data. Arguments: port, name; the password is in PASSWORD.
 */
public final class ObjectClient {
    record Time(String text) {}

    record Address(String text) {}

    static final class Refused extends Exception {
        final int code;

        Refused(int code, String text) {
            super(text);
            this.code = code;
        }
    }

    /** Reads one object; the text holds one char an octet. */
    static final class Reader {
        private static final Pattern TIME =
                Pattern.compile("#T(\\d\\d-\\d\\d-\\d{4}(_\\d\\d:\\d\\d:\\d\\d)?)");
        private static final Pattern ADDRESS = Pattern.compile("#I(\\[[0-9a-f.:]+](:\\d+)?)");
        private static final Pattern NUMBER = Pattern.compile("#(-?\\d+)");
        private static final Pattern ATOM = Pattern.compile("[A-Za-z0-9._@\u0080-\u00ff-]+");
        private static final Pattern DATA = Pattern.compile("\\[([A-Za-z0-9+/=]*)]");
        private final String text;
        private int at;

        private Reader(String text) {
            this.text = text;
        }

        static Object whole(String text) {
            Reader reader = new Reader(text);
            Object value = reader.value();
            check(reader.at == text.length(), "something follows the object: " + text);
            return value;
        }

        private char peek() {
            check(at < text.length(), "the object has no end: " + text);
            return text.charAt(at);
        }

        private void take(char wanted) {
            check(peek() == wanted, wanted + " wanted at " + at + ": " + text);
            at++;
        }

        private String matched(Pattern pattern) {
            Matcher found = pattern.matcher(text).region(at, text.length());
            if (!found.lookingAt()) {
                return null;
            }
            at = found.end();
            return found.groupCount() == 0 ? found.group() : found.group(1);
        }

        private Object value() {
            switch (peek()) {
                case '{':
                    return dictionary();
                case '(':
                    return list();
                case '"':
                    return quoted();
                case '[':
                    return Arrays.asList(hex(Base64.getDecoder().decode(matched(DATA))));
                case '#':
                    return special();
                default:
                    String atom = matched(ATOM);
                    check(atom != null, "no object at " + at + ": " + text);
                    return decoded(atom);
            }
        }

        private Object special() {
            if (text.startsWith("#NULL#", at)) {
                at += 6;
                return null;
            }
            String found = matched(TIME);
            if (found != null) {
                return new Time(found);
            }
            found = matched(ADDRESS);
            if (found != null) {
                return new Address(found);
            }
            found = matched(NUMBER);
            check(found != null, "an odd object: " + text);
            return Long.parseLong(found);
        }

        private String quoted() {
            take('"');
            StringBuilder out = new StringBuilder();
            while (peek() != '"') {
                char next = text.charAt(at++);
                if (next != '\\') {
                    out.append(next);
                    continue;
                }
                char escaped = peek();
                if (escaped >= '0' && escaped <= '9') {
                    out.append((char) Integer.parseInt(text.substring(at, at + 3)));
                    at += 3;
                    continue;
                }
                at++;
                switch (escaped) {
                    case 'e', 'n' -> out.append('\n');
                    case 'r' -> out.append('\r');
                    case 't' -> out.append('\t');
                    default -> out.append(escaped);
                }
            }
            take('"');
            return decoded(out.toString());
        }

        private List<Object> list() {
            List<Object> all = new ArrayList<>();
            take('(');
            while (peek() != ')') {
                if (!all.isEmpty()) {
                    take(',');
                }
                all.add(value());
            }
            take(')');
            return all;
        }

        private Map<String, Object> dictionary() {
            Map<String, Object> all = new TreeMap<>();
            take('{');
            while (peek() != '}') {
                String key = (String) value();
                take('=');
                all.put(key, value());
                take(';');
            }
            take('}');
            return all;
        }

        private static String decoded(String octets) {
            return new String(octets.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
        }
    }

    private final BufferedReader in;
    private final OutputStream out;

    private ObjectClient(int port, String name, String password) throws Exception {
        Socket socket = new Socket("127.0.0.1", port);
        socket.setSoTimeout(30_000);
        in = new BufferedReader(
                new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
        out = socket.getOutputStream();
        String greeting = in.readLine();
        Matcher stamp = Pattern.compile("<.*@.*>").matcher(greeting);
        check(stamp.find(), "no stamp: " + greeting);
        MessageDigest md5 = MessageDigest.getInstance("MD5");
        byte[] digest = md5.digest((stamp.group() + password).getBytes(StandardCharsets.UTF_8));
        say("apop " + name + " " + hex(digest));
        say("inline");
    }

    /** Sends each char as one octet. */
    private String say(String line) throws IOException, Refused {
        ByteArrayOutputStream octets = new ByteArrayOutputStream();
        octets.write(line.getBytes(StandardCharsets.ISO_8859_1));
        octets.write('\n');
        out.write(octets.toByteArray());
        out.flush();
        String answer = in.readLine();
        check(answer != null && answer.length() >= 4, "no answer to " + line);
        int code = Integer.parseInt(answer.substring(0, 3));
        if (code != 200 && code != 201) {
            throw new Refused(code, answer.substring(4) + ": " + line);
        }
        return answer.substring(4);
    }

    private Object get(String line) throws IOException, Refused {
        return Reader.whole(say(line));
    }

    private Map<?, ?> map(String line) throws IOException, Refused {
        return (Map<?, ?>) get(line);
    }

    private void refused(int code, String line) throws IOException {
        try {
            say(line);
        } catch (Refused refusal) {
            check(refusal.code == code, refusal.code + " " + refusal.getMessage());
            return;
        }
        throw new AssertionError("not refused: " + line);
    }

    static void check(boolean so, String otherwise) {
        if (!so) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(Object wanted, Object got) {
        check(wanted == null ? got == null : wanted.equals(got), "wanted " + wanted + ", got " + got);
    }

    static String hex(byte[] octets) {
        return String.format("%0" + Math.max(1, octets.length * 2) + "x", new BigInteger(1, octets));
    }

    public static void main(String[] words) throws Exception {
        ObjectClient c =
                new ObjectClient(Integer.parseInt(words[0]), words[1], System.getenv("PASSWORD"));
        Map<String, Object> inner = new TreeMap<>(Map.of("odd key", "x;y=z"));
        Object[][] forms = {
            {"Simple", "Simple"},
            {"\"two words\"", "two words"},
            {"\"a \\\"b\\\" \\\\ c\"", "a \"b\" \\ c"},
            {"\"line\\eline\\ttab\"", "line\nline\ttab"},
            {"\"\\002hash\\127\\195\\169\"", "\u0002hash\u007f\u00e9"},
            // Raw: a control octet, a tabulator, ISO-8859-1, UTF-8.
            {"\"\u0002raw\t\u007f\"", "\u0002raw\t\u007f"},
            {"\"Ren\u00e9\"", "Ren\u00e9"},
            {"\"Ren\u00c3\u00a9\"", "Ren\u00e9"},
            {"\"\"", ""},
            {"[HcqHfHI=]", List.of("1dca877c72")},
            {"#-50", -50L},
            {"#9223372036854775807", Long.MAX_VALUE},
            {"#T22-10-2009_15:24:45", new Time("22-10-2009_15:24:45")},
            {"#I[10.0.44.55]:25", new Address("[10.0.44.55]:25")},
            {"#I[2001:db8::1]", new Address("[2001:db8::1]")},
            {"#NULL#", null},
            {"( Name , \"Last Name\", (), {} )",
                List.of("Name", "Last Name", List.of(), Map.of())},
            {"{ b=(1,#2); a = {\"odd key\"=\"x;y=z\";}; }",
                new TreeMap<>(Map.of("a", inner, "b", List.of("1", 2L)))},
        };
        for (Object[] form : forms) {
            same(form[1], c.get("Echo " + form[0]));
        }
        for (String wrong : List.of("\"abc", "{a=b}", "(a b)", "#T1-1-2009", "\"\\300\"")) {
            c.refused(500, "Echo " + wrong);
        }
        c.say("CreateDomain java.example");
        c.say("CreateAccount ray@java.example {Password=\"\u0002{SHA}"
                + "5en6G6MezRroT3XKqkdPOmY/BfQ=\";RealName=\"Ren\u00e9\";Blob=[HcqHfHI=];}");
        same("Ren\u00e9", c.map("GetAccountSettings ray@java.example").get("RealName"));
        same(List.of("1dca877c72"), c.map("GetAccountSettings ray@java.example").get("Blob"));
        c.say("VerifyAccountPassword ray@java.example PASSWORD secret");
        c.say("SetAccountPassword ray@java.example TO \"n\u00e9w\"");
        c.say("VerifyAccountPassword ray@java.example PASSWORD \"n\\195\\169w\"");
        c.refused(515, "VerifyAccountPassword ray@java.example PASSWORD secret");
        c.say("SetAccountAliases ray@java.example (raymond)");
        same(List.of("raymond"), c.get("GetAccountAliases ray@java.example"));
        c.say("CreateMailbox ray@java.example MAILBOX \"Gr\u00fcn\"");
        check(c.map("ListMailboxes ray@java.example").containsKey("Gr\u00fcn"), "no mailbox");
        c.say("CreateGroup team@java.example {Members=(ray);}");
        same(List.of("ray"), c.map("GetGroup team@java.example").get("Members"));
        c.say("CreateForwarder out@java.example TO a@b.example");
        same("a@b.example", c.get("GetForwarder out@java.example"));
        c.say("CreateList news@java.example FOR ray");
        same(List.of("news"), c.get("ListLists java.example"));
        List<?> objects = (List<?>) c.get("ListDomainObjects java.example 100 ACCOUNTS");
        same("macnt", ((Map<?, ?>) objects.get(1)).get("ray"));
        c.refused(520, "CreateAccount ray@java.example");
        c.refused(553, "GetForwarder gone@java.example");
        c.say("DeleteDomain java.example FORCE");
        c.say("quit");
        System.out.println("done");
    }
}
