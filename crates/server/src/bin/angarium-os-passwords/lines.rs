//! The numbered lines of the program: INTF, VRFY, QUIT. Several passwords are checked at a time,
//! and answered in the order in which that ends. It must never know how a password is checked.

use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

/// Longest request, in octets with its end: a number, a name and a password.
const MAX_LINE: u64 = 4_096;
/// The version of the interface.
const INTERFACE: u32 = 3;
/// Longest name of a user, in octets.
const MAX_NAME: usize = 256;
/// Longest password, in octets.
const MAX_PASSWORD: usize = 1_024;

/// What is said of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is right.
    Right,
    /// It is not, or the user may not come in.
    Wrong(String),
    /// Nobody can say now.
    Later(String),
}

/// A password to be checked.
struct Job {
    number: u64,
    user: Vec<u8>,
    password: Vec<u8>,
}

/// Answers requests until QUIT or their end. `check` is called from `at_once` threads.
///
/// # Errors
/// As reading and writing; a request that is too long.
pub(crate) fn serve(
    mut requests: impl BufRead,
    responses: impl Write + Send + 'static,
    at_once: usize,
    check: impl Fn(&[u8], &[u8]) -> Verdict + Send + Sync + 'static,
) -> io::Result<()> {
    let responses = Arc::new(Mutex::new(responses));
    let check = Arc::new(check);
    // No more wait in here than are being checked; the rest waits where it comes from.
    let (jobs, waiting) = mpsc::sync_channel::<Job>(at_once);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..at_once {
        let (waiting, responses) = (Arc::clone(&waiting), Arc::clone(&responses));
        let check = Arc::clone(&check);
        thread::spawn(move || {
            loop {
                let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = job else { return };
                let verdict = check(&job.user, &job.password);
                if say(&responses, job.number, &told(&verdict)).is_err() {
                    return;
                }
            }
        });
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        if requests.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.pop() != Some(b'\n') {
            return Err(io::Error::other("a request is too long or cut off"));
        }
        let Some(request) = read(&line) else { continue };
        match request {
            Request::Interface(number) => say(&responses, number, &format!("INTF {INTERFACE}"))?,
            Request::Quit(number) => return say(&responses, number, "OK"),
            Request::Check(job) if can_be_checked(&job) => {
                if jobs.send(job).is_err() {
                    return Err(io::Error::other("nobody checks passwords any more"));
                }
            }
            Request::Check(job) => {
                say(&responses, job.number, "ERROR \"no name and password that can be\"")?;
            }
            Request::Other(number) => say(&responses, number, "ERROR \"unknown request\"")?,
        }
    }
}

/// A request with its number.
enum Request {
    Interface(u64),
    Quit(u64),
    Check(Job),
    Other(u64),
}

/// Reads a line; `None` for one without a number, which cannot be answered.
fn read(line: &[u8]) -> Option<Request> {
    let (number, rest) = word(line);
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    let (verb, rest) = word(rest);
    Some(match verb.to_ascii_uppercase().as_slice() {
        b"INTF" => Request::Interface(number),
        b"QUIT" => Request::Quit(number),
        b"VRFY" => {
            // The service may stand in parentheses.
            let rest = if rest.starts_with(b"(") { word(rest).1 } else { rest };
            let (user, password) = word(rest);
            Request::Check(Job { number, user: user.to_vec(), password: password.to_vec() })
        }
        _ => Request::Other(number),
    })
}

/// The first word and what follows the blank behind it, as it is.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = line.splitn(2, |octet| *octet == b' ');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// An empty password proves nothing, and nobody tries the administrator's here.
fn can_be_checked(job: &Job) -> bool {
    (1..=MAX_NAME).contains(&job.user.len())
        && (1..=MAX_PASSWORD).contains(&job.password.len())
        && job.user != b"root"
        && !job.user.iter().chain(&job.password).any(|octet| *octet == 0)
}

fn told(verdict: &Verdict) -> String {
    let quoted = |text: &str| text.replace(['"', '\\', '\r', '\n'], " ");
    match verdict {
        Verdict::Right => "OK".to_owned(),
        Verdict::Wrong(why) => format!("ERROR \"{}\"", quoted(why)),
        Verdict::Later(why) => format!("FAILURE \"{}\"", quoted(why)),
    }
}

fn say(responses: &Mutex<impl Write>, number: u64, text: &str) -> io::Result<()> {
    let mut out = responses.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(out, "{number} {text}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, seen from outside.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn lines(&self) -> Vec<String> {
            let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let mut lines: Vec<String> = all.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        }
    }

    fn check(user: &[u8], password: &[u8]) -> Verdict {
        match (user, password) {
            (b"joe", b"two words ") => Verdict::Right,
            (b"late", _) => Verdict::Later("the \"directory\"\nis away".into()),
            _ => Verdict::Wrong("Authentication failure".into()),
        }
    }

    #[test]
    fn each_request_is_answered_by_its_number() {
        let page = Page::default();
        let requests = b"1 INTF 3\n2 VRFY (IMAP) joe two words \n3 vrfy joe two words\n\
            4 VRFY (POP) late x\nnonsense\n5 NEW joe@dom\n6 VRFY joe\n7 VRFY (IMAP) root x\n\
            8 VRFY  x\n";
        serve(&requests[..], page.clone(), 2, check).unwrap();
        let wanted = [
            "1 INTF 3",
            "2 OK",
            "3 ERROR \"Authentication failure\"",
            "4 FAILURE \"the  directory  is away\"",
            "5 ERROR \"unknown request\"",
            "6 ERROR \"no name and password that can be\"",
            "7 ERROR \"no name and password that can be\"",
            "8 ERROR \"no name and password that can be\"",
        ];
        for _ in 0..5_000 {
            if page.lines().len() == wanted.len() {
                break;
            }
            thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(page.lines(), wanted);
    }

    #[test]
    fn quit_ends_it_and_a_line_without_end_is_an_error() {
        let page = Page::default();
        serve(&b"1 QUIT\n2 INTF 3\n"[..], page.clone(), 1, check).unwrap();
        assert_eq!(page.lines(), ["1 OK"]);
        assert!(serve(&vec![b'1'; 5_000][..], Page::default(), 1, check).is_err());
        assert!(serve(&b"1 VRFY joe"[..], Page::default(), 1, check).is_err());
        serve(&b""[..], Page::default(), 1, check).unwrap();
    }
}
