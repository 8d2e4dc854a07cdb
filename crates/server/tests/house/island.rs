//! A network of its own for a test with several hosts: the test runs itself once more in namespaces
//! of the kernel, where nothing leads outside, every port is free, files of the system can be
//! covered, and whatever it started ends with it.

#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;
use std::process::{Command, Stdio};

/// What the island's hosts are connected by.
const WIRE: &str = "wire";
/// Tells the second run that it is one.
const MARK: &str = "ANGARIUM_TEST_ISLAND";

/// True inside. Outside, the test of this name is run inside and must succeed there, and the answer
/// is false; where the kernel or the user does not allow it, that is said aloud.
pub(crate) fn island(test: &str) -> bool {
    if std::env::var_os(MARK).is_some() {
        run("mount", &["-t", "tmpfs", "tmpfs", "/run"]);
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", WIRE, "type", "bridge"]);
        run("ip", &["address", "add", "192.0.2.254/24", "dev", WIRE]);
        run("ip", &["link", "set", WIRE, "up"]);
        return true;
    }
    if !super::installed("unshare") || !super::installed("setpriv") || !super::installed("ip") {
        return false;
    }
    // The number of the process and the mounts are own, too: what is left over dies with it.
    let apart = ["-n", "-m", "-p", "-f", "--kill-child", "--mount-proc"];
    let allowed = Command::new("unshare")
        .args(apart)
        .arg("true")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !allowed {
        println!("skipped: a network of its own takes root and namespaces");
        eprintln!("skipped: a network of its own takes root and namespaces");
        return false;
    }
    // A host that waits for ever must not make the whole run wait.
    let out = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "timeout", "-k", "5", "600"])
        .args(["setpriv", "--pdeathsig", "KILL", "unshare"])
        .args(apart)
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    print!("{said}");
    eprint!("{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{test} failed in its network");
    assert!(said.contains("1 passed"), "there is no test {test}");
    false
}

/// A host with a network address of its own in 192.0.2.0/24: the words that go in front of a command
/// so that it runs there. Servers that ask which addresses are theirs need one; for others an
/// [`address`] will do.
pub(crate) fn host(ip: &str) -> Vec<String> {
    let number = ip.rsplit('.').next().unwrap();
    let (name, cable) = (format!("host{number}"), format!("cable{number}"));
    run("ip", &["netns", "add", &name]);
    let ends = ["type", "veth", "peer", "name", "eth0", "netns", &name];
    run("ip", &[&["link", "add", &cable], ends.as_slice()].concat());
    run("ip", &["link", "set", &cable, "master", WIRE, "up"]);
    run("ip", &["-n", &name, "address", "add", &format!("{ip}/24"), "dev", "eth0"]);
    run("ip", &["-n", &name, "link", "set", "eth0", "up"]);
    run("ip", &["-n", &name, "link", "set", "lo", "up"]);
    vec!["nsenter".to_owned(), format!("--net=/run/netns/{name}")]
}

/// Gives the island an address.
pub(crate) fn address(ip: &str) {
    run("ip", &["address", "add", &format!("{ip}/32"), "dev", "lo"]);
}

/// Puts a file in the place of one of the system's, for this test alone.
pub(crate) fn cover(system: &str, with: &Path) {
    run("mount", &["--bind", with.to_str().unwrap(), system]);
}

/// Runs a program that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}
