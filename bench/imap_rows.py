"""The rows of a mailbox in use: opening, searching, sorting, changing, many small reads, waiting
in IDLE, and collecting by POP3. All of them work on the mailbox that P3 fills, or on one of many
small messages."""

from rows import Failed, Figure, scaled
from sites import HUGE, LISTED

# Octets of each message of the mailbox that is opened again and again.
SMALL = 600

# What is searched: title, SEARCH keys, row, goal.
SEARCHES = [
    ("SUBJECT, rare", "SUBJECT zyxsubj", "<= 0.05"),
    ("FROM, common", "FROM example.com", "<= 0.05"),
    ("BODY, no such word", "BODY nosuchword", "<= 0.10"),
    ("TEXT, common", "TEXT budget", "<= 0.10"),
]

SORTS = [
    ("SORT (SUBJECT)", "SORT", "SORT (SUBJECT) UTF-8 ALL", "<= 0.25"),
    ("SORT (REVERSE ARRIVAL)", "SORT", "SORT (REVERSE ARRIVAL) UTF-8 ALL", "<= 0.25"),
    ("THREAD REFERENCES", "THREAD=REFERENCES", "THREAD REFERENCES UTF-8 ALL", "<= 0.10"),
]


def filled(load, site, messages):
    """The mailbox of mixed mail, as P3 has it; filled once for each server."""
    if not getattr(site, "mixed", None):
        load("fill", *site.options(LISTED), "--messages", messages)
        site.mixed = True


def commands(words):
    return [word for name, command in words for word in ("--" + name, command)]


class Commands:
    """Figures of commands of one connection: `load timed` for each line."""

    def __init__(self, user, lines):
        # A line: figure, first-time figure or None, words for `load timed`, messages each counts.
        self.user, self.lines = user, lines
        self.figures = [figure for first, again, *_ in lines for figure in (first, again) if figure]
        self.seen = set()

    def fits(self, site):
        return site.has("imap") and not site.behind

    def run(self, load, site):
        refused = []
        for first, again, words, count in self.lines:
            try:
                o = load("timed", *site.options(self.user), *words)
            except Failed as error:
                # A server that has no such extension has no figure there.
                refused.append(str(error))
                continue
            cost = {"server_cpu_seconds": o["server_cpu_seconds"], "others": o["cost"]["others"]}
            if first and site.name not in self.seen:
                first.add(site.name, o["first_ms"])
            again.add(site.name, o["each"]["p50_ms"], cost, count * o["each"]["count"])
        self.seen.add(site.name)
        if len(refused) == len(self.lines):
            raise Failed(refused[0])


