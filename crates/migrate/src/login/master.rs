//! Logging in for somebody else, each server in its own way. Pure.

use std::str::FromStr;

use crate::product::Product;

/// How a master user names the account it logs in for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MasterStyle {
    /// By what the server says it is.
    #[default]
    Auto,
    /// `user*master` as login name (Dovecot).
    Dovecot,
    /// The account as authorization identity of SASL (Cyrus, Zimbra, Angarium, most others).
    Authzid,
    /// `DOMAIN/admin/user` as login name (Exchange).
    Exchange,
    /// Login as the master, then PROXYAUTH (Netscape, iPlanet, Sun, Angarium).
    ProxyAuth,
}

impl MasterStyle {
    /// Its word on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dovecot => "dovecot",
            Self::Authzid => "authzid",
            Self::Exchange => "exchange",
            Self::ProxyAuth => "proxyauth",
        }
    }
}

impl FromStr for MasterStyle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "dovecot" => Ok(Self::Dovecot),
            "authzid" | "cyrus" | "zimbra" => Ok(Self::Authzid),
            "exchange" => Ok(Self::Exchange),
            "proxyauth" => Ok(Self::ProxyAuth),
            _ => Err(format!(
                "\"{text}\" is no way of a master user; one of auto, dovecot, authzid, exchange, \
                 proxyauth"
            )),
        }
    }
}

/// The master user of a side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    /// Its login name.
    pub name: String,
    /// How it names accounts.
    pub style: MasterStyle,
}

/// One way of logging in: who, for whom, and what comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Login name.
    pub(crate) name: String,
    /// Authorization identity.
    pub(crate) acts_for: Option<String>,
    /// PROXYAUTH afterwards.
    pub(crate) proxy_auth: Option<String>,
}

/// The ways worth trying for `user`, the likeliest first; never more than two, since each that
/// fails counts as a failed login over there.
pub(crate) fn ways(
    user: &str,
    master: Option<&Master>,
    proxy_auth: Option<&str>,
    product: Product,
) -> Vec<Way> {
    let Some(master) = master else {
        return vec![Way {
            name: user.to_owned(),
            acts_for: None,
            proxy_auth: proxy_auth.map(str::to_owned),
        }];
    };
    let styles = match master.style {
        MasterStyle::Auto => likely(product),
        style => vec![style],
    };
    let mut all: Vec<Way> =
        styles.into_iter().map(|style| way(user, &master.name, style)).collect();
    if let Some(user) = proxy_auth {
        all.iter_mut().for_each(|way| way.proxy_auth = Some(user.to_owned()));
    }
    all
}

/// The ways of a product's master users, the likeliest first.
pub(crate) fn likely(product: Product) -> Vec<MasterStyle> {
    match product {
        Product::Dovecot => vec![MasterStyle::Dovecot, MasterStyle::Authzid],
        Product::Exchange => vec![MasterStyle::Exchange],
        Product::Netscape => vec![MasterStyle::ProxyAuth],
        Product::Cyrus | Product::Zimbra | Product::Angarium => vec![MasterStyle::Authzid],
        _ => vec![MasterStyle::Authzid, MasterStyle::Dovecot],
    }
}

fn way(user: &str, master: &str, style: MasterStyle) -> Way {
    let alone = |name: String| Way { name, acts_for: None, proxy_auth: None };
    match style {
        MasterStyle::Dovecot => alone(format!("{user}*{master}")),
        MasterStyle::Exchange => alone(format!("{master}/{user}")),
        MasterStyle::ProxyAuth => {
            Way { name: master.to_owned(), acts_for: None, proxy_auth: Some(user.to_owned()) }
        }
        MasterStyle::Auto | MasterStyle::Authzid => {
            Way { name: master.to_owned(), acts_for: Some(user.to_owned()), proxy_auth: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(
        style: MasterStyle,
        product: Product,
    ) -> Vec<(String, Option<String>, Option<String>)> {
        let master = Master { name: "admin".into(), style };
        ways("joe", Some(&master), None, product)
            .into_iter()
            .map(|w| (w.name, w.acts_for, w.proxy_auth))
            .collect()
    }

    #[test]
    fn each_server_hears_of_the_account_in_its_own_way() {
        let dovecot = names(MasterStyle::Auto, Product::Dovecot);
        assert_eq!(dovecot[0], ("joe*admin".into(), None, None));
        let cyrus = names(MasterStyle::Auto, Product::Cyrus);
        assert_eq!(cyrus, [("admin".into(), Some("joe".into()), None)]);
        assert_eq!(names(MasterStyle::Auto, Product::Zimbra), cyrus);
        let exchange = names(MasterStyle::Auto, Product::Exchange);
        assert_eq!(exchange, [("admin/joe".into(), None, None)]);
        let sun = names(MasterStyle::Auto, Product::Netscape);
        assert_eq!(sun, [("admin".into(), None, Some("joe".into()))]);
        assert_eq!(names(MasterStyle::ProxyAuth, Product::Dovecot), sun);
        assert!(names(MasterStyle::Auto, Product::Unknown).len() <= 2);
    }

    #[test]
    fn without_a_master_the_account_logs_in_itself() {
        let plain = ways("joe", None, Some("ann"), Product::Dovecot);
        assert_eq!(plain[0].name, "joe");
        assert_eq!(plain[0].proxy_auth.as_deref(), Some("ann"));
    }

    #[test]
    fn the_words_of_the_command_line() {
        for style in [MasterStyle::Auto, MasterStyle::Dovecot, MasterStyle::ProxyAuth] {
            assert_eq!(style.word().parse(), Ok(style));
        }
        assert_eq!("Cyrus".parse(), Ok(MasterStyle::Authzid));
        assert!("sudo".parse::<MasterStyle>().is_err());
    }
}
