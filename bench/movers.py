"""P11: all mailboxes of an account copied from a Dovecot, by each mover, into a Dovecot and into
Angarium. The floor is `cargo xtask load barecopy`, which does nothing but stream. doveadm writes into the
Dovecot's files and getmail into a maildir: they have no second server to wait for."""

import imaplib
import os
import shutil
import subprocess
import time

from rows import Failed, Figure

SOURCE_USER = 1


# mbsync takes no message whose header has no end, such as the corpus has a few of.
MBSYNC_LEAVES = 0.002


class Movers:
    """One set of figures for each target; the contestants are the programs."""

    def __init__(self, work, load, source, messages, mover, port):
        self.work, self.load, self.source, self.messages = work, load, source, messages
        self.mover, self.port = mover, port
        self.old = self.new = self.proxy = None
        self.tools = ["MoveIMAPMail"] if mover else []
        if shutil.which("mbsync"):
            self.tools.append("mbsync")
        else:
            print("mbsync is not installed: its column is left out", flush=True)
        for tool in ("doveadm", "getmail"):
            if shutil.which(tool):
                self.tools.append(tool)
            else:
                print(f"{tool} is not installed: its column is left out", flush=True)
        self.tools.append("barecopy")
        self.figures, self.errors, self.number = [], [], 0

    def prepare(self):
        self.source.start()
        self.load("fill", *self.source.options(SOURCE_USER), "--messages", self.messages,
                  "--mailboxes", 12)
        self.expected = count(self.source, SOURCE_USER)

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
        self.client = Figure("P11", what + ", the mover's CPU", "s", False)
        self.again = Figure("P12", what + ", again with nothing to do", "s", False)
        self.lost = Figure("P12", what + ", again with its state lost", "s", False)
        self.memory = Figure("P13", what + ", the mover's memory", "MiB", False)
        self.figures += [self.seconds, self.client, self.again, self.lost, self.memory]

    def tools_of(self, target):
        """The movers that can write into this target."""
        into_dovecot = target.name.startswith("dovecot")
        return [tool for tool in self.tools if tool != "doveadm" or into_dovecot]

    def end(self):
        if self.proxy:
            self.proxy.kill()
            self.proxy.wait()
            self.proxy = None

    def run(self, tool, target):
        """Copies into an account that no run has used, then again, and counts what is there."""
        self.number += 1
        user = target.fresh_user()
        state = os.path.join(self.work, f"state-{self.number}")
        os.makedirs(state)
        words = self.words(tool, target, user, state)
        before = cpu_of(target)
        seconds, client, memory = timed(words, state)
        server = (cpu_of(target) - before) / self.messages * 1e3
        there = files(state) if tool == "getmail" else count(target, user)
        missing = self.expected - there
        if missing and not (tool == "mbsync" and 0 < missing <= self.expected * MBSYNC_LEAVES):
            raise Failed(f"{tool} into {target.name}: {there} of {self.expected} messages are there")
        if missing:
            print(f"mbsync left out {missing} of {self.expected} messages", flush=True)
        self.seconds.add(tool, seconds)
        self.seconds.cpu.setdefault(tool, []).append(server)
        self.client.add(tool, client)
        self.memory.add(tool, memory)
        if tool != "barecopy":
            seconds, _, _ = timed(words, state)
            self.again.add(tool, seconds)
            if tool == "MoveIMAPMail":
                os.remove(os.path.join(state, "journal"))
                seconds, _, _ = timed(words, state)
                self.lost.add(tool, seconds)
            now = files(state) if tool == "getmail" else count(target, user)
            if now != there:
                raise Failed(f"{tool} into {target.name}: the second run changed the number")
        shutil.rmtree(state)

    def words(self, tool, target, user, state):
        old, new = ({**site.facts, "imap": at} for site, at in
                    ((self.source, self.old), (target, self.new)))
        old_user, new_user = old["user"] % SOURCE_USER, new["user"] % user
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
        return [self.load.program, "load", "barecopy", "--from", old["imap"], "--from-user", old_user,
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


def timed(words, state, limit=3600):
    """Wall seconds, CPU seconds and most memory (MiB) of a program."""
    log = os.path.join(state, "log")
    with open(log, "ab") as out:
        began, memory, next_look = time.monotonic(), 0.0, 0.01
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 env={**os.environ, "HOME": state})
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            seconds = time.monotonic() - began
            if pid:
                break
            if seconds > limit:
                child.kill()
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
    host, port = site.facts["imap"].rsplit(":", 1)
    with imaplib.IMAP4(host, int(port), timeout=120) as imap:
        imap.login(site.facts["user"] % user, site.facts["password"])
        total = 0
        for line in imap.list()[1]:
            if isinstance(line, tuple):     # a name sent as a literal
                name = '"' + line[1].decode().replace("\\", "\\\\").replace('"', '\\"') + '"'
                attributes = line[0].decode()
            elif isinstance(line, bytes) and line:
                attributes, rest = line.decode().split(")", 1)
                name = rest.split(" ", 2)[2]
            else:
                continue
            if "noselect" in attributes.lower() or "nonexistent" in attributes.lower():
                continue
            kind, data = imap.status(name, "(MESSAGES)")
            if kind == "OK":
                total += int(data[-1].decode().rsplit("MESSAGES", 1)[1].strip(" )"))
        return total
