//! The external authentication program (setting `ExternalAUTH`, `reference/helpers.md` section 2):
//! asked whether a password is right, and about names a domain does not know, and told about accounts
//! that are made, renamed and deleted. What it cannot say now is *later* for whoever waits.

use std::net::IpAddr;
use std::sync::{Arc, Weak};

use angarium_accounts::{
    Asked, Checked, Consulted, Dictionary, ExternalAuthenticator, Proof, ProvisionListener,
    Provisioned, Secret, UnknownConsultant,
};
use async_trait::async_trait;

use crate::launch::{LONGEST_WAIT, switch};
use crate::notices::{self, Notices};
use crate::process::{HelperError, HelperOptions, HelperProcess};
use crate::words::{self, Line, Word};

/// The tag of its log records.
pub const TAG: &str = "EXTAUTH";

/// Which requests the program is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    /// VRFY names the service.
    with_mode: bool,
    /// READPLAIN is asked.
    read_plain: bool,
}

struct Running {
    helper: HelperProcess,
    manner: Manner,
    notices: Notices,
}

/// The program for whoever does not keep it in use.
pub(crate) struct WeakAuthenticator(Weak<Running>);

impl WeakAuthenticator {
    /// The program, while somebody uses it.
    pub(crate) fn upgrade(&self) -> Option<Authenticator> {
        self.0.upgrade().map(Authenticator)
    }
}

/// The program while it is in use. Clones share it; the last one dropped ends it.
#[derive(Clone)]
pub struct Authenticator(Arc<Running>);

impl Authenticator {
    /// Starts the program. Needs a running tokio runtime.
    #[must_use]
    pub fn start(options: HelperOptions, settings: &Dictionary) -> Self {
        let manner = manner(settings);
        let (notices, waiting) = Notices::begin();
        let helper = HelperProcess::new(options);
        let running = Self(Arc::new(Running { helper, manner, notices }));
        tokio::spawn(notices::tell(WeakAuthenticator(Arc::downgrade(&running.0)), waiting));
        running
    }

    /// True when it is run and asked just so.
    #[must_use]
    pub fn is_as(&self, options: &HelperOptions, settings: &Dictionary) -> bool {
        self.0.helper.options() == options && self.0.manner == manner(settings)
    }

    /// How often the program was started.
    #[must_use]
    pub fn starts(&self) -> u64 {
        self.0.helper.starts()
    }

    pub(crate) async fn ask(&self, about: &str, verb: &str, request: Line) -> Result<Word, String> {
        let said = match tokio::time::timeout(LONGEST_WAIT, self.0.helper.request(&*request)).await
        {
            Ok(Ok(response)) => words::read(&response),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(HelperError::TimedOut.to_string()),
        };
        tracing::debug!(target: "HELPER", tag = TAG, "{verb} {about}: {}", said.shown());
        Ok(said)
    }
}

impl ProvisionListener for Authenticator {
    fn hear(&self, what: Provisioned) {
        self.0.notices.note(what);
    }
}

fn manner(settings: &Dictionary) -> Manner {
    Manner {
        with_mode: switch(settings, "SendMode", true),
        read_plain: switch(settings, "ReadPlain", true),
    }
}

#[async_trait]
impl ExternalAuthenticator for Authenticator {
    async fn check(&self, asked: &Asked, proof: Proof<'_>) -> Result<Checked, String> {
        let request = words::check(asked, proof, self.0.manner.with_mode);
        match self.ask(&asked.full_name(), "VRFY", request).await? {
            Word::Ok => Ok(Checked::Right(None)),
            Word::Return(data) => Ok(Checked::Right(Some(data.into_bytes()))),
            Word::Error(_) => Ok(Checked::Wrong),
            later => Err(later.shown()),
        }
    }

    async fn read(&self, asked: &Asked) -> Result<Option<Secret>, String> {
        if !self.0.manner.read_plain {
            return Ok(None);
        }
        match self.ask(&asked.full_name(), "READPLAIN", words::read_plain(asked)).await? {
            Word::Plain(password) => Ok(Some(Secret::from(password.as_str()))),
            // OK says nothing: some answer so to whatever they do not know.
            Word::Error(_) | Word::Ok => Ok(None),
            later => Err(later.shown()),
        }
    }
}

#[async_trait]
impl UnknownConsultant for Authenticator {
    async fn consult(
        &self,
        name: &str,
        domain: &str,
        _: Option<IpAddr>,
    ) -> Result<Consulted, String> {
        let about = format!("{name}@{domain}");
        match self.ask(&about, "NEW", words::new_name(name, domain)).await? {
            Word::Ok => Ok(Consulted::LookAgain),
            Word::Routed(address) if !address.is_empty() => Ok(Consulted::Routed(address)),
            Word::Error(_) => Ok(Consulted::Unknown),
            later => Err(later.shown()),
        }
    }
}
