//! Which numbers of the old server are kept at a new one that takes them, and where POP's unique
//! ids come from.

use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::keep_ids::pop_ids::Format;

/// The options on numbers.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NumberOptions {
    /// Give new UIDs even where the new server would keep the old ones.
    #[arg(long = "noKeepUids")]
    pub no_keep_uids: bool,
    /// Keep POP's unique ids: ask this POP server (HOST[:PORT]) for those of the INBOX, with the
    /// login of the old server.
    #[arg(long = "popUidls", value_name = "SERVER", conflicts_with = "pop_uidl_format")]
    pub pop_uidls: Option<String>,
    /// Keep POP's unique ids, which the old server makes so: dovecot, cyrus, communigate, courier,
    /// or a format such as %08Xu%08Xv (%u the UID, %v UIDVALIDITY).
    #[arg(long = "popUidlFormat", value_name = "FORMAT")]
    pub pop_uidl_format: Option<String>,
}

/// Which numbers are kept in one run.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// None, even where the new server would.
    pub none: bool,
    /// The POP server to be asked for unique ids.
    pub pop_server: Option<Endpoint>,
    /// How the old server makes them.
    pub pop_format: Option<Format>,
}

impl NumberOptions {
    /// What the options say.
    ///
    /// # Errors
    /// `Usage`, saying what to write instead.
    pub fn numbers(&self) -> Result<Numbers> {
        let pop_server =
            self.pop_uidls.as_deref().map(|server| Endpoint::parse(server, 110)).transpose()?;
        let pop_format = self.pop_uidl_format.as_deref().map(Format::parse).transpose()?;
        Ok(Numbers { none: self.no_keep_uids, pop_server, pop_format })
    }
}

impl Numbers {
    /// True when POP's unique ids are to be kept.
    #[must_use]
    pub fn asks_for_pop_ids(&self) -> bool {
        self.pop_server.is_some() || self.pop_format.is_some()
    }
}
