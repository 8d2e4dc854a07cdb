"""The rows: what each measures, how it is run, and which figures count."""

import json
import subprocess
from dataclasses import dataclass, field

from sites import LISTED


class Failed(Exception):
    """A run that gave no figure, with the reason."""


@dataclass
class Figure:
    """One line of the table: a number that each run yields."""

    row: str
    text: str
    unit: str
    more_is_better: bool
    goal: str = ""
    # Runs of each contestant by name: the figures, and server CPU milliseconds for each message.
    runs: dict = field(default_factory=dict)
    cpu: dict = field(default_factory=dict)
    others: dict = field(default_factory=dict)
    # Who was not done within the limit of so many seconds.
    over: dict = field(default_factory=dict)
    # What the disk took for 4 KiB before each round.
    disk: list = field(default_factory=list)

    def add(self, name, number, cost=None, messages=0):
        self.runs.setdefault(name, []).append(number)
        if cost and messages:
            self.cpu.setdefault(name, []).append(cost["server_cpu_seconds"] / messages * 1e3)
        if cost:
            self.others.setdefault(name, []).append(cost["others"])


class Load:
    """Calls `cargo xtask load`."""

    def __init__(self, program, log):
        self.program, self.log = program, log

    def __call__(self, *arguments, seconds=900):
        words = [self.program, "load", *map(str, arguments)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{arguments[0]}: not done after {seconds} s") from error
        if done.returncode:
            raise Failed(done.stderr.strip()[-300:])
        outcome = json.loads(done.stdout)
        self.log.append({"arguments": [str(a) for a in arguments], "outcome": outcome})
        return outcome


def scaled(number, scale, least=20):
    return max(least, int(number * scale))


class Smtp:
    """P1: from the first connection until the mailboxes have every message; P1b: with ten recipients."""

    def __init__(self, way, connections, scale, reconnect=False, recipients=1, goal="", size=4096):
        self.way, self.connections, self.reconnect = way, connections, reconnect
        self.recipients, self.size = recipients, size
        fewer = 4 if recipients > 1 or size > 4096 else 1
        self.count = scaled(min(2000, 200 + 60 * connections) // fewer, scale)
        # One account by SMTP, ten by LMTP.
        self.users = 1 if way == "smtp" and recipients == 1 else 10
        title = f"{way.upper()} {size // 1024} KiB x{connections}"
        if reconnect:
            title += ", a connection each"
        if recipients > 1:
            title += f", {recipients} recipients"
        row = "P1B" if recipients > 1 else "P1"
        self.stored = Figure(row, title + ", stored", "/s", True, goal)
        self.accepted = Figure(row, title + ", accepted", "/s", True)
        self.figures = [self.stored, self.accepted]

    def fits(self, site):
        return site.has(self.way)

    def run(self, load, site):
        first = site.users(self.users)
        facts = site.facts
        more = ["--per-connection", 1] if self.reconnect else []
        o = load("smtp", *site.options(first, self.users), "--" + self.way, facts[self.way],
                 "--recipient", facts["recipient"], "--messages", self.count, "--size", self.size,
                 "--connections", self.connections, "--recipients", self.recipients, *more)
        self.stored.add(site.name, o["stored_per_second"], o["cost"], self.count)
        self.accepted.add(site.name, o["accepted_per_second"])


class Outgoing:
    """P1C: messages for another system, from the first connection until a sink has had all of them."""

    def __init__(self, scale, size=4096):
        self.count, self.size = scaled(5000, scale), size
        title = f"outgoing {size // 1024} KiB x10, {self.count} messages"
        self.relayed = Figure("P1C", title + ", relayed", "/s", True)
        self.accepted = Figure("P1C", title + ", accepted", "/s", True)
        self.figures = [self.relayed, self.accepted]

    def fits(self, site):
        return site.has("smtp") and site.has("sink")

    def run(self, load, site):
        facts = site.facts
        pids = [word for pid in site.pids() for word in ("--pid", pid)]
        o = load("outgoing", "--smtp", facts["smtp"], "--sink", facts["sink"], "--messages", self.count,
                 "--size", self.size, "--connections", 10, *pids)
        self.relayed.add(site.name, o["relayed_per_second"], o["cost"], self.count)
        self.accepted.add(site.name, o["accepted_per_second"])


class Append:
    """P2: APPEND, each connection waiting for its answer."""

    def __init__(self, connections, multi, scale, goal=""):
        self.connections, self.multi = connections, multi
        self.users = 1 if connections == 1 else 9
        if multi > 1:
            self.count = max(multi, int(1000 * scale) // multi * multi)
            self.rate = Figure("P2", f"MULTIAPPEND of {multi}", "/s", True, goal)
            self.figures = [self.rate]
        elif connections == 1:
            self.count = scaled(500, scale)
            self.rate = Figure("P2", "APPEND one at a time", "/s", True)
            self.p50 = Figure("P2", "APPEND one at a time, p50", "ms", False, goal)
            self.p99 = Figure("P2", "APPEND one at a time, p99", "ms", False)
            self.figures = [self.p50, self.p99, self.rate]
        else:
            self.count = scaled(min(2000, 400 + 100 * connections), scale)
            self.rate = Figure("P2", f"APPEND x{connections}", "/s", True, goal)
            self.figures = [self.rate]

    def fits(self, site):
        return site.has("imap") and not site.behind

    def run(self, load, site):
        first = site.users(self.users)
        o = load("append", *site.options(first, self.users), "--messages", self.count, "--size", 4096,
                 "--connections", self.connections, "--multi", self.multi)
        self.rate.add(site.name, o["per_second"], o["cost"], self.count)
        if self.connections == 1 and self.multi == 1:
            self.p50.add(site.name, o["each"]["p50_ms"])
            self.p99.add(site.name, o["each"]["p99_ms"])


# What is asked of a whole mailbox: row, items of `load fetch`, title, goal.
LISTS = [
    ("P3", "list", "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)", "<= 0.10"),
    ("P3B", "headers", "a mail program's header list", "<= 0.15"),
    ("P3B", "flags", "UID FETCH 1:* (FLAGS)", "<= 0.25"),
    ("P4", "body", "FETCH 1:* BODY.PEEK[]", "<= 0.25"),
    ("P4", "header", "FETCH 1:* BODY.PEEK[HEADER]", "<= 0.08"),
]


class Fetch:
    """P3, P3b, P4: a whole mailbox; the first time is that after filling and a restart."""

    def __init__(self, messages, wanted):
        self.messages, self.first_user = messages, LISTED
        self.rows = []
        for row, items, title, goal in LISTS:
            if row in wanted:
                what = f"{title} of {messages}"
                self.rows.append((items, Figure(row, what + ", first time", "ms", False, goal),
                                  Figure(row, what + ", again", "ms", False, goal)))
        self.figures = [figure for _, first, again in self.rows for figure in (first, again)]
        self.fetched = set()

    def fits(self, site):
        return site.has("imap") and not site.behind

    def prepare(self, load, site):
        o = load("fill", *site.options(self.first_user), "--messages", self.messages)
        site.mixed = True
        if o["refused"]:
            print(f"{site.name} refused {o['refused']} of {self.messages} messages", flush=True)
        site.restart()

    def run(self, load, site):
        items = ",".join(items for items, _, _ in self.rows)
        o = load("fetch", *site.options(self.first_user), "--items", items, "--again", 3)
        for seen, (_, first, again) in zip(o["rows"], self.rows):
            times = seen["again_ms"]
            if site.name not in self.fetched:
                first.add(site.name, seen["first_ms"], seen["first_cost"], o["messages"])
            again.add(site.name, sorted(times)[len(times) // 2], seen["again_cost"],
                      o["messages"] * len(times))
        self.fetched.add(site.name)


class Notify:
    """P9: from the end of a delivery to EXISTS in a connection in IDLE."""

    def __init__(self, deliver, scale, goal=("", "")):
        self.deliver, self.count = deliver, scaled(100, scale)
        what = "delivery" if deliver else "APPEND"
        self.p50 = Figure("P9", f"{what} to EXISTS in IDLE, p50", "ms", False, goal[0])
        self.p99 = Figure("P9", f"{what} to EXISTS in IDLE, p99", "ms", False, goal[1])
        self.figures = [self.p50, self.p99]

    def fits(self, site):
        return site.has("smtp") or site.has("lmtp") if self.deliver else not site.behind

    def run(self, load, site):
        first = site.users(1)
        facts, way = site.facts, []
        if self.deliver:
            # LMTP where there is no SMTP: it is the shorter way, in the peer's favour.
            protocol = "smtp" if site.has("smtp") else "lmtp"
            way = ["--" + protocol, facts[protocol], "--recipient", facts["recipient"]]
        o = load("notify", *site.options(first), *way, "--messages", self.count)
        if o["missed"] * 20 > self.count:
            raise Failed(f"{o['missed']} of {self.count} messages were not heard of")
        self.p50.add(site.name, o["sent_to_exists"]["p50_ms"], o["cost"], self.count)
        self.p99.add(site.name, o["sent_to_exists"]["p99_ms"])


def all_rows(wanted, scale, messages):
    """The rows of these names, in their order; those of P11 are in movers.py."""
    rows = []
    if "P1" in wanted:
        rows += [Smtp("smtp", 1, scale), Smtp("smtp", 10, scale, goal=">= 20"), Smtp("smtp", 50, scale),
                 Smtp("smtp", 10, scale, reconnect=True)]
        rows += [Smtp("lmtp", c, scale, goal=g) for c, g in ((1, ">= 4"), (10, ">= 12"), (50, ">= 20"))]
        rows += [Smtp(way, c, scale, size=65536) for way in ("smtp", "lmtp") for c in (1, 10, 50)]
    if "P1B" in wanted:
        rows += [Smtp("smtp", 10, scale, recipients=10), Smtp("lmtp", 10, scale, recipients=10, goal=">= 50")]
    if "P1C" in wanted:
        rows.append(Outgoing(scale))
    if "P2" in wanted:
        rows += [Append(1, 1, scale, "<= 0.35"), Append(10, 1, scale, ">= 5"), Append(50, 1, scale, ">= 8"),
                 Append(1, 100, scale, ">= 15")]
    if any(row in wanted for row, *_ in LISTS):
        rows.append(Fetch(messages, wanted))
    if "P9" in wanted:
        rows += [Notify(True, scale, ("<= 1 ms", "<= 3 ms")), Notify(False, scale)]
    return rows
