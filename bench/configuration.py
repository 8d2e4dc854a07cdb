#!/usr/bin/env python3
"""Exports the configuration of a server with many accounts, applies it to an empty one, and tells what
each step cost.

    python3 bench/configuration.py --ours target/release/angarium --dir /var/tmp --accounts 100000

Ends with 1 if an account was missing, if the second server exports another text, or if applying again
changes something."""

import argparse
import importlib
import os
import sys
import tempfile
import time

users = importlib.import_module("import")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", default="target/release/angarium")
    parser.add_argument("--dir", default="/var/tmp")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--port-offset", type=int, default=21_000)
    return parser.parse_args()


def step(server, what, count, *words):
    begun = time.monotonic()
    code, out = server.run(*words)
    took = time.monotonic() - begun
    last = out.strip().splitlines()[-1] if out.strip() else ""
    print(f"{what}: {took:.1f} s, {count / took:.0f} accounts/s; {last}", flush=True)
    return code, last


def measure(options, first, second, directory):
    path = os.path.join(directory, "list.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("Name\tUnixPassword\tRealName\tMaxAccountSize\tAliases\n")
        for n in range(options.accounts):
            scheme = users.SCHEMES[n % len(users.SCHEMES)]
            file.write(f"user{n}\t{scheme}\tUser Number {n}\t31M\tu{n}\n")
    count = options.accounts
    good = step(first, "import", count, "import", path)[0] == 0
    file, other = (os.path.join(directory, name) for name in ("first.conf", "second.conf"))
    good &= step(first, "export", count, "config", "export", file, "--with-passwords")[0] == 0
    print(f"the text has {os.path.getsize(file) / 1e6:.1f} MB")
    code, last = step(second, "diff", count, "config", "diff", file)
    good &= code == 4 and f"{count} to be made" in last
    code, last = step(second, "apply", count, "config", "apply", "--yes", file)
    good &= code == 0 and f"{count} made" in last
    code, last = step(second, "apply again", count, "config", "apply", "--yes", file)
    good &= code == 0 and "0 made, 0 changed" in last
    code, last = step(second, "diff --remove", count, "config", "diff", "--remove", file)
    good &= code == 0 and "0 to be made, 0 to be changed" in last
    good &= step(second, "export", count, "config", "export", other, "--with-passwords")[0] == 0
    with open(file, "rb") as one, open(other, "rb") as two:
        good &= one.read() == two.read()
    print(f"memory: {first.memory()} and {second.memory()} KiB")
    return good


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.dir) as directory:
        servers = []
        try:
            for name in ("first", "second"):
                place = os.path.join(directory, name)
                os.mkdir(place)
                servers.append(users.Server(options, place))
                options.port_offset += 1_200
            good = measure(options, *servers, directory)
        finally:
            for server in servers:
                server.process.terminate()
                server.process.wait(20)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
