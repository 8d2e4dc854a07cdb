//! Stands where no program runs: what is switched off answers *never*, as nobody there will ever
//! accept; what should run and cannot answers *later*, as the fault is ours and will be mended.

use angarium_accounts::{
    Asked, Checked, Consulted, ExternalAuthenticator, Proof, Secret, SystemPasswords,
    UnknownConsultant,
};
use async_trait::async_trait;

/// Why no program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The setting has it switched off, or names none.
    Off,
    /// It cannot be run as the setting says.
    Unable,
    /// The server stops.
    Stopping,
}

impl Absent {
    /// `off` where nobody will ever answer.
    fn answer<T>(self, off: T) -> Result<T, String> {
        match self {
            Self::Off => Ok(off),
            Self::Unable => Err("the program cannot be run as it is set".to_owned()),
            Self::Stopping => Err("the server is stopping".to_owned()),
        }
    }
}

#[async_trait]
impl ExternalAuthenticator for Absent {
    async fn check(&self, _: &Asked, _: Proof<'_>) -> Result<Checked, String> {
        self.answer(Checked::Wrong)
    }

    async fn read(&self, _: &Asked) -> Result<Option<Secret>, String> {
        self.answer(None)
    }
}

#[async_trait]
impl SystemPasswords for Absent {
    async fn check(&self, _: &str, _: &Asked, _: &Secret) -> Result<bool, String> {
        self.answer(false)
    }
}

#[async_trait]
impl UnknownConsultant for Absent {
    async fn consult(
        &self,
        _: &str,
        _: &str,
        _: Option<std::net::IpAddr>,
    ) -> Result<Consulted, String> {
        self.answer(Consulted::Unknown)
    }
}
