//! Annotations of a mailbox: named values that its users keep with it (RFC 5464), bounded, cheap
//! to clone. It must never know what a name means: who may see or set it is settled above.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

/// Changes of annotations by name: a new value, or `None` to remove it.
pub type AnnotationChanges = Vec<(String, Option<Bytes>)>;

/// All annotations of one mailbox. Clones share their memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(Option<Arc<BTreeMap<String, Bytes>>>);

/// Which bound of [`Annotations`] a change would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationBound {
    /// [`Annotations::MAX_ENTRIES`], or [`Annotations::MAX_OCTETS`] in all.
    #[error("a mailbox has a bounded number of annotations")]
    TooMany,
    /// [`Annotations::MAX_VALUE`].
    #[error("the value of an annotation has a bounded size")]
    TooLarge,
    /// [`Annotations::MAX_NAME`], or empty.
    #[error("the name of an annotation has a bounded length")]
    Name,
}

impl Annotations {
    /// Most annotations of one mailbox.
    pub const MAX_ENTRIES: usize = 1024;
    /// Longest name, in bytes.
    pub const MAX_NAME: usize = 1024;
    /// Largest value, in octets.
    pub const MAX_VALUE: usize = 64 * 1024;
    /// Names and values of one mailbox together, in octets.
    pub const MAX_OCTETS: usize = 512 * 1024;

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.len())
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.as_ref()?.get(name)
    }

    /// All, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().flat_map(|all| all.iter()).map(|(name, value)| (name.as_str(), value))
    }

    /// These with changes made, in their order; all or none.
    ///
    /// # Errors
    /// The bound that would be passed. What only removes is never refused.
    pub fn changed(&self, changes: &[(String, Option<Bytes>)]) -> Result<Self, AnnotationBound> {
        let mut all = self.0.as_deref().cloned().unwrap_or_default();
        let mut grows = false;
        for (name, value) in changes {
            let Some(value) = value else {
                all.remove(name);
                continue;
            };
            if name.is_empty() || name.len() > Self::MAX_NAME {
                return Err(AnnotationBound::Name);
            }
            if value.len() > Self::MAX_VALUE {
                return Err(AnnotationBound::TooLarge);
            }
            grows = true;
            all.insert(name.clone(), value.clone());
        }
        let octets: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
        if grows && (all.len() > Self::MAX_ENTRIES || octets > Self::MAX_OCTETS) {
            return Err(AnnotationBound::TooMany);
        }
        Ok(all.into_iter().collect())
    }
}

impl FromIterator<(String, Bytes)> for Annotations {
    fn from_iter<I: IntoIterator<Item = (String, Bytes)>>(all: I) -> Self {
        let all: BTreeMap<String, Bytes> = all.into_iter().collect();
        Self(if all.is_empty() { None } else { Some(Arc::new(all)) })
    }
}
