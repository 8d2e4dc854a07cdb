#!/usr/bin/env python3
"""Imports many accounts with hashes of ten schemes, logs in some of each scheme by POP and IMAP,
and tells what it cost: rows a second, the first login (with the upgrade to our own form) and the
second, memory of the server.

    python3 bench/import.py --ours target/release/angarium --dir /var/tmp --accounts 100000

Ends with 1 if a login failed, an account was missing, or a second import changed something."""

import argparse
import imaplib
import json
import os
import poplib
import subprocess
import sys
import tempfile
import time

# `secret`, as ten kinds of servers stored it, with cheap work factors.
SCHEMES = [
    "abNANd1rDfiNc",
    "$1$saltsalt$9xy1btjgzLYfb7hivXtC//",
    "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
    "$5$rounds=1000$saltstring$AH5PD0i.riCRu4BNDy9v7OPV7u3dfLBApcXI6khquVA",
    "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==",
    "{NS-MTA-MD5}df52ce3881015fdeaff84ddfc1b25fd80123456789abcdef0123456789abcdef",
    "{MSNT}878D8014606CDA29677A44EFA1353FC7",
    "{SSHA512}RohY1U1Wo4dsGt6wd/84+lodxbb0BYLdUL51TMm/2y/xWL3FLEot7DliNC0l+93SxkbikQVZsUl2QlC/oo0xqzAxMjM0NTY3",
    "{PBKDF2-SHA256}10000$MDEyMzQ1Njc4OWFiY2RlZg$6umsHhz0yhb.YIJ/FUgCrsOB.tK.gGdB.tvI2KPIHns",
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", default="target/release/angarium")
    parser.add_argument("--dir", default="/var/tmp")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--logins", type=int, default=10, help="of each scheme, by each protocol")
    parser.add_argument("--port-offset", type=int, default=21_000)
    return parser.parse_args()


class Server:
    def __init__(self, options, directory):
        self.ours, self.base = options.ours, os.path.join(directory, "base")
        self.offset = options.port_offset
        password = os.path.join(directory, "password")
        with open(password, "w", encoding="utf-8") as file:
            file.write("quite-secret\n")
        self.process = subprocess.Popen(
            [self.ours, "serve", "--base", self.base, "--bind", "127.0.0.1",
             "--main-domain", "many.example", "--port-offset", str(self.offset),
             "--postmaster-password-file", password],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("ready"):
                return
        sys.exit("the server does not start")

    def run(self, *words):
        done = subprocess.run([self.ours, *words, "--base", self.base], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return {line.split(":")[0]: int(line.split()[1]) for line in file
                    if line.startswith(("VmRSS", "VmHWM"))}

    def pop(self, name):
        begun = time.monotonic()
        session = poplib.POP3("127.0.0.1", 110 + self.offset, timeout=60)
        session.user(name)
        session.pass_("secret")
        took = time.monotonic() - begun
        session.quit()
        return took

    def imap(self, name):
        begun = time.monotonic()
        session = imaplib.IMAP4("127.0.0.1", 143 + self.offset, timeout=60)
        session.login(name, "secret")
        took = time.monotonic() - begun
        session.logout()
        return took


def median(values):
    return 1000 * sorted(values)[len(values) // 2]


def measure(options, server, directory):
    path = os.path.join(directory, "list.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("Name\tUnixPassword\tRealName\tMaxAccountSize\tAliases\n")
        for n in range(options.accounts):
            scheme = SCHEMES[n % len(SCHEMES)]
            file.write(f"user{n}\t{scheme}\tUser Number {n}\t31M\tu{n}\n")
    print(f"memory before: {server.memory()} KiB")
    good = True
    for what, words, expected in [
        ("dry run", ["--dry-run"], f"{options.accounts} accounts can be made, 0 lines failed"),
        ("import", [], f"{options.accounts} accounts made, 0 lines failed"),
        ("again", [], f"0 accounts made, {options.accounts} there already, 0 lines failed"),
    ]:
        begun = time.monotonic()
        code, out = server.run("import", path, *words)
        took = time.monotonic() - begun
        print(f"{what}: {took:.1f} s, {options.accounts / took:.0f} rows/s; {out.strip()}")
        good &= code == 0 and out.strip() == expected
    print(f"memory after: {server.memory()} KiB")
    print("scheme: first login by POP, by IMAP (with the upgrade), second by IMAP; median ms")
    for at, scheme in enumerate(SCHEMES):
        names = [f"user{at + len(SCHEMES) * n}" for n in range(2 * options.logins)]
        try:
            pop = [server.pop(name) for name in names[::2]]
            imap = [server.imap(name) for name in names[1::2]]
            again = [server.imap(name) for name in names[::2]]
            print(f"  {scheme[:16]:16} {median(pop):8.1f} {median(imap):8.1f} {median(again):8.1f}")
        except (poplib.error_proto, imaplib.IMAP4.error) as error:
            print(f"  {scheme[:16]:16} FAILED: {error}")
            good = False
    begun = time.monotonic()
    _, out = server.run("passwords", "many.example", "--json")
    print(f"passwords: {time.monotonic() - begun:.2f} s")
    forms = json.loads(out)["domains"]["many.example"]
    print(f"  {forms}")
    upgraded = 2 * options.logins * len(SCHEMES)
    good &= int(forms["Own"]) == upgraded + 1
    good &= int(forms["Waiting"]) == options.accounts - upgraded
    return good


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        server = Server(options, directory)
        try:
            good = measure(options, server, directory)
        finally:
            server.process.terminate()
            server.process.wait(60)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
