//! Helper programs as processes: such as answer in any order, die, hang, flood and talk nonsense.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use angarium_helper_programs::process::{HelperError, HelperOptions, HelperProcess};
use tempfile::TempDir;

fn room() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A file that can be run.
fn program(at: &Path, name: &str, text: &str) -> PathBuf {
    let path = at.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn helper(base: &TempDir, text: &str, limit: u64, restart: bool) -> HelperProcess {
    HelperProcess::new(options(base, text, limit, restart))
}

fn options(base: &TempDir, text: &str, limit: u64, restart: bool) -> HelperOptions {
    HelperOptions {
        tag: "HELPER(test)".to_owned(),
        program: program(base.path(), "helper.py", &format!("#!/usr/bin/env python3\n{text}")),
        arguments: Vec::new(),
        directory: base.path().to_owned(),
        time_limit: Duration::from_secs(limit),
        restart: restart.then(|| Duration::from_millis(50)),
        eager: false,
        bare: false,
    }
}

/// What every helper of these tests begins with.
const LINES: &str = "import sys, os, time\n\
def say(text):\n  sys.stdout.write(text + '\\n'); sys.stdout.flush()\n\
def lines():\n  for line in iter(sys.stdin.readline, ''):\n    yield line.rstrip('\\n').split(' ')\n";

#[tokio::test]
async fn responses_come_in_any_order_between_lines_of_information() {
    let base = room();
    let text = format!(
        "{LINES}held = []\nfor words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 1'); continue\n  held.append(words)\n  say('* ' + words[2])\n  if len(held) == 3:\n    for w in reversed(held): say(w[0] + ' OK ' + w[2])\n    say('999999 OK nobody asked')\n    held = []\n"
    );
    let helper = Arc::new(helper(&base, &text, 30, true));
    let asked: Vec<_> = ["one", "two", "three"]
        .map(|word| {
            let helper = helper.clone();
            tokio::spawn(async move { helper.request(&format!("FILE {word}")).await })
        })
        .into_iter()
        .collect();
    let mut answers = Vec::new();
    for task in asked {
        answers.push(task.await.unwrap().unwrap());
    }
    assert_eq!(answers, ["OK one", "OK two", "OK three"]);
    assert_eq!(helper.request("two\nlines").await, Err(HelperError::NoLine));
    assert_eq!(helper.starts(), 1);
}

#[tokio::test]
async fn a_helper_that_dies_is_started_again_and_asked_again() {
    let base = room();
    let text = format!(
        "{LINES}mark = 'died'\nfor words in lines():\n  if words[1] == 'INTF': say(words[0] + ' OK'); continue\n  if not os.path.exists(mark):\n    open(mark, 'w').close(); sys.stderr.write('oh no\\n'); os._exit(3)\n  say(words[0] + ' OK again')\n"
    );
    let first = helper(&base, &text, 30, true);
    assert_eq!(first.request("FILE x").await.as_deref(), Ok("OK again"));
    assert_eq!(first.starts(), 2);
    std::fs::remove_file(base.path().join("died")).unwrap();
    let once = helper(&base, &text, 30, false);
    assert_eq!(once.request("FILE x").await, Err(HelperError::Ended));
    assert_eq!(once.request("FILE x").await, Err(HelperError::Ended));
    // One that dies at every request is not asked for ever.
    let always = helper(
        &base,
        &format!(
            "{LINES}for words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3')\n  else: os._exit(1)\n"
        ),
        30,
        true,
    );
    assert_eq!(always.request("FILE x").await, Err(HelperError::Ended));
    assert_eq!(always.starts(), 3);
}

#[tokio::test]
async fn a_helper_that_hangs_floods_or_talks_nonsense_is_stopped() {
    let base = room();
    let mute = helper(
        &base,
        &format!(
            "{LINES}for words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3')\n"
        ),
        1,
        true,
    );
    assert_eq!(mute.request("FILE x").await, Err(HelperError::TimedOut));
    let deaf = helper(&base, "import time\ntime.sleep(60)\n", 1, false);
    assert_eq!(deaf.request("FILE x").await, Err(HelperError::Ended));
    let long = helper(
        &base,
        &format!(
            "{LINES}for words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3')\n  elif words[2] == 'fits': say(words[0] + ' ' + 'x' * (4095 - len(words[0])))\n  else: say(words[0] + ' ' + 'x' * 5000)\n"
        ),
        30,
        false,
    );
    assert!(long.request("FILE fits").await.is_ok_and(|text| text.len() > 4_000));
    assert_eq!(long.request("FILE long").await, Err(HelperError::Ended));
    let flood = helper(
        &base,
        &format!(
            "{LINES}for words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3'); continue\n  while True: say('77777 OK')\n"
        ),
        30,
        false,
    );
    assert_eq!(flood.request("FILE x").await, Err(HelperError::Ended));
    let nothing = HelperProcess::new(HelperOptions {
        program: "/does/not/exist".into(),
        restart: None,
        ..mute.options().clone()
    });
    assert_eq!(nothing.request("FILE x").await, Err(HelperError::Ended));
}

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_eager_helper_runs_before_it_is_asked_and_is_told_to_quit() {
    let base = room();
    let text = format!(
        "{LINES}open('started', 'a').write('x')\nfor words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 7')\n  elif words[1] == 'QUIT': open('quit', 'w').close(); say(words[0] + ' OK'); break\n  elif words[1] == 'DIE': os._exit(1)\n"
    );
    let eager = HelperOptions { eager: true, ..options(&base, &text, 30, true) };
    let helper = HelperProcess::new(eager);
    let started = || std::fs::read(base.path().join("started")).map_or(0, |marks| marks.len());
    until("it is started", || started() == 1).await;
    // It ends when it is asked so three times, and stands ready again afterwards.
    assert_eq!(helper.request("DIE").await, Err(HelperError::Ended));
    until("it is started again", || started() == 4).await;
    drop(helper);
    until("it is told to quit", || base.path().join("quit").exists()).await;
}

#[tokio::test]
async fn what_is_asked_may_be_any_octets_of_one_line_and_the_environment_may_be_empty() {
    let base = room();
    let text = "import sys, os\nfor line in sys.stdin.buffer:\n  n, rest = line.rstrip(b'\\n').split(b' ', 1)\n  if rest.startswith(b'INTF'): rest = b'INTF 3'\n  elif rest.startswith(b'ENV'): rest = b'OK %d' % ('SECRET_OF_THE_TEST' in os.environ or 'HOME' in os.environ)\n  else: rest = b'OK ' + rest.hex().encode()\n  sys.stdout.buffer.write(n + b' ' + rest + b'\\n'); sys.stdout.buffer.flush()\n";
    let python = which("python3");
    let script = program(base.path(), "plain.py", text);
    let bare = HelperOptions {
        program: python,
        arguments: vec![script.to_str().unwrap().to_owned()],
        bare: true,
        ..options(&base, "", 30, true)
    };
    let helper = HelperProcess::new(bare);
    assert_eq!(helper.request(b"A \xff  b ").await.as_deref(), Ok("OK 4120ff20206220"));
    assert_eq!(helper.request("ENV").await.as_deref(), Ok("OK 0"));
    for no_line in [&b"a\nb"[..], b"a\rb", b"a\0b"] {
        assert_eq!(helper.request(no_line).await, Err(HelperError::NoLine));
    }
}

/// The path of a program.
fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut all = std::env::split_paths(&path).map(|at| at.join(name));
    all.find(|path| path.is_file()).unwrap()
}

