//! Runs one program with a message on its standard input, for a limited time, and reads what it
//! says up to a limit. It must never know what the program is for.

use std::process::Stdio;
use std::time::Duration;

use angarium_helper_programs::group::ProcessGroup;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use super::command::Command;

/// Most octets kept of what a program says.
const MAX_SAID: usize = 2_000;

/// The exit code that asks for another try: `EX_TEMPFAIL` of `sysexits.h`.
const TEMPORARY: i32 = 75;

/// How long a program that has ended may leave its output open to others.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Octets of the message converted at a time.
const PIECE: usize = 64 * 1024;

/// What a program is told of the envelope.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) sender: String,
    pub(super) recipient: String,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It took the message.
    Done,
    /// It wants another try.
    Later(String),
    /// It does not want the message.
    Failed(String),
}

/// Runs a program to its end.
pub(super) async fn run(
    command: Command,
    envelope: &Envelope,
    message: Bytes,
    limit: Duration,
) -> Ended {
    let mut program = tokio::process::Command::new(&command.file);
    let started = ProcessGroup::prepare(&mut program)
        .args(&command.parameters)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LANG", "C")
        .env("HOME", &command.directory)
        .env("SENDER", &envelope.sender)
        .env("RECIPIENT", &envelope.recipient)
        .env("QUEUE_ID", &envelope.id)
        .current_dir(&command.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let child = match started {
        Ok(child) => child,
        Err(error) => return Ended::Later(format!("cannot be started: {error}")),
    };
    // When the time is over, or the server stops, all that it has started ends with it.
    let mut group = ProcessGroup::of(&child);
    match tokio::time::timeout(limit, attend(child, message)).await {
        Ok(ended) => {
            group.let_go();
            ended
        }
        Err(_) => Ended::Later(format!("not ready after {} seconds", limit.as_secs())),
    }
}

async fn attend(mut child: Child, message: Bytes) -> Ended {
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut input) = input {
            // A program may end without having read all of it; its exit code counts.
            let _ = feed(&mut input, &message).await;
        }
    };
    let (mut said, mut complained) = (Said::default(), Said::default());
    let ended = {
        let listen = async { tokio::join!(hear(output, &mut said), hear(errors, &mut complained)) };
        let work = async { tokio::join!(feed, child.wait()).1 };
        tokio::pin!(listen, work);
        tokio::select! {
            _ = &mut listen => work.await,
            ended = &mut work => {
                // Somebody it has started may hold its output open still.
                let _ = tokio::time::timeout(LAST_WORDS, &mut listen).await;
                ended
            }
        }
    };
    said.0.extend_from_slice(&complained.0);
    let words = plain(&String::from_utf8_lossy(&said.0));
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return Ended::Later(format!("cannot be waited for: {error}")),
    };
    let why = if words.is_empty() { format!("{ended}") } else { format!("{ended}: {words}") };
    match ended.code() {
        Some(0) => Ended::Done,
        Some(TEMPORARY) | None => Ended::Later(why),
        Some(_) => Ended::Failed(why),
    }
}

/// Octets a program said.
#[derive(Default)]
struct Said(Vec<u8>);

/// Reads all, keeps the first octets.
async fn hear<R: AsyncRead + Unpin>(from: Option<R>, said: &mut Said) {
    let Some(mut from) = from else { return };
    let mut piece = [0u8; 1024];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        let room = MAX_SAID.saturating_sub(said.0.len());
        said.0.extend(piece.iter().take(count.min(room)));
    }
}

/// Writes the message with the line ends of this system: LF.
async fn feed<W: AsyncWriteExt + Unpin>(to: &mut W, message: &[u8]) -> std::io::Result<()> {
    let mut piece = Vec::with_capacity(PIECE.min(message.len()));
    let mut octets = message.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        if octet != b'\r' || octets.peek() != Some(&b'\n') {
            piece.push(octet);
        }
        if piece.len() >= PIECE {
            to.write_all(&piece).await?;
            piece.clear();
        }
    }
    to.write_all(&piece).await?;
    to.shutdown().await
}

/// Text on one line, without control characters.
pub(super) fn plain(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    async fn shell(script: &str, message: &'static [u8], limit: u64) -> Ended {
        let command = Command {
            program: "sh".into(),
            file: PathBuf::from("/bin/sh"),
            parameters: vec!["-c".into(), script.into()],
            directory: PathBuf::from("/"),
        };
        let envelope = Envelope {
            id: "7".into(),
            sender: "a b@c.dom".into(),
            recipient: "$(id)@d.dom".into(),
        };
        run(command, &envelope, Bytes::from_static(message), Duration::from_secs(limit)).await
    }

    #[tokio::test]
    async fn the_exit_code_says_what_became_of_the_message() {
        assert_eq!(shell("cat >/dev/null", b"x\r\n", 60).await, Ended::Done);
        assert_eq!(
            shell("echo busy; exit 75", b"x\r\n", 60).await,
            Ended::Later("exit status: 75: busy".into())
        );
        assert_eq!(
            shell("echo 'no\tthanks' >&2; exit 65", b"x\r\n", 60).await,
            Ended::Failed("exit status: 65: no thanks".into())
        );
        assert!(matches!(shell("kill -9 $$", b"x\r\n", 60).await, Ended::Later(_)));
        assert!(matches!(shell("sleep 600", b"x\r\n", 1).await, Ended::Later(_)));
    }

    #[tokio::test]
    async fn message_and_envelope_arrive_and_nothing_else_of_ours() {
        let script = "test \"$(cat)\" = \"$(printf 'a\\n\\nb\\rc')\" || exit 1; \
                      test \"$SENDER\" = 'a b@c.dom' || exit 2; \
                      test \"$RECIPIENT\" = '$(id)@d.dom' || exit 3; test \"$QUEUE_ID\" = 7 || exit 4; \
                      test -z \"$CARGO_MANIFEST_DIR\" || exit 5";
        assert_eq!(shell(script, b"a\r\n\r\nb\rc\r\n", 60).await, Ended::Done);
    }

    #[tokio::test]
    async fn what_a_program_says_is_bounded_and_need_not_be_waited_for() {
        let Ended::Failed(why) = shell("yes 0123456789 | head -c 1000000; exit 1", b"", 60).await
        else {
            panic!("it did not fail")
        };
        assert!(why.len() < MAX_SAID + 100, "{}", why.len());
        // A grandchild keeps the output open.
        assert_eq!(shell("(sleep 2) & exit 0", b"", 60).await, Ended::Done);
        // It reads nothing of a message larger than a pipe.
        static LARGE: [u8; 1 << 20] = [b'x'; 1 << 20];
        assert_eq!(shell("exit 0", &LARGE, 60).await, Ended::Done);
    }
}
