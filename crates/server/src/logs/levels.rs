//! How much each module logs, changed while the server runs.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::reload::Handle;

use super::layer::most_detailed;

#[derive(Default)]
struct Table {
    usual: u8,
    modules: BTreeMap<&'static str, u8>,
}

/// The levels of a process. Clones share one table.
#[derive(Clone, Default)]
pub(crate) struct Levels {
    table: Arc<RwLock<Table>>,
    /// What is not wanted by any module is not even made.
    filter: Option<Handle<LevelFilter, Registry>>,
}

impl Levels {
    /// All modules at one level.
    pub(super) fn new(usual: u8) -> Self {
        let table = Table { usual, modules: BTreeMap::new() };
        Self { table: Arc::new(RwLock::new(table)), filter: None }
    }

    pub(super) fn with_filter(mut self, filter: Handle<LevelFilter, Registry>) -> Self {
        self.filter = Some(filter);
        self
    }

    /// A module's level; `None` is the usual one again.
    pub(crate) fn set(&self, module: &'static str, level: Option<u8>) {
        let most = {
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            let before = match level {
                Some(level) => table.modules.insert(module, level),
                None => table.modules.remove(module),
            };
            if before == level {
                return;
            }
            table.modules.values().copied().max().unwrap_or(0).max(table.usual)
        };
        if let Some(filter) = &self.filter {
            let _ = filter.modify(|all| *all = LevelFilter::from_level(most_detailed(most)));
        }
    }

    /// The level for records with this tag: `IMAP` and `IMAP-00042` belong to the module `IMAP`.
    pub(super) fn of(&self, tag: &str) -> u8 {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let own = table.modules.iter().find(|(module, _)| tag.starts_with(**module));
        own.map_or(table.usual, |(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_has_its_own_level_until_it_is_taken_back() {
        let levels = Levels::new(3);
        levels.set("IMAP", Some(5));
        assert_eq!(
            (levels.of("IMAP-00042"), levels.of("POP-00001"), levels.of("SYSTEM")),
            (5, 3, 3)
        );
        levels.set("IMAP", None);
        assert_eq!(levels.of("IMAP"), 3);
    }
}
