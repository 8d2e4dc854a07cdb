"""P11 to P13: all mailboxes of an account copied from a Dovecot, by each mover, into a Dovecot and into
Angarium. The floors are `cargo xtask load barecopy`, which does nothing but stream, and `barelist`, which
lists both sides. doveadm writes into the Dovecot's files and getmail into a directory: they have no second
server to wait for. Who is not done within the limit is told so, with how far it came, and runs no more."""

import email
import imaplib
import os
import shutil
import signal
import subprocess
import time

from rows import Failed, Figure

# The account that is copied, and the same without what getmail gives up over.
SOURCE_USER, GETMAIL_USER = 1, 2

# mbsync takes no message whose header has no end, such as the corpus has a few of.
MBSYNC_LEAVES = 0.002

# They do nothing but stream, and list.
FLOORS = ("barecopy", "barelist")


class TooSlow(Exception):
    """A program was not done within the limit."""


class Movers:
    """One set of figures for each target; the contestants are the programs."""

    def __init__(self, work, load, source, messages, mover, port, limit):
        self.work, self.load, self.source, self.messages = work, load, source, messages
        self.mover, self.port, self.limit = mover, port, limit
        self.old = self.new = self.proxy = None
        self.notes = []
        self.tools = ["MoveIMAPMail"] if mover else []
        if shutil.which("mbsync"):
            self.tools.append("mbsync")
        else:
            print("mbsync is not installed: its column is left out", flush=True)
        for tool in ("imapsync", "doveadm", "getmail"):
            if shutil.which(tool):
                self.tools.append(tool)
            else:
                print(f"{tool} is not installed: its column is left out", flush=True)
        self.tools += FLOORS
        self.figures, self.errors, self.number = [], [], 0

    def prepare(self):
        self.source.start()
        users = [SOURCE_USER] + [GETMAIL_USER] * ("getmail" in self.tools)
        for user in users:
            self.load("fill", *self.source.options(user), "--messages", self.messages,
                      "--mailboxes", 12)
        self.expected = dict.fromkeys(self.tools, count(self.source, SOURCE_USER))
        if GETMAIL_USER in users:
            without_unparsable(self.source, GETMAIL_USER)
            self.expected["getmail"] = count(self.source, GETMAIL_USER)
            left = self.expected["MoveIMAPMail" if self.mover else "barecopy"] - self.expected["getmail"]
            self.note(f"getmail gives up over messages that Python's email package cannot write again: "
                      f"it was given an account without them ({left} of {self.messages} left out)")

    def note(self, text):
        """Something to be said under the table, once."""
        if text not in self.notes:
            self.notes.append(text)
            print(text, flush=True)

    def begin(self, target, late_ms):
        """New figures: both servers stand here, or as far away as `late_ms` each way."""
        self.end()
        self.old, self.new = self.source.facts["imap"], target.facts["imap"]
        what = f"copy of {self.messages} messages from Dovecot into {target.name}"
        if late_ms:
            what += f", {2 * late_ms} ms round trip"
            pairs = [f"--pair={self.port}={self.old}", f"--pair={self.port + 1}={self.new}"]
            self.proxy = subprocess.Popen(
                [self.load.program, "load", "delay", "--ms", str(late_ms), *pairs],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            if self.proxy.stdout.readline().strip() != "ready":
                raise Failed("the proxy does not start")
            self.old, self.new = (f"127.0.0.1:{self.port + side}" for side in (0, 1))
        self.seconds = Figure("P11", what, "s", False, f"<= {1.0 if late_ms else 1.15} x barecopy")
        self.client = Figure("P11", what + ", the mover's CPU", "s", False,
                             f"<= {0.5 * self.messages / 20_000:.3g} s")
        self.again = Figure("P12", what + ", again with nothing to do", "s", False, "<= 0.15 s")
        self.lost = Figure("P12", what + ", again with its state lost", "s", False, "<= 1.5 x barelist")
        self.memory = Figure("P13", what + ", the mover's memory", "MiB", False, "<= 96 MiB")
        self.figures += [self.seconds, self.client, self.again, self.lost, self.memory]

    def tools_of(self, target):
        """The movers that can write into this target; getmail writes into none and runs with the Dovecot."""
        into_dovecot = target.name.startswith("dovecot")
        return [tool for tool in self.tools if into_dovecot or tool not in ("doveadm", "getmail")]

    def end(self):
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
            self.proxy = None

    def run(self, tool, target):
        """Copies into an account that no run has used, then again, and counts what is there."""
        if tool == "barelist":
            return self.run_barelist(target)
        self.number += 1
        user = target.fresh_user()
        state = os.path.join(self.work, f"state-{self.number}")
        os.makedirs(state)
        words = self.words(tool, target, user, state)
        before = cpu_of(target)
        there = (lambda: files(state)) if tool == "getmail" else (lambda: count(target, user))
        expected = self.expected[tool]
        try:
            seconds, client, memory = timed(words, state, self.limit)
        except TooSlow:
            far = there()
            self.seconds.over[tool] = self.limit
            self.note(f"{tool}, {self.seconds.text}: ended after {self.limit:.0f} s "
                      f"with {far} of {expected} messages there")
            raise
        server = (cpu_of(target) - before) / self.messages * 1e3
        came = there()
        missing = expected - came
        if missing and not (tool == "mbsync" and 0 < missing <= expected * MBSYNC_LEAVES):
            raise Failed(f"{tool} into {target.name}: {came} of {expected} messages are there")
        if missing:
            self.note(f"mbsync leaves out {missing} of {expected} messages")
        if tool == "MoveIMAPMail":
            self.moved_into = user
        self.seconds.add(tool, seconds)
        if tool != "getmail":
            self.seconds.cpu.setdefault(tool, []).append(server)
        self.client.add(tool, client)
        self.memory.add(tool, memory)
        if tool != "barecopy":
            self.once_more(self.again, tool, words, state)
            if tool == "MoveIMAPMail":
                os.remove(os.path.join(state, "journal"))
                # Not timed: whoever lists a mailbox first pays for what the server keeps of it from then on.
                timed(self.words("barelist", target, user, state), state, self.limit)
                self.once_more(self.lost, tool, words, state)
            if there() != came:
                raise Failed(f"{tool} into {target.name}: the second run changed the number")
        shutil.rmtree(state)

    def once_more(self, figure, tool, words, state):
        try:
            figure.add(tool, timed(words, state, self.limit)[0])
        except TooSlow:
            figure.over[tool] = self.limit
            self.note(f"{tool}, {figure.text}: ended after {self.limit:.0f} s")
            raise

    def run_barelist(self, target):
        """Lists the two accounts between which MoveIMAPMail has just copied."""
        user = getattr(self, "moved_into", None)
        if user is None:
            return
        state = os.path.join(self.work, "state-list")
        os.makedirs(state, exist_ok=True)
        self.lost.add("barelist", timed(self.words("barelist", target, user, state), state, self.limit)[0])

    def words(self, tool, target, user, state):
        old, new = ({**site.facts, "imap": at} for site, at in
                    ((self.source, self.old), (target, self.new)))
        source_user = GETMAIL_USER if tool == "getmail" else SOURCE_USER
        old_user, new_user = old["user"] % source_user, new["user"] % user
        if tool == "MoveIMAPMail":
            passwords = []
            for side, facts in (("old", old), ("new", new)):
                name = write(state, side, facts["password"] + "\n")
                passwords += [f"--{side}PasswordFile", name]
            return [*self.mover, *passwords, "--notls1", "--notls2", "--noACL", "--journal",
                    os.path.join(state, "journal"), old["imap"], old_user, "-", new["imap"], new_user, "-"]
        if tool == "mbsync":
            lines = []
            for name, facts, who in (("far", old, old_user), ("near", new, new_user)):
                host, port = facts["imap"].rsplit(":", 1)
                lines += [f"IMAPStore {name}", f"Host {host}", f"Port {port}", f"User {who}",
                          f"Pass {facts['password']}", "SSLType None", "AuthMechs LOGIN PLAIN", ""]
            lines += ["Channel all", "Far :far:", "Near :near:", "Patterns *", "Create Near",
                      "Sync Pull", "CopyArrivalDate yes", f"SyncState {state}/", ""]
            return ["mbsync", "-q", "-c", write(state, "mbsyncrc", "\n".join(lines)), "all"]
        if tool == "imapsync":
            (host, port), (host2, port2) = (facts["imap"].rsplit(":", 1) for facts in (old, new))
            return ["imapsync", "--host1", host, "--port1", port, "--user1", old_user, "--passfile1",
                    write(state, "old", old["password"]), "--host2", host2, "--port2", port2, "--user2", new_user,
                    "--passfile2", write(state, "new", new["password"]), "--nossl1", "--nossl2", "--notls1",
                    "--notls2", "--noreleasecheck", "--nolog", "--tmpdir", state,
                    "--pidfile", os.path.join(state, "pid")]
        if tool == "doveadm":
            host, port = old["imap"].rsplit(":", 1)
            remote = {"imapc_host": host, "imapc_port": port, "imapc_user": old_user,
                      "imapc_password": old["password"], "imapc_list_prefix": "",
                      "imapc_features": "rfc822.size fetch-headers", "mail_prefetch_count": "20"}
            options = [word for key, value in remote.items() for word in ("-o", f"{key}={value}")]
            conf = os.path.join(target.directory, "dovecot.conf")
            return ["doveadm", "-c", conf, *options, "backup", "-R", "-u", new_user, "imapc:"]
        if tool == "getmail":
            os.makedirs(os.path.join(state, "mail"), exist_ok=True)
            host, port = old["imap"].rsplit(":", 1)
            lines = ["[retriever]", "type = SimpleIMAPRetriever", f"server = {host}", f"port = {port}",
                     f"username = {old_user}", f"password = {old['password']}", "mailboxes = ALL",
                     # Its own delivery refuses to work for root.
                     "[destination]", "type = MDA_external", "path = /bin/sh", "allow_root_commands = true",
                     f"arguments = ('-c', 'cat > {state}/mail/$$')",
                     "[options]", "read_all = false", "delete = false", "delivered_to = false",
                     "received = false", "verbose = 0", ""]
            return ["getmail", "--getmaildir", state, "--rcfile",
                    write(state, "getmailrc", "\n".join(lines))]
        return [self.load.program, "load", tool, "--from", old["imap"], "--from-user", old_user,
                "--from-password", old["password"], "--to", new["imap"], "--to-user", new_user,
                "--to-password", new["password"]]


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def files(state):
    """Messages that getmail has fetched in a run."""
    return len(os.listdir(os.path.join(state, "mail")))


def timed(words, state, limit):
    """Wall seconds, CPU seconds and most memory (MiB) of a program; it is ended after `limit` seconds."""
    log = os.path.join(state, "log")
    with open(log, "ab") as out:
        began, memory, next_look = time.monotonic(), 0.0, 0.01
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 env={**os.environ, "HOME": state}, start_new_session=True)
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            seconds = time.monotonic() - began
            if pid:
                break
            if seconds > limit:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                raise TooSlow(os.path.basename(words[0]))
            # Not ru_maxrss: that has what this program had when it made the child.
            if seconds >= next_look:
                memory, next_look = max(memory, most_resident(child.pid)), seconds + 0.02
            time.sleep(0.002)
    code = os.waitstatus_to_exitcode(status)
    child.returncode = code
    if code:
        with open(log, encoding="utf-8", errors="replace") as said:
            raise Failed(f"{os.path.basename(words[0])}: exit code {code}: {said.read()[-300:]}")
    return seconds, used.ru_utime + used.ru_stime, memory


