//! The base directory: where it is when nobody says, and what lies where in it.

use std::io;
use std::path::{Path, PathBuf};

/// Paths below the base directory.
#[derive(Clone, Debug)]
pub(crate) struct BaseDirectory {
    root: PathBuf,
}

impl BaseDirectory {
    /// The directory given, or the usual one of this user.
    pub(crate) fn choose(given: Option<&Path>) -> io::Result<Self> {
        if let Some(path) = given {
            return Ok(Self { root: path.to_owned() });
        }
        if rustix::process::geteuid().is_root() {
            return Ok(Self { root: PathBuf::from("/var/lib/angarium") });
        }
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"))
        });
        match data {
            Some(data) => Ok(Self { root: data.join("angarium") }),
            None => Err(io::Error::other("no home directory; name one with --base DIR")),
        }
    }

    /// Makes the directory and those in it, for this user alone.
    pub(crate) fn create(&self) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        for path in [self.root.clone(), self.run(), self.settings(), self.logs()] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        Ok(())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The store.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("Store")
    }

    /// Files that live as long as the process.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What is collected for reports to other domains.
    pub(crate) fn feedback(&self) -> PathBuf {
        self.root.join("Feedback")
    }

    /// What is learned of other mail servers.
    pub(crate) fn sending(&self) -> PathBuf {
        self.root.join("Sending")
    }

    /// Where changes of mailbox files shared with other programs are prepared.
    pub(crate) fn legacy(&self) -> PathBuf {
        self.root.join("Legacy")
    }

    /// What was imported from mailbox files, an account a file.
    pub(crate) fn imports(&self) -> PathBuf {
        self.root.join("Imports")
    }

    /// What is known of users taken over from old servers.
    pub(crate) fn take_over(&self) -> PathBuf {
        self.root.join("TakeOver")
    }

    /// Certificates.
    pub(crate) fn settings(&self) -> PathBuf {
        self.root.join("Settings")
    }

    /// Log files, one a day.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("SystemLogs")
    }

    /// The socket of the administrator at this machine.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run().join("admin.sock")
    }

    /// What listens where.
    pub(crate) fn listeners(&self) -> PathBuf {
        self.run().join("listeners.json")
    }

    /// Counters of domains and the memory of failed logins, over a restart.
    pub(crate) fn counters(&self) -> PathBuf {
        self.settings().join("Counters.data")
    }

    /// The first password, where there was no terminal to show it on.
    pub(crate) fn first_password(&self) -> PathBuf {
        self.root.join("postmaster-password")
    }
}

/// Writes a file that only this user can read, in one step: either the old or the new one is there.
pub(crate) fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
