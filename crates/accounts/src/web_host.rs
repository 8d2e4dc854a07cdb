//! Host names of web requests (`reference/router.md` section 8.5): `LoginPage@host` goes through
//! the Router like a login name, and what it comes to says whose pages are meant. It must never
//! know HTTP.

use std::net::IpAddr;

use angarium_store::{AccountId, StoreError};

use crate::{Accounts, RouteKind, RouteOutcome};

/// Longest host name taken, in bytes.
const MAX_HOST: usize = 512;

/// Whose pages a web host name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebHost {
    /// The login page of this domain.
    Domain(String),
    /// The site of this account.
    Account {
        /// The account.
        account: AccountId,
        /// Its name.
        name: String,
        /// Its domain.
        domain: String,
    },
    /// None of ours.
    Foreign,
}

impl Accounts {
    /// Whose pages are meant by the `Host` of a web request, with or without a port; an empty one
    /// means the domain of the address the connection came in on, `local_ip`. A network address
    /// means the domain it is assigned to, else the Main Domain.
    ///
    /// # Errors
    /// *Later*: the directory cannot be read.
    pub async fn web_host(
        &self,
        host: &str,
        local_ip: Option<IpAddr>,
    ) -> Result<WebHost, StoreError> {
        let host = host.trim();
        if host.len() > MAX_HOST || host.contains(['@', '%', '!', '<', '>', '"']) {
            return Ok(WebHost::Foreign);
        }
        let name = match host.rsplit_once(':') {
            Some((name, port))
                if port.bytes().all(|b| b.is_ascii_digit())
                    && (!name.contains(':') || name.ends_with(']')) =>
            {
                name
            }
            _ => host,
        };
        let address = name.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let address = if name.is_empty() { local_ip } else { address };
        if let Some(ip) = address {
            return Ok(WebHost::Domain(match self.domain_of_address(ip).await? {
                Some(domain) => domain,
                None => self.main_domain().await?,
            }));
        }
        if name.is_empty() {
            return Ok(WebHost::Domain(self.main_domain().await?));
        }
        let address = format!("LoginPage@{name}");
        match Box::pin(self.route(&address, RouteKind::Access, local_ip)).await {
            RouteOutcome::Local { account, account_name, domain, .. } => {
                Ok(WebHost::Account { account, name: account_name, domain })
            }
            RouteOutcome::Unknown { name, domain } if name == "loginpage" => {
                Ok(WebHost::Domain(domain))
            }
            RouteOutcome::Later { reason } => Err(StoreError::Unavailable(reason)),
            _ => Ok(WebHost::Foreign),
        }
    }
}
