#!/usr/bin/env python3
"""Measures Angarium and its peers side by side on this machine: one table, and JSON on demand.

    python3 bench/run.py --dir /var/tmp/bench [--rows P1,P2,P3,P9,P11] [--json OUT.json]

README.md says what the rows mean. Python's standard library is all it needs.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True      # a measurement leaves nothing beside the sources

from imap_rows import imap_rows
from movers import FLOORS, Movers, TooSlow
from rows import Failed, Load, all_rows
from sites import ACCOUNTS, HERE, CannotStart, Site, file_system

ROOT = os.path.dirname(HERE)
OURS = "angarium"
MEMORY = ("tmpfs", "ramfs", "devtmpfs")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--dir", required=True, help="a directory on a real disk; nothing in it is touched "
                        "but a new directory, removed in the end")
    parser.add_argument("--rows", default="P1,P2,P3,P9,P11")
    parser.add_argument("--rounds", type=int, default=3, help="in each round every server runs once")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the messages of P1, P2 and P9, the connections of P8")
    parser.add_argument("--messages", type=int, default=20_000, help="messages of P3 to P11; P5 has five times as many")
    parser.add_argument("--late-ms", type=int, default=10, help="P11 once more with servers as far away as this "
                        "each way; 0 leaves that out")
    parser.add_argument("--limit", type=float, default=600, help="seconds that a mover of P11 may take; "
                        "who takes longer is named, with how far it came")
    parser.add_argument("--peers", default="dovecot-sdbox,dovecot-maildir,postfix+dovecot-sdbox,cyrus")
    parser.add_argument("--ours", default=os.path.join(ROOT, "target/release/angarium"))
    parser.add_argument("--mover", help="MoveIMAPMail (default: beside --ours, else its command move-imap-mail)")
    parser.add_argument("--xtask", default=os.path.join(ROOT, "target/release/angarium-xtask"))
    parser.add_argument("--cyrus-root", default=os.environ.get("CYRUS_ROOT", ""))
    parser.add_argument("--port", type=int, default=16_000, help="first of 1,200 ports used")
    parser.add_argument("--json", help="write everything that was seen to this file")
    parser.add_argument("--keep", action="store_true", help="leave the directory in place")
    return parser.parse_args()


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.log, self.errors, self.left_out, self.notes = [], [], [], []
        self.load = Load(options.xtask, self.log)
        self.sites, self.figures, self.disk = [], [], []
        port, wanted = options.port, options.peers.split(",")
        dovecot = {name: Site(name, work, "dovecot", port + 10 * place, [f"format={name.split('-')[1]}"])
                   for place, name in enumerate(("dovecot-sdbox", "dovecot-maildir"))}
        cyrus = Site("cyrus", work, "cyrus", port + 20, [f"accounts={ACCOUNTS}"], {"CYRUS_ROOT": options.cyrus_root})
        self.ours = Site(OURS, work, "angarium", port + 100, [f"accounts={ACCOUNTS}"], {"ANGARIUM": options.ours})
        behind = [Site("postfix+" + name, work, "postfix", port + 30 + place, behind=site)
                  for place, (name, site) in enumerate(dovecot.items())]
        self.source = Site("source", work, "dovecot", port + 40)
        self.target = Site("dovecot-target", work, "dovecot", port + 50)
        self.sites = [self.ours] + [s for s in [*dovecot.values(), *behind, cyrus] if s.name in wanted]
        # Behind comes in front when all are stopped.
        self.every = [self.ours, *behind, *dovecot.values(), cyrus, self.source, self.target]

    def started(self, sites):
        """Those of them that start; the others are named aloud and left out."""
        running = []
        for site in sites:
            try:
                site.start()
                running.append(site)
            except (CannotStart, OSError) as error:
                self.left_out.append(f"{site.name} is left out: {error}")
                print("!! " + self.left_out[-1], flush=True)
                if site in self.sites:
                    self.sites.remove(site)
        return running

    def fail(self, text):
        self.errors.append(text)
        print("!! " + text, flush=True)

    def probe(self, figures=()):
        took = self.load("disk", "--dir", self.work)["each"]["p50_ms"]
        self.disk.append(took)
        for figure in figures:
            figure.disk.append(took)

    def run_row(self, row):
        contestants = [site for site in self.started(list(self.sites)) if row.fits(site)]
        if not contestants:
            return
        title = row.figures[0].text
        print(f"-- {row.figures[0].row} {title}", flush=True)
        if hasattr(row, "prepare"):
            for site in list(contestants):
                self.guarded(contestants, site, title, row.prepare)
        for _ in range(self.options.rounds):
            self.probe(row.figures)
            for site in list(contestants):
                self.guarded(contestants, site, title, row.run)
        self.figures += row.figures

    def guarded(self, contestants, site, title, step):
        try:
            step(self.load, site)
        except (Failed, OSError, CannotStart, KeyError) as error:
            self.fail(f"{title}: {site.name}: {error}")
            contestants.remove(site)

    def run_movers(self):
        options = self.options
        mover = None
        if os.access(options.ours, os.X_OK):
            beside = os.path.join(os.path.dirname(options.ours), "MoveIMAPMail")
            mover = [options.mover] if options.mover else \
                [beside] if os.access(beside, os.X_OK) else [options.ours, "move-imap-mail"]
        movers = Movers(self.work, self.load, self.source, options.messages, mover, options.port + 60,
                        options.limit)
        if not self.started([self.source]):
            return
        movers.prepare()
        try:
            for late in [0, options.late_ms] if options.late_ms else [0]:
                for target in self.started([self.target, self.ours]):
                    movers.begin(target, late)
                    self.rounds_of_movers(movers, target)
        finally:
            movers.end()
            self.figures += movers.figures
            self.notes += movers.notes

    def rounds_of_movers(self, movers, target):
        tools = movers.tools_of(target)
        print(f"-- {movers.seconds.row} {movers.seconds.text}", flush=True)
        for _ in range(self.options.rounds):
            self.probe(movers.figures[-5:])
            for tool in list(tools):
                try:
                    movers.run(tool, target)
                except TooSlow:
                    tools.remove(tool)
                except (Failed, OSError, CannotStart) as error:
                    self.fail(f"{movers.seconds.text}: {tool}: {error}")
                    tools.remove(tool)

    def stop(self):
        for site in self.every:
            site.stop()


def median(numbers):
    return statistics.median(numbers) if numbers else None


def shown(number):
    return "-" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def summary(figure):
    """What a line of the table says: medians, the best peer, and ours divided by it."""
    mine = "MoveIMAPMail" if figure.row in ("P11", "P12", "P13") else OURS
    medians = {name: median(runs) for name, runs in figure.runs.items()}
    # A bare copy is a floor, not a peer.
    peers = {name: number for name, number in medians.items() if name != mine and name not in FLOORS}
    best = (max if figure.more_is_better else min)(peers, key=peers.get) if peers else None
    line = {"row": figure.row, "text": figure.text, "unit": figure.unit, "goal": figure.goal,
            "ours": medians.get(mine), "medians": medians, "over": figure.over, "best_peer": best, "runs": figure.runs,
            "cpu_ms_each": {name: median(runs) for name, runs in figure.cpu.items()},
            "disk_ms": median(figure.disk),
            "others": {name: median(runs) for name, runs in figure.others.items()}}
    ours = line["ours"]
    line["ratio"] = ours / peers[best] if ours and best and peers[best] else None
    cpu = line["cpu_ms_each"]
    line["cpu_ratio"] = cpu[mine] / cpu[best] if cpu.get(mine) and cpu.get(best) else None
    floor = next((medians[name] for name in FLOORS if medians.get(name)), None)
    line["floor_ratio"] = ours / floor if ours and floor else None
    return line


def print_table(lines):
    heads = ["row", "what", "unit", "ours", "peers (median)", "ours/best", "CPU ms each", "CPU ratio", "goal",
             "disk ms", "others %"]
    table = [heads]
    for line in lines:
        mine = {OURS, "MoveIMAPMail"}
        numbers = [f"{name} {shown(n)}" for name, n in line["medians"].items() if name not in mine]
        numbers += [f"{name} > {shown(n)}" for name, n in line["over"].items() if name not in line["medians"]]
        peers = ", ".join(numbers)
        cpu = ", ".join(f"{name} {shown(n)}" for name, n in line["cpu_ms_each"].items())
        ratio = shown(line["ratio"])
        if line["floor_ratio"]:
            ratio += f" (floor x {shown(line['floor_ratio'])})"
        table.append([line["row"], line["text"], line["unit"], shown(line["ours"]), peers or "-", ratio,
                      cpu or "-", shown(line["cpu_ratio"]), line["goal"] or "-", shown(line["disk_ms"]),
                      shown(100 * max(line["others"].values())) if line["others"] else "-"])
    widths = [max(len(cells[column]) for cells in table) for column in range(len(heads))]
    for number, cells in enumerate(table):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def main():
    options = arguments()
    if not os.access(options.xtask, os.X_OK):
        sys.exit(f"no {options.xtask}: cargo build --release -p angarium-xtask, or --xtask")
    os.makedirs(options.dir, exist_ok=True)
    kind = file_system(options.dir)
    if kind in MEMORY:
        sys.exit(f"{options.dir} is in memory ({kind}): durable figures want a real disk")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = tempfile.mkdtemp(prefix="bench-", dir=options.dir)
    os.chmod(work, 0o755)
    bench = Bench(options, work)
    wanted = [row.strip().upper() for row in options.rows.split(",")]
    began = time.time()
    try:
        bench.probe()
        sizes = options.scale, options.messages
        for row in [*all_rows(wanted, *sizes), *imap_rows(wanted, *sizes)]:
            bench.run_row(row)
        if "P11" in wanted:
            try:
                bench.run_movers()
            except (Failed, OSError) as error:
                bench.fail(f"P11: {error}")
    finally:
        bench.stop()
        if options.keep:
            print(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    lines = [summary(figure) for figure in bench.figures if figure.runs]
    print()
    print_table(lines)
    print(f"\n{options.rounds} rounds, {time.time() - began:.0f} s; the disk makes 4 KiB durable in "
          f"{median(bench.disk):.2f} ms (from {min(bench.disk):.2f} to {max(bench.disk):.2f}); {kind}; "
          f"load of the machine at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for note in bench.notes:
        print("* " + note)
    for error in bench.left_out + bench.errors:
        print("!! " + error)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump({"machine": {"system": platform.platform(), "processors": os.cpu_count(),
                                   "file_system": kind, "load": os.getloadavg()},
                       "options": {"rounds": options.rounds, "scale": options.scale,
                                   "messages": options.messages, "rows": wanted},
                       "disk_ms": bench.disk, "lines": lines, "errors": bench.errors,
                       "left_out": bench.left_out, "notes": bench.notes,
                       "calls": bench.log}, out, indent=1)
    return 1 if bench.errors else 0


if __name__ == "__main__":
    sys.exit(main())
