//! What a server's processes used, read from `/proc`: CPU seconds and memory of the given
//! processes and of everything below them, and how busy the machine was with other work.
//!
//! It must never disturb them: nothing is read while the clock runs.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use serde::Serialize;

/// Ticks a second of the times in `/proc`; Linux gives them in hundredths everywhere.
const TICKS: f64 = 100.0;

/// Most processes that are looked at below one.
const PROCESSES_MAX: usize = 10_000;

/// What a piece of work cost the server.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cost {
    /// Wall seconds between start and end.
    pub(crate) seconds: f64,
    /// CPU seconds of the server's processes, in steps of 0.01 for each process.
    pub(crate) server_cpu_seconds: f64,
    /// CPU seconds of this program.
    pub(crate) client_cpu_seconds: f64,
    /// The share of the machine, 0 to 1, that neither of the two used: how disturbed the run was.
    pub(crate) others: f64,
    /// Octets resident at most, added up over the server's processes; what they share counts for
    /// each of them.
    pub(crate) server_peak_resident: u64,
    /// Octets resident at the end, what processes share divided among them.
    pub(crate) server_proportional: u64,
    /// How many processes the server has.
    pub(crate) server_processes: usize,
}

/// Times at a moment: the server's, this program's, and the machine's busy and whole ones.
#[derive(Clone, Copy, Debug)]
struct Reading {
    server: f64,
    client: f64,
    busy: f64,
    whole: f64,
}

/// Counts from its start on.
#[derive(Debug)]
pub(crate) struct Meter {
    roots: Vec<u32>,
    start: Reading,
    began: Instant,
}

impl Meter {
    /// Starts counting for these processes and all below them.
    pub(crate) fn start(roots: &[u32]) -> Meter {
        for pid in tree(roots) {
            // Begins the highest resident size anew; without the right to, it stays that of the
            // process's whole life.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
        Meter { roots: roots.to_vec(), start: reading(roots), began: Instant::now() }
    }

    /// As [`Meter::start`] for short work, of which only the CPU time is wanted.
    pub(crate) fn quick(roots: &[u32]) -> Meter {
        Meter { roots: roots.to_vec(), start: reading(roots), began: Instant::now() }
    }

    /// CPU seconds of the server's processes since.
    pub(crate) fn server_cpu_seconds(&self) -> f64 {
        reading(&self.roots).server - self.start.server
    }

    /// What was used since.
    pub(crate) fn cost(&self) -> Cost {
        let seconds = self.began.elapsed().as_secs_f64();
        let now = reading(&self.roots);
        let pids = tree(&self.roots);
        let server = now.server - self.start.server;
        let client = now.client - self.start.client;
        let whole = now.whole - self.start.whole;
        let rest = (now.busy - self.start.busy) - server - client;
        Cost {
            seconds,
            server_cpu_seconds: server,
            client_cpu_seconds: client,
            others: if whole > 0.0 { (rest / whole).clamp(0.0, 1.0) } else { 0.0 },
            server_peak_resident: pids.iter().map(|pid| kib(*pid, "status", "VmHWM:")).sum(),
            server_proportional: pids.iter().map(|pid| kib(*pid, "smaps_rollup", "Pss:")).sum(),
            server_processes: pids.len(),
        }
    }
}

/// Octets that the kernel keeps for processes and connections: both ends of those that stay on
/// this machine.
pub(crate) fn kernel_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let wanted = ["Slab:", "PageTables:", "KernelStack:"];
    let number = |line: &str| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok();
    let lines = text.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    lines.filter_map(number).sum::<u64>() * 1024
}

fn reading(roots: &[u32]) -> Reading {
    let (busy, whole) = machine();
    Reading {
        server: tree(roots).iter().map(|pid| cpu(&pid.to_string(), true)).sum(),
        client: cpu("self", false),
        busy,
        whole,
    }
}

/// The fields of `stat` after the process's name, which may have blanks itself.
fn stat(pid: &str) -> Vec<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    // The state is a letter; it counts as 0 to keep the places.
    rest.split_ascii_whitespace().map(|field| field.parse().unwrap_or(0)).collect()
}

/// CPU seconds of a process, on demand with those of its children that have ended.
fn cpu(pid: &str, with_children: bool) -> f64 {
    // Of proc_pid_stat(5), fields 14 to 17: utime, stime, cutime, cstime.
    let fields = stat(pid);
    let many = if with_children { 4 } else { 2 };
    fields.iter().skip(11).take(many).sum::<u64>() as f64 / TICKS
}

/// The processes given and all below them.
fn tree(roots: &[u32]) -> Vec<u32> {
    if roots.is_empty() {
        return Vec::new();
    }
    let mut below: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        if let Some(parent) = stat(&pid.to_string()).get(1) {
            below.entry(u32::try_from(*parent).unwrap_or(0)).or_default().push(pid);
        }
    }
    let mut found: Vec<u32> = Vec::new();
    let mut next: Vec<u32> = roots.to_vec();
    while let Some(pid) = next.pop() {
        if found.len() < PROCESSES_MAX && !found.contains(&pid) {
            found.push(pid);
            next.extend(below.get(&pid).into_iter().flatten());
        }
    }
    found
}

/// Busy and whole CPU seconds of the machine.
fn machine() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let times: Vec<u64> =
        line.split_ascii_whitespace().skip(1).take(8).map(|t| t.parse().unwrap_or(0)).collect();
    let whole: u64 = times.iter().sum();
    // Fourth and fifth: idle, and waiting for a disk.
    let idle: u64 = times.iter().skip(3).take(2).sum();
    ((whole - idle) as f64 / TICKS, whole as f64 / TICKS)
}

/// A number given in KiB by a file of a process, in octets.
fn kib(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_seen_to_work() {
        let meter = Meter::start(&[std::process::id()]);
        let began = Instant::now();
        let mut sum = 0u64;
        while began.elapsed().as_millis() < 120 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let cost = meter.cost();
        assert!(cost.client_cpu_seconds > 0.0 && cost.server_cpu_seconds > 0.0, "{cost:?}");
        assert!(cost.server_peak_resident > 100_000 && cost.server_processes >= 1, "{cost:?}");
    }

    #[test]
    fn without_a_process_nothing_is_counted_for_the_server() {
        let cost = Meter::start(&[]).cost();
        assert_eq!((cost.server_cpu_seconds, cost.server_processes), (0.0, 0));
    }
}