class Opening(Commands):
    """P5: SELECT of a large mailbox."""

    def __init__(self, messages):
        self.messages = messages
        what = f"SELECT of {messages}"
        self.cold = Figure("P5", what + ", server started again", "ms", False, "<= 1")
        # The flags change after the client has last been told of a MODSEQ.
        qresync = ["ENABLE QRESYNC", "SELECT INBOX", "STORE 1:* -FLAGS.SILENT (\\Flagged)", "SELECT INBOX",
                   "STORE {every %d} +FLAGS.SILENT (\\Flagged)" % max(1, messages // 1000)]
        super().__init__(HUGE, [
            (None, Figure("P5", what + ", new connection", "ms", False, "<= 0.4"),
             ["--fresh", "--times", 20, "--command", "SELECT INBOX"], 1),
            (None, Figure("P5", what + ", again", "ms", False, "<= 0.8"),
             ["--times", 100, "--command", "SELECT INBOX"], 1),
            (None, Figure("P5", what + ", QRESYNC, 1000 changes", "ms", False, "<= 0.1"),
             ["--times", 3, *commands(("setup", word) for word in qresync),
              "--command", "SELECT INBOX (QRESYNC ({uidvalidity} {modseq}))"], 1),
        ])
        self.figures.insert(0, self.cold)

    def prepare(self, load, site):
        load("append", *site.options(HUGE), "--messages", self.messages, "--size", SMALL, "--multi", 500)

    def run(self, load, site):
        site.restart()
        o = load("timed", *site.options(HUGE), "--times", 1, "--command", "SELECT INBOX")
        self.cold.add(site.name, o["first_ms"])
        super().run(load, site)


class Mixed(Commands):
    """P6, P6b, P7 and the single commands of P7b, on the mailbox of mixed mail."""

    def __init__(self, messages, lines):
        self.messages = messages
        super().__init__(LISTED, lines)

    def prepare(self, load, site):
        filled(load, site, self.messages)
        site.until_quiet()


def searching(messages):
    lines = []
    for title, keys, goal in SEARCHES:
        what = f"SEARCH {title}, of {messages}"
        lines.append((Figure("P6", what + ", first time", "ms", False, goal),
                      Figure("P6", what + ", again", "ms", False, goal),
                      ["--setup", "SELECT INBOX", "--times", 4, "--command", "SEARCH " + keys], messages))
    return Mixed(messages, lines)


def sorting(messages):
    lines = []
    for title, _, command, goal in SORTS:
        what = f"{title} of {messages}"
        lines.append((Figure("P6B", what + ", first time", "ms", False, goal),
                      Figure("P6B", what + ", again", "ms", False, goal),
                      ["--setup", "SELECT INBOX", "--times", 4, "--command", command], messages))
    return Mixed(messages, lines)


def changing(messages):
    fresh = [("before", word) for word in ("?DELETE BenchA", "?DELETE BenchB", "CREATE BenchA", "CREATE BenchB")]
    copied = [*fresh, ("before", "SELECT INBOX"), ("before", "COPY 1:* BenchA"), ("before", "SELECT BenchA")]
    away = [("after", "UNSELECT"), ("after", "?DELETE BenchA"), ("after", "?DELETE BenchB")]
    half = messages // 2
    return Mixed(messages, [
        (None, Figure("P7", f"STORE 1:* of {messages}, flag set", "ms", False, "<= 0.4"),
         ["--times", 4, *commands([("setup", "SELECT INBOX"), ("command", "STORE 1:* +FLAGS.SILENT (\\Answered)"),
                                   ("after", "STORE 1:* -FLAGS.SILENT (\\Answered)")])], messages),
        (None, Figure("P7", f"STORE 1:* of {messages}, flag told", "ms", False, "<= 0.4"),
         ["--times", 4, *commands([("setup", "SELECT INBOX"), ("command", "STORE 1:* +FLAGS (\\Answered)"),
                                   ("after", "STORE 1:* -FLAGS.SILENT (\\Answered)")])], messages),
        (None, Figure("P7", f"COPY 1:* of {messages}", "ms", False, "<= 0.03"),
         ["--times", 3, *commands([*fresh, ("before", "SELECT INBOX"), ("command", "COPY 1:* BenchA"), *away])],
         messages),
        (None, Figure("P7", f"MOVE 1:* of {messages}", "ms", False, "<= 0.03"),
         ["--times", 3, *commands([*copied, ("command", "MOVE 1:* BenchB"), *away])], messages),
        (None, Figure("P7", f"EXPUNGE of {half} scattered", "ms", False, "<= 0.1"),
         ["--times", 3, *commands([*copied, ("before", "STORE {every 2} +FLAGS.SILENT (\\Deleted)"),
                                   ("command", "EXPUNGE"), *away])], half),
    ])


def single(messages):
    return Mixed(messages, [
        (None, Figure("P7B", "NOOP, p50", "ms", False, "<= 0.7"),
         ["--setup", "SELECT INBOX", "--times", 2000, "--command", "NOOP"], 1),
        (None, Figure("P7B", "FETCH of one message, p50", "ms", False, "<= 0.45"),
         ["--setup", "SELECT INBOX", "--times", 2000, "--command", f"FETCH {messages // 2} (UID BODY.PEEK[])"], 1),
    ])


class Crowd:
    """P7b: many connections, small reads or log-ins."""

    def __init__(self, does, connections, users, title, goal):
        self.does, self.connections, self.users = does, connections, users
        self.rate = Figure("P7B", f"{title} x{connections}", "/s", True, goal)
        self.figures = [self.rate]
        self.ready = set()

    def fits(self, site):
        return site.has("imap") and not site.behind

    def prepare(self, load, site):
        if self.does == "reads":
            for user in range(1, self.users + 1):
                load("fill", *site.options(user), "--messages", 1000)

    def run(self, load, site):
        o = load("crowd", *site.options(1, self.users), self.does, "--connections", self.connections)
        self.rate.add(site.name, o["per_second"], o["cost"], o["count"])


class Idle:
    """P8: many connections in IDLE, then one message for those of one mailbox."""

    def __init__(self, connections):
        self.connections = connections
        what = f"{connections} log-ins in IDLE"
        self.memory = Figure("P8", what + ", server and kernel each", "KiB", False, "<= 16 KiB")
        self.server = Figure("P8", what + ", server alone each", "KiB", False)
        self.told = Figure("P8", f"{what} on one mailbox, last one told", "ms", False)
        self.figures = [self.memory, self.server, self.told]

    def fits(self, site):
        return site.has("imap") and not site.behind

    def run(self, load, site):
        site.restart()
        o = load("crowd", *site.options(1, 50), "idle", "--connections", self.connections)
        each = o["server_octets_each"] / 1024
        self.server.add(site.name, each)
        self.memory.add(site.name, each + o["kernel_octets_each"] / 1024)
        o = load("crowd", *site.options(1, 1), "idle", "--connections", self.connections)
        if o["told"] < o["listeners"]:
            raise Failed(f"{o['told']} of {o['listeners']} connections were told of a message")
        self.told.add(site.name, o["sent_to_exists"]["most_ms"])


class Pop:
    """P10: a mailbox collected by POP3."""

    def __init__(self, messages):
        self.messages = messages
        self.uidl = Figure("P10", f"UIDL of {messages}", "ms", False, "<= 0.3")
        self.single = Figure("P10", "RETR one by one", "/s", True, ">= 1.5")
        self.ahead = Figure("P10", "RETR, 32 under way", "/s", True, ">= 2")
        self.figures = [self.uidl, self.single, self.ahead]

    def fits(self, site):
        return site.has("pop") and not site.behind

    def prepare(self, load, site):
        filled(load, site, self.messages)

    def run(self, load, site):
        words = [*site.options(LISTED), "--pop", site.facts["pop"]]
        o = load("pop", *words)
        self.uidl.add(site.name, o["uidl_ms"])
        self.single.add(site.name, o["retr_per_second"], o["cost"], o["messages"])
        o = load("pop", *words, "--ahead", 32)
        self.ahead.add(site.name, o["retr_per_second"], o["cost"], o["messages"])


def imap_rows(wanted, scale, messages):
    """The rows of these names, in their order."""
    rows = []
    if "P5" in wanted:
        rows.append(Opening(messages * 5))
    if "P6" in wanted:
        rows.append(searching(messages))
    if "P6B" in wanted:
        rows.append(sorting(messages))
    if "P7" in wanted:
        rows.append(changing(messages))
    if "P7B" in wanted:
        rows += [single(messages), Crowd("reads", 10, 9, "small reads", ">= 5"),
                 Crowd("login", 50, 50, "log-in and log-out", ">= 3")]
    if "P8" in wanted:
        rows.append(Idle(scaled(10_000, scale, 100)))
    if "P10" in wanted:
        rows.append(Pop(messages))
    return rows
