"""Servers under measurement: each is one or more scripts of peers/ with a directory of its own."""

import json
import os
import subprocess
import time

# Accounts that go round; the one after them holds the mail of P3, the last one that of P5, the
# rest is for copies.
ROUND, LISTED, HUGE, ACCOUNTS = 60, 61, 120, 120

HERE = os.path.dirname(os.path.abspath(__file__))


class CannotStart(Exception):
    """The script says why."""


class Site:
    """One server, or several that work together, told apart by a name."""

    def __init__(self, name, directory, script, port, arguments=(), environment=None, behind=None):
        self.name = name
        self.directory = os.path.join(directory, name.replace("+", "-"))
        self.script = os.path.join(HERE, "peers", script + ".sh")
        self.port, self.arguments = port, list(arguments)
        self.environment = {**os.environ, **(environment or {})}
        self.behind = behind        # the server that keeps the mail, started first
        self.facts = {}
        self.next_user, self.next_copy = 1, LISTED + 1

    def _call(self, *arguments):
        log = self.directory + ".log"
        os.makedirs(self.directory, exist_ok=True)
        # Never a pipe: the daemons would hold it open.
        with open(log, "ab") as out:
            done = subprocess.run([self.script, *arguments], stdin=subprocess.DEVNULL, stdout=out,
                                  stderr=out, env=self.environment, timeout=120, check=False)
        if done.returncode:
            with open(log, encoding="utf-8", errors="replace") as said:
                raise CannotStart(said.read().strip()[-400:])

    def runs(self):
        """False when it has not been started, or has ended by itself since."""
        try:
            return bool(self.facts) and all(os.path.isdir("/proc/" + pid) for pid in self.pids())
        except OSError:
            return False

    def start(self):
        if self.runs():
            return
        if self.facts:
            print(f"!! {self.name} has ended by itself and is started again", flush=True)
            self.stop()
        more = []
        if self.behind:
            self.behind.start()
            more = ["store=" + os.path.join(self.behind.directory, "site.json")]
        self._call("start", self.directory, str(self.port), *self.arguments, *more)
        with open(os.path.join(self.directory, "site.json"), encoding="utf-8") as file:
            self.facts = json.load(file)

    def stop(self):
        if os.path.isdir(self.directory):
            try:
                self._call("stop", self.directory)
            except (CannotStart, subprocess.TimeoutExpired) as error:
                print(f"{self.name}: does not stop: {error}", flush=True)
        self.facts = {}

    def restart(self):
        self.stop()
        self.start()

    def spent(self):
        """Clock ticks of processor time of all its processes."""
        ticks, parents = {}, {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue        # it has ended meanwhile
            parents[pid], ticks[pid] = fields[1], int(fields[11]) + int(fields[12])
        ours = set(self.pids())

        def belongs(pid):
            while pid in parents and pid not in ours:
                pid = parents[pid]
            return pid in ours
        return sum(spent for pid, spent in ticks.items() if belongs(pid))

    def until_quiet(self, seconds=180):
        """Waits until the server has done what it does by itself after mail came, such as making
        what its searches use; at most so long."""
        ends, before = time.monotonic() + seconds, self.spent()
        while time.monotonic() < ends:
            time.sleep(2)
            now = self.spent()
            if now - before <= 2:
                return
            before = now
        print(f"{self.name} is still at work by itself after {seconds} s", flush=True)

    def has(self, protocol):
        return protocol in self.facts

    def pids(self):
        found = []
        for name in self.facts.get("pid_files", []):
            with open(name, encoding="ascii") as file:
                found.append(file.read().split()[0])
        return found

    def users(self, how_many):
        """The number of the first of so many accounts; they go round, for every server alike."""
        first = self.next_user if self.next_user + how_many <= ROUND + 1 else 1
        self.next_user = first + how_many
        # The servers behind share their accounts with this one.
        if self.behind:
            self.behind.next_user = self.next_user
        return first

    def fresh_user(self):
        """The number of an account that nothing has been put into."""
        self.next_copy += 1
        if self.next_copy >= HUGE:
            raise CannotStart("no account is left for a copy: fewer rounds")
        return self.next_copy

    def options(self, first_user=1, users=1):
        """What `cargo xtask load` is told about the server and its accounts."""
        found = ["--imap", self.facts["imap"], "--user", self.facts["user"], "--password",
                 self.facts["password"], "--first-user", str(first_user), "--users", str(users)]
        for pid in self.pids():
            found += ["--pid", pid]
        return found


def file_system(directory):
    """The kind of file system that a directory lies on."""
    best, kind = "", "?"
    path = os.path.realpath(directory)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, at, what = line.split()[:3]
            inside = path == at or path.startswith(at.rstrip("/") + "/")
            if inside and len(at) >= len(best):
                best, kind = at, what
    return kind
