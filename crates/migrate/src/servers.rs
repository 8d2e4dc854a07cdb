//! What the two servers say of themselves and of the account, for the report: product and
//! version (ID, RFC 2971), and quota. Decides nothing.

use serde::Serialize;

use crate::error::Result;
use crate::plan::Plan;
use crate::printable::printable;
use crate::quota::{self, Quota};
use crate::session::Session;

/// Longest identity kept, characters.
const LONGEST: usize = 120;

/// What one server told.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServerFacts {
    /// Product and version, if it says so.
    pub product: Option<String>,
    /// What the account uses and may use.
    pub quota: Vec<Quota>,
}

/// What both told.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Servers {
    /// The old server.
    pub source: ServerFacts,
    /// The new one.
    pub target: ServerFacts,
}

/// Asks both at once.
pub(crate) async fn of(source: &mut Session, target: &mut Session, plan: &Plan) -> Result<Servers> {
    let inbox = plan.mailboxes.iter().find(|p| p.source.eq_ignore_ascii_case("INBOX"));
    let names = inbox.or(plan.mailboxes.first());
    let old = names.map(|p| p.source_wire.as_slice());
    let new = names.map(|p| p.target_wire.as_slice());
    let (source, target) = tokio::try_join!(facts(source, old), facts(target, new))?;
    Ok(Servers { source, target })
}

async fn facts(session: &mut Session, mailbox: Option<&[u8]>) -> Result<ServerFacts> {
    let product = product(session);
    let quota = match mailbox {
        Some(name) => quota::of(session, name).await?,
        None => Vec::new(),
    };
    Ok(ServerFacts { product, quota })
}

/// Bounded and without control characters. The session has asked at its beginning.
fn product(session: &Session) -> Option<String> {
    let field = |name: &str| {
        let found = session.identity.id.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    };
    let name = field("name").or_else(|| field("vendor"))?;
    let words: Vec<&str> = [Some(name), field("version")].into_iter().flatten().collect();
    Some(printable(&words.join(" "), LONGEST))
}
