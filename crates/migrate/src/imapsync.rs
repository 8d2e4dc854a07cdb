//! The options of imapsync, as far as they are used much, as options of our own: scripts written for
//! it run on. What means nothing here is passed over; what cannot be had is named with what to use
//! instead, and nothing is done then. Pure but for the day it is.

use std::ffi::OsString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{MoveError, Result};

/// A command line in our words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// Flags and the six words.
    pub words: Vec<OsString>,
    /// What a person should know about the difference.
    pub notes: Vec<String>,
}

/// One server of the command line.
#[derive(Clone, Debug, Default)]
struct Side {
    host: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<String>,
    ssl: bool,
    starttls: bool,
    authuser: Option<String>,
    proxyauth: bool,
}

/// What an option of imapsync becomes.
enum Becomes {
    /// A flag of ours.
    Flag(&'static str),
    /// A flag of ours with the same value.
    Value(&'static str),
    /// Nothing: it is so anyway, or means nothing here.
    Nothing,
    /// The same, with a value that is passed over.
    NothingWithValue,
    /// What to use instead.
    Instead(&'static str),
}

use Becomes::{Flag, Instead, Nothing, NothingWithValue, Value};

/// Options that stand for themselves. Those about a side are in [`Translation::side`].
const TABLE: &[(&str, Becomes)] = &[
    ("delete", Flag("--delete")),
    ("delete1", Flag("--delete")),
    ("delete2", Flag("--syncDeletes")),
    ("delete2duplicates", Instead("--syncDeletes; doubles that were at the old server are kept")),
    ("delete2folders", Instead("remove the mailboxes at the new server by hand")),
    ("dry", Flag("--dryRun")),
    ("justconnect", Instead("angarium move probe HOST")),
    ("justlogin", Instead("angarium move probe HOST, or --dryRun")),
    ("justfolders", Instead("--plan")),
    ("justfoldersizes", Instead("--plan")),
    ("maxsize", Value("--maxSize")),
    ("minsize", Instead("nothing: small messages cost little; leave it out")),
    ("search", Instead("--filter before MOMENT or --filter after MOMENT")),
    ("search1", Instead("--filter before MOMENT or --filter after MOMENT")),
    ("search2", Instead("--filter before MOMENT or --filter after MOMENT")),
    ("regextrans2", Instead("--renameMailbox OLD NEW or --renameMailboxList FILE")),
    ("regexmess", Instead("--fixLongLines NUMBER, the only change made to messages")),
    ("regexflag", Instead("nothing: flags that the new server refuses are left out by themselves")),
    ("pipemess", Instead("nothing: messages are never changed on the way")),
    ("skipmess", Instead("--filter or --maxSize")),
    ("include", Instead("--list PATTERN")),
    ("folderfirst", NothingWithValue),
    ("folderlast", NothingWithValue),
    ("sep1", NothingWithValue),
    ("sep2", NothingWithValue),
    ("prefix1", NothingWithValue),
    ("prefix2", NothingWithValue),
    ("subscribed", Flag("--subscribed")),
    ("subscribe", Nothing),
    ("nosubscribe", Flag("--nosubscription")),
    ("subscribe_all", Instead("subscribe at the new server; the old subscriptions are copied")),
    ("subscribeall", Instead("subscribe at the new server; the old subscriptions are copied")),
    ("syncacls", Nothing),
    ("syncinternaldates", Nothing),
    ("idatefromheader", Instead("nothing: arrival dates are kept as they are")),
    ("resyncflags", Flag("--syncFlags")),
    ("noresyncflags", Nothing),
    ("automap", Flag("--automap")),
    ("noautomap", Nothing),
    ("nofoldersizes", Nothing),
    ("foldersizes", Nothing),
    ("nofoldersizesatend", Nothing),
    ("foldersizesatend", Nothing),
    ("noreleasecheck", Nothing),
    ("releasecheck", Nothing),
    ("nolog", Nothing),
    ("logfile", Value("--logFile")),
    ("logdir", NothingWithValue),
    ("tmpdir", NothingWithValue),
    ("pidfile", NothingWithValue),
    ("pidfilelocking", Nothing),
    ("usecache", Nothing),
    ("nousecache", Nothing),
    ("useuid", Nothing),
    ("useheader", NothingWithValue),
    ("skipsize", Nothing),
    ("skipcrossduplicates", Nothing),
    ("syncduplicates", Nothing),
    ("nosyncduplicates", Nothing),
    ("allowsizemismatch", Nothing),
    ("addheader", Instead("nothing: messages without a Message-ID are known by their content")),
    ("abletosearch", Nothing),
    ("noabletosearch", Nothing),
    ("fastio1", Nothing),
    ("fastio2", Nothing),
    ("nofastio1", Nothing),
    ("nofastio2", Nothing),
    ("fast", Nothing),
    ("buffersize", NothingWithValue),
    ("split1", NothingWithValue),
    ("split2", NothingWithValue),
    ("reconnectretry1", Value("--retry")),
    ("reconnectretry2", NothingWithValue),
    ("maxbytespersecond", Value("--maxRate")),
    ("exitwhenover", Value("--dailyBytes")),
    ("maxmessagespersecond", Instead("--maxRate BYTES")),
    ("maxbytesafter", NothingWithValue),
    ("maxsleep", NothingWithValue),
    ("maxlinelength", Instead("--fixLongLines NUMBER")),
    ("errorsmax", NothingWithValue),
    ("expunge1", Nothing),
    ("expunge2", Nothing),
    ("noexpunge1", Nothing),
    ("noexpunge2", Nothing),
    ("expunge", Nothing),
    ("uidexpunge2", Nothing),
    ("nomodulesversion", Nothing),
    ("modulesversion", Nothing),
    ("noid", Nothing),
    ("id", Nothing),
    ("verbose", Flag("--verbose")),
    ("debug", Flag("--verbose")),
    ("debugimap", Flag("--verbose")),
    ("debugimap1", Flag("--verbose")),
    ("debugimap2", Flag("--verbose")),
    ("debugcontent", Nothing),
];

/// True when a command line is one of imapsync.
#[must_use]
pub fn is_imapsync(words: &[OsString]) -> bool {
    words.iter().any(|word| {
        let word = word.to_string_lossy();
        let name = word.split('=').next().unwrap_or_default();
        matches!(name, "--host1" | "--user1" | "--gmail1" | "--office1" | "--host2" | "--user2")
    })
}

#[derive(Default)]
struct Translation {
    one: Side,
    two: Side,
    flags: Vec<String>,
    folders: Vec<String>,
    notes: Vec<String>,
    unknown: Vec<String>,
    rights: bool,
}

/// Translates what follows the word `imapsync`.
///
/// # Errors
/// `Usage`: all options that cannot be had, each with what to use instead.
pub fn translate(words: &[OsString]) -> Result<Translated> {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    translate_on(words, today)
}

fn translate_on(words: &[OsString], now: u64) -> Result<Translated> {
    let mut all = Translation::default();
    let mut words = words.iter().map(|w| w.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            all.unknown.push(format!("{word}: no option; imapsync takes none of these words"));
            continue;
        };
        let (name, given) = match option.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(value.to_owned())),
            None => (option.to_ascii_lowercase(), None),
        };
        let mut value = || given.clone().or_else(|| words.next());
        if all.side(&name, &mut value) || all.many(&name, &mut value, now) {
            continue;
        }
        match TABLE.iter().find(|(known, _)| *known == name) {
            Some((_, Flag(ours))) => all.flags.push((*ours).into()),
            Some((_, Value(ours))) => {
                all.flags.push((*ours).into());
                all.flags.extend(value());
            }
            Some((_, Nothing)) => all.rights |= name == "syncacls",
            Some((_, NothingWithValue)) => {
                let _ = value();
            }
            Some((_, Instead(what))) => all.unknown.push(format!("--{name}: use {what}")),
            None => all.unknown.push(format!("--{name}: not known here")),
        }
    }
    all.finish()
}