// ABU-61
#[tokio::test]
async fn a_late_answer_and_one_for_another_number_are_nobodys() {
    let base = room();
    let text = format!(
        "{LINES}for words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3'); continue\n  if words[2] == 'slow':\n    if not os.path.exists('once'): open('once', 'w').close(); time.sleep(60)\n    say(words[0] + ' OK slow'); continue\n  say(str(int(words[0]) + 1) + ' OK wrong')\n  say('-1 OK wrong'); say('x OK wrong'); say(' '); say('')\n  say(words[0] + ' OK ' + words[2]); say(words[0] + ' ERROR twice')\n"
    );
    let helper = Arc::new(helper(&base, &text, 10, true));
    for word in ["one", "two"] {
        let answer = helper.request(&format!("VRFY {word}")).await;
        assert_eq!(answer, Ok(format!("OK {word}")));
    }
    assert_eq!(helper.request("VRFY slow").await, Err(HelperError::TimedOut));
    // The next run knows nothing of what the last one was asked.
    assert_eq!(helper.request("VRFY slow").await.as_deref(), Ok("OK slow"));
    assert_eq!(helper.starts(), 2);
}

/// True while a process with this id runs, and is no corpse.
fn lives(id: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

async fn gone(id: &str) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while lives(id) && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    !lives(id)
}

