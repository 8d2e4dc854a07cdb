//! Mail servers of others on an island, with files of their own: Postfix and Exim, each the host of a
//! domain with a certificate, sending with DNSSEC and DANE, all their mail in one maildir; and Dovecot
//! behind Postfix.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up should fail")]

use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::certificates::Authority;
use super::installed;
use super::island::{address, cover, run};

/// The user and group that own what `virtual` of Postfix delivers: nobody.
const NOBODY: u32 = 65_534;
/// Number of the user that Exim wants to be there by name.
const EXIM: u32 = 64_025;

/// A mail server of others.
pub(crate) struct Foreign {
    /// Its network address; it listens on port 25.
    pub(crate) ip: String,
    /// The domain it takes mail for.
    pub(crate) domain: String,
    directory: tempfile::TempDir,
    program: PathBuf,
    kind: Kind,
    child: Option<Child>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postfix,
    Exim,
}

/// Exim's program, said aloud when there is none.
pub(crate) fn exim() -> Option<PathBuf> {
    super::unpacked::unpacked("exim/usr/sbin/exim4")
}

fn room() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    // Their processes run as other users.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    directory
}

/// Settings of Postfix with those of `more` in their place. None may stand there twice: each
/// program of Postfix warns of it, and the one that writes the log waits for itself when too many
/// warn at once.
fn instead(main: &str, more: &str) -> String {
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let new: Vec<String> = more.lines().map(name).collect();
    let kept = main.lines().filter(|line| !new.contains(&name(line)));
    kept.chain(more.lines()).flat_map(|line| [line, "\n"]).collect()
}

impl Foreign {
    /// Postfix as `mx.DOMAIN`. `more` are lines for its main.cf, in place of those of the same name.
    pub(crate) fn postfix(ip: &str, domain: &str, of: &Authority, more: &str) -> Option<Self> {
        if !installed("postfix") {
            return None;
        }
        address(ip);
        let mut made = Self::prepare(ip, domain, of, "/usr/sbin/postfix".into(), Kind::Postfix);
        let at = made.directory.path().to_owned();
        for name in ["etc", "queue", "data", "mail"] {
            std::fs::create_dir(at.join(name)).unwrap();
        }
        run("chown", &["postfix:", at.join("data").to_str().unwrap()]);
        chown(at.join("mail"), Some(NOBODY), Some(NOBODY)).unwrap();
        let main = POSTFIX_MAIN
            .replace("{at}", at.to_str().unwrap())
            .replace("{ip}", ip)
            .replace("{domain}", domain);
        std::fs::write(at.join("etc/main.cf"), instead(&main, more)).unwrap();
        let master = format!("{ip}:25 inet n - n - - smtpd\n{POSTFIX_MASTER}");
        std::fs::write(at.join("etc/master.cf"), master).unwrap();
        made.start();
        Some(made)
    }

    /// Exim as `mx.DOMAIN`. `program` is what [`exim`] has found.
    pub(crate) fn exim(ip: &str, domain: &str, of: &Authority, program: &Path) -> Self {
        address(ip);
        let mut made = Self::prepare(ip, domain, of, program.to_owned(), Kind::Exim);
        let at = made.directory.path().to_owned();
        if !std::fs::read_to_string("/etc/passwd").unwrap().contains("Debian-exim:") {
            for (file, rest) in [("passwd", ":/nonexistent:/usr/sbin/nologin"), ("group", "")] {
                let system = format!("/etc/{file}");
                let group = if file == "passwd" { format!(":{EXIM}:") } else { ":".to_owned() };
                let text = std::fs::read_to_string(&system).unwrap();
                let text = format!("{text}Debian-exim:x:{EXIM}{group}{rest}\n");
                std::fs::write(at.join(file), text).unwrap();
                cover(&system, &at.join(file));
            }
        }
        for name in ["spool", "log", "mail"] {
            std::fs::create_dir(at.join(name)).unwrap();
            chown(at.join(name), Some(EXIM), Some(EXIM)).unwrap();
        }
        let conf = EXIM_CONF
            .replace("{at}", at.to_str().unwrap())
            .replace("{program}", program.to_str().unwrap())
            .replace("{ip}", ip)
            .replace("{domain}", domain);
        std::fs::write(at.join("exim.conf"), conf).unwrap();
        made.start();
        made
    }

    fn prepare(ip: &str, domain: &str, of: &Authority, program: PathBuf, kind: Kind) -> Self {
        let directory = room();
        let made = of.issue(&format!("mx.{domain}"));
        std::fs::copy(&made.certificate, directory.path().join("certificate.pem")).unwrap();
        std::fs::copy(&made.key, directory.path().join("key.pem")).unwrap();
        std::fs::copy(of.certificate(), directory.path().join("ca.pem")).unwrap();
        for name in ["certificate.pem", "key.pem", "ca.pem"] {
            run("chmod", &["644", directory.path().join(name).to_str().unwrap()]);
        }
        let (ip, domain) = (ip.to_owned(), domain.to_owned());
        Self { ip, domain, directory, program, kind, child: None }
    }