impl Translation {
    /// Options that end in 1 or 2; false if this is none.
    fn side(&mut self, name: &str, value: &mut dyn FnMut() -> Option<String>) -> bool {
        let (side, n) = match name.as_bytes().last() {
            Some(b'1') => (&mut self.one, 1),
            Some(b'2') => (&mut self.two, 2),
            _ => return false,
        };
        let password_file = if n == 1 { "--oldPasswordFile" } else { "--newPasswordFile" };
        let flags = &mut self.flags;
        let mut handed = |flag: String, value: Option<String>| {
            flags.push(flag);
            flags.extend(value);
        };
        match name.get(..name.len() - 1).unwrap_or_default() {
            "host" => side.host = value(),
            "port" => side.port = value(),
            "user" => side.user = value(),
            "password" => side.password = value(),
            "passfile" => handed(password_file.into(), value()),
            "ssl" => side.ssl = true,
            "nossl" => side.ssl = false,
            "tls" => side.starttls = true,
            "notls" => handed(format!("--notls{n}"), None),
            "authuser" => side.authuser = value(),
            "proxyauth" => side.proxyauth = true,
            "authmech" => handed(format!("--auth{n}"), value()),
            "authmd5" => handed(format!("--auth{n}"), Some("CRAM-MD5".into())),
            "noauthmd5" => {}
            "oauthaccesstoken" => handed(format!("--oauth{n}"), value()),
            "oauthdirect" => handed(format!("--oauth{n}"), value()),
            "sslargs" => {
                let what = value().unwrap_or_default();
                if what.replace(' ', "") == "SSL_verify_mode=0" {
                    handed(format!("--insecure{n}"), None);
                } else {
                    self.unknown.push(format!("--sslargs{n} {what}: use --ca{n}, --pin{n}"));
                }
            }
            "timeout" => {
                let _ = value();
                handed("--notimeout".into(), None);
            }
            "keepalive" | "showpasswords" => {}
            "gmail" => {
                side.host.get_or_insert_with(|| "imap.gmail.com".into());
                side.ssl = true;
                if n == 1 {
                    handed("--preset".into(), Some("gmail".into()));
                }
            }
            "office" => {
                side.host.get_or_insert_with(|| "outlook.office365.com".into());
                side.ssl = true;
                if n == 1 {
                    handed("--preset".into(), Some("office365".into()));
                }
            }
            "exchange" => {
                if n == 1 {
                    handed("--preset".into(), Some("exchange".into()));
                }
            }
            "domino" => {}
            "subfolder" if n == 2 => {
                let folder = value().unwrap_or_default();
                handed("--target".into(), Some(format!("{}/", folder.trim_end_matches('/'))));
            }
            "subfolder" => {
                let folder = value().unwrap_or_default();
                handed("--source".into(), Some(format!("{}/", folder.trim_end_matches('/'))));
            }
            _ => return false,
        }
        true
    }