def most_resident(pid):
    """MiB that a process had at most so far."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def cpu_of(site):
    """CPU seconds of a server and all below it so far."""
    parents, times = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except (OSError, IndexError):
                continue
            parents.setdefault(fields[1], []).append(name)
            times[name] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    total, todo = 0.0, site.pids()
    while todo:
        pid = todo.pop()
        total += times.get(pid, 0.0)
        todo += parents.get(pid, [])
    return total


def count(site, user):
    """Messages in all mailboxes of an account."""
    with logged_in(site, user) as imap:
        total = 0
        for name in mailboxes(imap):
            kind, data = imap.status(name, "(MESSAGES)")
            if kind == "OK":
                total += int(data[-1].decode().rsplit("MESSAGES", 1)[1].strip(" )"))
        return total


def logged_in(site, user):
    host, port = site.facts["imap"].rsplit(":", 1)
    imap = imaplib.IMAP4(host, int(port), timeout=120)
    imap.login(site.facts["user"] % user, site.facts["password"])
    return imap


def mailboxes(imap):
    """The names of all that can be opened, as a command wants them."""
    for line in imap.list()[1]:
        if isinstance(line, tuple):     # a name sent as a literal
            name = '"' + line[1].decode().replace("\\", "\\\\").replace('"', '\\"') + '"'
            attributes = line[0].decode()
        elif isinstance(line, bytes) and line:
            attributes, rest = line.decode().split(")", 1)
            name = rest.split(" ", 2)[2]
        else:
            continue
        if "noselect" not in attributes.lower() and "nonexistent" not in attributes.lower():
            yield name


def without_unparsable(site, user):
    """Removes the messages that Python's email package can read but not write again: getmail writes with it."""
    with logged_in(site, user) as imap:
        for name in list(mailboxes(imap)):
            messages = int(imap.select(name)[1][0])
            unfit = []
            for first in range(1, messages + 1, 200):
                answer = imap.fetch(f"{first}:{min(first + 199, messages)}", "(BODY.PEEK[])")[1]
                for part in answer:
                    if isinstance(part, tuple) and not writable(part[1]):
                        unfit.append(part[0].split(b" ", 1)[0].decode())
            if unfit:
                imap.store(",".join(unfit), "+FLAGS.SILENT", "(\\Deleted)")
                imap.expunge()


def writable(octets):
    try:
        message = email.message_from_bytes(octets)
        message.as_bytes(policy=message.policy.clone(linesep="\n"))
        return True
    except Exception:       # whatever it is, getmail falls over it
        return False