    /// Starts it, also after [`Foreign::stop`]: its queue is as it was.
    pub(crate) fn start(&mut self) {
        let at = self.directory.path();
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Postfix => command.arg("-c").arg(at.join("etc")).arg("start-fg"),
            Kind::Exim => command.arg("-C").arg(at.join("exim.conf")).args(["-bdf", "-q2s"]),
        };
        let out = std::fs::File::create(at.join("out")).unwrap();
        let errors = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(errors).spawn().unwrap();
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect((self.ip.as_str(), 25)).is_err() {
            assert!(Instant::now() < end, "{} does not answer: {}", self.domain, self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it; its queue stays.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if self.kind == Kind::Postfix {
            let etc = self.directory.path().join("etc");
            run("postfix", &["-c", etc.to_str().unwrap(), "stop"]);
        } else {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
        }
        let _ = child.wait();
    }

    /// The directory of Postfix's configuration, for its own programs.
    pub(crate) fn configuration(&self) -> String {
        self.directory.path().join("etc").display().to_string()
    }

    /// Every letter delivered here, as its file says.
    pub(crate) fn letters(&self) -> Vec<String> {
        let below = if self.kind == Kind::Postfix { "mail/all" } else { "mail" };
        let Ok(all) = std::fs::read_dir(self.directory.path().join(below).join("new")) else {
            return Vec::new();
        };
        all.map(|entry| {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            String::from_utf8_lossy(&octets).into_owned()
        })
        .collect()
    }

    /// What it says of its work.
    pub(crate) fn log(&self) -> String {
        let names = match self.kind {
            Kind::Postfix => ["data/log", "out"],
            Kind::Exim => ["log/mainlog", "out"],
        };
        names
            .iter()
            .filter_map(|name| std::fs::read(self.directory.path().join(name)).ok())
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .collect()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("== what mx.{} says\n{}", self.domain, self.log());
        }
        self.stop();
    }
}

/// Dovecot on 127.0.0.1: LMTP and IMAP, every name with one password.
pub(crate) struct Dovecot {
    child: Child,
    directory: tempfile::TempDir,
}

impl Dovecot {
    pub(crate) const LMTP: u16 = 2_024;
    pub(crate) const IMAP: u16 = 2_143;

    pub(crate) fn start() -> Option<Self> {
        if !installed("dovecot") || !Path::new("/usr/lib/dovecot/lmtp").exists() {
            println!("skipped: dovecot's lmtp is not installed");
            return None;
        }
        let directory = room();
        let at = directory.path();
        std::fs::create_dir(at.join("mail")).unwrap();
        chown(at.join("mail"), Some(NOBODY), Some(NOBODY)).unwrap();
        let conf = DOVECOT_CONF
            .replace("{at}", at.to_str().unwrap())
            .replace("{password}", super::PASSWORD)
            .replace("{imap}", &Self::IMAP.to_string())
            .replace("{lmtp}", &Self::LMTP.to_string());
        std::fs::write(at.join("dovecot.conf"), conf).unwrap();
        let out = std::fs::File::create(at.join("out")).unwrap();
        let child = Command::new("dovecot")
            .args(["-F", "-c", at.join("dovecot.conf").to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        for port in [Self::LMTP, Self::IMAP] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                let log = std::fs::read_to_string(at.join("out")).unwrap();
                assert!(Instant::now() < end, "dovecot does not answer: {log}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Some(Self { child, directory })
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

const DOVECOT_CONF: &str = "protocols = imap lmtp
listen = 127.0.0.1
base_dir = {at}/run
state_dir = {at}/state
log_path = {at}/log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
first_valid_uid = 1
auth_username_format = %Ln
passdb {
  driver = static
  args = password={PLAIN}{password}
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home={at}/mail/%n allow_all_users=yes
}
namespace inbox {
  inbox = yes
  separator = /
}
service imap-login {
  inet_listener imap {
    port = {imap}
  }
  inet_listener imaps {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = {lmtp}
  }
}
";

const POSTFIX_MAIN: &str = "compatibility_level = 3.6
queue_directory = {at}/queue
data_directory = {at}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {at}/data/log
maillog_file_prefixes = {at}
myhostname = mx.{domain}
inet_interfaces = {ip}
inet_protocols = ipv4
smtp_bind_address = {ip}
mynetworks = {ip}/32
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {at}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtpd_tls_cert_file = {at}/certificate.pem
smtpd_tls_key_file = {at}/key.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
smtp_host_lookup = dns
smtp_tls_CAfile = {at}/ca.pem
smtp_tls_loglevel = 1
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
transport_retry_time = 1s
smtp_connect_timeout = 5s
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtp_destination_concurrency_failed_cohort_limit = 0
";

const POSTFIX_MASTER: &str = "pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 5 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
virtual unix - n n - - virtual
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

const EXIM_CONF: &str = "primary_hostname = mx.{domain}
spool_directory = {at}/spool
log_file_path = {at}/log/%slog
pid_file_path = {at}/spool/pid
exim_path = {program}
local_interfaces = {ip}
daemon_smtp_ports = 25
domainlist local_domains = {domain}
acl_smtp_rcpt = check
acl_smtp_data = accept
never_users =
keep_environment =
tls_advertise_hosts = *
tls_certificate = {at}/certificate.pem
tls_privatekey = {at}/key.pem
dns_dnssec_ok = 1
dns_ipv4_lookup = *
rfc1413_query_timeout = 0s
host_lookup =
retry_interval_max = 2s
smtp_accept_max_per_host = 0
log_selector = +tls_cipher +dnssec +smtp_confirmation

begin acl
check:
  accept domains = +local_domains
  accept hosts = {ip}
  deny

begin routers
store:
  driver = accept
  domains = +local_domains
  transport = maildir
outside:
  driver = dnslookup
  domains = ! +local_domains
  transport = out
  dnssec_request_domains = *
  no_more

begin transports
maildir:
  driver = appendfile
  directory = {at}/mail
  maildir_format
  user = Debian-exim
  envelope_to_add
  return_path_add
out:
  driver = smtp
  interface = {ip}
  hosts_try_dane = *
  tls_verify_certificates = {at}/ca.pem
  connect_timeout = 5s
  command_timeout = 10s

begin retry
* * F,1h,1s
";