    /// Options about mailboxes and days; false if this is none.
    fn many(&mut self, name: &str, value: &mut dyn FnMut() -> Option<String>, now: u64) -> bool {
        match name {
            "folder" => self.folders.extend(value()),
            "folderrec" => self.folders.extend(value().map(|folder| format!("{folder}*"))),
            "exclude" => {
                let pattern = value().unwrap_or_default();
                let plain = pattern.trim_start_matches('^').trim_end_matches('$');
                let plain = plain.replace("\\/", "/").replace("\\.", ".").replace("\\ ", " ");
                let regex = |c| "\\^$.*+?()[]{}|".contains(c);
                let inner = plain.replace("[Gmail]", "").replace("\\[Gmail\\]", "");
                if inner.contains(regex) || plain.is_empty() {
                    self.unknown.push(format!(
                        "--exclude {pattern}: patterns are not taken; use --skipMailbox NAME for \
                         each mailbox"
                    ));
                } else {
                    self.flags.extend([
                        "--skipMailbox".into(),
                        plain.replace("\\[", "[").replace("\\]", "]"),
                    ]);
                    if !(pattern.starts_with('^') && pattern.ends_with('$')) {
                        self.notes.push(format!(
                            "--exclude {pattern} leaves out the one mailbox of this name"
                        ));
                    }
                }
            }
            "f1f2" => match value().unwrap_or_default().split_once('=') {
                Some((old, new)) => {
                    self.flags.extend(["--renameMailbox".into(), old.into(), new.into()]);
                }
                None => self.unknown.push("--f1f2: write OLD=NEW".into()),
            },
            "maxage" | "minage" => match value().and_then(|days| days.parse::<f64>().ok()) {
                Some(days) if (0.0..1_000_000.0).contains(&days) => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "days within bounds"
                    )]
                    let moment = now.saturating_sub((days * 86_400.0) as u64);
                    let word = if name == "maxage" { "after" } else { "before" };
                    self.flags
                        .extend(["--filter".into(), format!("{word} {}", moment_text(moment))]);
                }
                _ => self.unknown.push(format!("--{name}: wants a number of days")),
            },
            "timeout" => {
                let _ = value();
                self.flags.push("--notimeout".into());
            }
            "nosyncacls" => self.rights = false,
            _ => return false,
        }
        true
    }

    fn finish(mut self) -> Result<Translated> {
        match self.folders.as_slice() {
            [] => {}
            [one] => self.flags.extend(["--list".into(), one.clone()]),
            _ => self.unknown.push(
                "--folder: only one can be given; run once for each, or use --list PATTERN".into(),
            ),
        }
        // imapsync copies no access rights unless it is told to.
        if !self.rights {
            self.flags.push("--noACL".into());
        }
        let (one, two) = (std::mem::take(&mut self.one), std::mem::take(&mut self.two));
        let old = self.words(one, 1);
        let new = self.words(two, 2);
        if !self.unknown.is_empty() {
            return Err(MoveError::Usage(format!(
                "options of imapsync that cannot be had here:\n  {}",
                self.unknown.join("\n  ")
            )));
        }
        self.notes.push(
            "certificates are verified here; --sslargs1 SSL_verify_mode=0 (and 2) is taken where one \
             is not good"
                .into(),
        );
        let words = self.flags.into_iter().chain(old).chain(new).map(OsString::from).collect();
        Ok(Translated { words, notes: self.notes })
    }

    /// Server, name, password of one side; the flags that follow from it are added.
    fn words(&mut self, side: Side, n: u8) -> Vec<String> {
        let mut missing = |what: &str| {
            self.unknown.push(format!("--{what}{n} is missing"));
            String::new()
        };
        let host = side.host.unwrap_or_else(|| missing("host"));
        let user = side.user.unwrap_or_else(|| missing("user"));
        let port = side.port.or_else(|| side.ssl.then(|| "993".to_owned()));
        if side.ssl {
            self.flags.push(format!("--ssl{n}"));
        } else if side.starttls {
            self.flags.push(format!("--starttls{n}"));
        }
        let name = match side.authuser {
            Some(master) if side.proxyauth && n == 1 => {
                self.flags.extend(["--proxyAuth".into(), user]);
                master
            }
            Some(master) => {
                self.flags.extend([format!("--master{n}"), master]);
                user
            }
            None => user,
        };
        let host = match port {
            Some(port) if host.contains(':') => format!("[{host}]:{port}"),
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        vec![host, name, side.password.unwrap_or_else(|| "-".into())]
    }
}