/// The number that a helper wrote into a file.
async fn number(base: &TempDir, name: &str) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(base.path().join(name)).unwrap_or_default();
        if text.ends_with('.') {
            return text.trim_end_matches('.').to_owned();
        }
        assert!(Instant::now() < end, "{name} is not written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts something that sleeps when it is asked, and notes its number.
const FORKS: &str = "import subprocess\n\
def fork(name, **how):\n  made = subprocess.Popen(['sleep', '300'], **how)\n  f = open(name, 'w'); f.write(str(made.pid) + '.'); f.close()\n";

#[tokio::test]
async fn a_helper_that_hangs_takes_what_it_has_started_with_it() {
    let base = room();
    let text = format!(
        "{LINES}{FORKS}for words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3')\n  else: fork('hung'); time.sleep(300)\n"
    );
    let hangs = helper(&base, &text, 2, true);
    assert_eq!(hangs.request("VRFY x").await, Err(HelperError::TimedOut));
    let id = number(&base, "hung").await;
    assert!(gone(&id).await, "what it has started goes on");
    // So does one that is dropped while it hangs.
    std::fs::remove_file(base.path().join("hung")).unwrap();
    let hangs = Arc::new(helper(&base, &text, 300, true));
    let asking = tokio::spawn({
        let hangs = hangs.clone();
        async move { hangs.request("VRFY x").await }
    });
    let id = number(&base, "hung").await;
    asking.abort();
    drop(hangs);
    assert!(gone(&id).await, "what it has started goes on");
}

#[tokio::test]
async fn a_helper_that_forks_for_each_request_answers_and_its_end_is_noticed() {
    let base = room();
    // Each request has a process of its own that answers; one of them ends the parent and holds
    // its output open.
    let text = format!(
        "{LINES}import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nfor words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3'); continue\n  if words[1] == 'QUIT': say(words[0] + ' OK'); break\n  if os.fork(): continue\n  if words[2] == 'kill' and not os.path.exists('killed'):\n    open('killed', 'w').close(); os.kill(os.getppid(), 9); time.sleep(5); os._exit(0)\n  time.sleep(0.3 if words[2] == 'slow' else 0)\n  say(words[0] + ' OK ' + words[2]); os._exit(0)\n"
    );
    let forks = helper(&base, &text, 60, true);
    let begun = Instant::now();
    let (slow, quick) = tokio::join!(forks.request("VRFY slow"), forks.request("VRFY quick"));
    assert_eq!((slow.as_deref(), quick.as_deref()), (Ok("OK slow"), Ok("OK quick")));
    assert_eq!(forks.starts(), 1);
    assert_eq!(forks.request("VRFY kill").await.as_deref(), Ok("OK kill"));
    assert_eq!(forks.starts(), 2);
    assert!(begun.elapsed() < Duration::from_secs(50), "its end was noticed by the time limit");
}

#[tokio::test]
async fn what_a_helper_leaves_behind_after_its_farewell_goes_on() {
    let base = room();
    let text = format!(
        "{LINES}{FORKS}for words in lines():\n  if words[1] == 'INTF': say(words[0] + ' INTF 3')\n  elif words[1] == 'QUIT': say(words[0] + ' OK'); break\n  else:\n    none = subprocess.DEVNULL\n    fork('copy', stdin=none, stdout=none, stderr=none); say(words[0] + ' OK')\nopen('over', 'w').write('.')\n"
    );
    let leaves = helper(&base, &text, 60, true);
    assert_eq!(leaves.request("VRFY x").await.as_deref(), Ok("OK"));
    let id = number(&base, "copy").await;
    drop(leaves);
    number(&base, "over").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(lives(&id), "a copy it has started was ended");
    let ended = std::process::Command::new("kill").args(["-9", &id]).status().unwrap();
    assert!(ended.success());
}