/// A moment as `--filter` reads it, UTC.
fn moment_text(seconds: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (mut days, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = MONTHS[0];
    for (name, length) in MONTHS.iter().zip(lengths) {
        month = name;
        if days < length {
            break;
        }
        days -= length;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{:02}-{month}-{year} {hour:02}:{minute:02}:{second:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(line: &str) -> Result<Translated> {
        let words: Vec<OsString> = line.split_ascii_whitespace().map(OsString::from).collect();
        translate_on(&words, 1_709_251_199)
    }

    fn words(line: &str) -> String {
        let words = translated(line).unwrap().words;
        words.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_usual_command_lines_of_imapsync_are_understood() {
        assert_eq!(
            words("--host1 a --user1 joe --password1 x --host2=b --user2=joe@d --passfile2=f"),
            "--newPasswordFile f --noACL a joe x b joe@d -"
        );
        assert_eq!(
            words(
                "--host1 a --port1 143 --tls1 --user1 j --passfile1 p --gmail2 --user2 k --password2 \
                 q --delete1 --nofoldersizes --subfolder2 old --f1f2 A=B --exclude ^Trash$ \
                 --maxsize 1000 --syncacls --automap --folder INBOX"
            ),
            "--oldPasswordFile p --delete --target old/ --renameMailbox A B --skipMailbox Trash \
             --maxSize 1000 --automap --list INBOX --starttls1 --ssl2 a:143 j - imap.gmail.com:993 k q"
        );
        assert_eq!(
            words(
                "--host1 a --user1 j --authuser1 adm --proxyauth1 --host2 b --user2 j --authuser2 m"
            ),
            "--noACL --proxyAuth j --master2 m a adm - b j -"
        );
        assert!(
            words("--host1 a --user1 j --host2 b --user2 j --maxage 1")
                .contains("--filter after 28-Feb-2024 23:59:59")
        );
    }

    #[test]
    fn what_cannot_be_had_is_named_with_what_to_use_instead() {
        let error = translated("--host1 a --user1 j --host2 b --regextrans2 s/a/b/ --frobnicate x")
            .unwrap_err()
            .to_string();
        for part in
            ["--regextrans2: use --renameMailbox", "--frobnicate: not known", "--user2 is missing"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
        let error = translated("--host1 a --user1 j --host2 b --user2 j --exclude Junk|Spam");
        assert!(error.unwrap_err().to_string().contains("--skipMailbox"));
    }

    #[test]
    fn a_command_line_of_imapsync_is_known_by_its_form() {
        assert!(is_imapsync(&["--host1=a".into()]) && is_imapsync(&["x".into(), "--user2".into()]));
        assert!(!is_imapsync(&["--ssl1".into(), "a".into()]));
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        assert_eq!(moment_text(0), "01-Jan-1970 00:00:00");
        assert_eq!(moment_text(951_782_400), "29-Feb-2000 00:00:00");
        assert_eq!(moment_text(1_735_689_599), "31-Dec-2024 23:59:59");
    }
}
