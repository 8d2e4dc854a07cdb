//! Asking somebody outside about names a domain does not know (setting `ExternalOnUnknown`,
//! `reference/helpers.md` section 2): one question at a time for a name, and a "no" is remembered
//! for a minute. It must never know how the question is asked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use angarium_objects::name::FullName;
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use quick_cache::sync::Cache;
use tokio::sync::OnceCell;

pub use angarium_routing::Consulted;

/// Seconds a "no" is remembered.
const REMEMBERED: i64 = 60;
/// Names remembered as unknown.
const UNKNOWN_NAMES: usize = 10_000;
/// Names asked about at a time; further ones are answered with *later*.
const AT_ONCE: usize = 200;
/// Longest wait for an answer; the consultant has its own, shorter limits.
const LONGEST: Duration = Duration::from_secs(60);

/// Knows more names than the directory: the external authenticator.
#[async_trait]
pub trait UnknownConsultant: Send + Sync {
    /// What is to become of a name (lower case) of a domain of ours. It may make the account and
    /// answer [`Consulted::LookAgain`]. `peer` is the client on whose behalf it is asked, where
    /// one is known, so that nobody can have names guessed without end.
    ///
    /// # Errors
    /// *Later*: nobody answers now, or too much was asked; the text is for the log.
    async fn consult(
        &self,
        name: &str,
        domain: &str,
        peer: Option<IpAddr>,
    ) -> Result<Consulted, String>;
}

type Saying = Arc<OnceCell<Result<Consulted, String>>>;

/// The consultant with what is being asked and what was answered.
pub(crate) struct Consultations {
    consultant: ArcSwapOption<Box<dyn UnknownConsultant>>,
    /// For the domains that are taken over.
    old_servers: ArcSwapOption<Box<dyn UnknownConsultant>>,
    running: Mutex<HashMap<FullName, Saying>>,
    /// Until when a name counts as unknown, seconds since 1970.
    unknown: Cache<FullName, i64>,
}

impl Consultations {
    pub(crate) fn new() -> Self {
        Self {
            consultant: ArcSwapOption::empty(),
            old_servers: ArcSwapOption::empty(),
            running: Mutex::new(HashMap::new()),
            unknown: Cache::new(UNKNOWN_NAMES),
        }
    }

    pub(crate) fn set(&self, consultant: Option<Box<dyn UnknownConsultant>>) {
        self.consultant.store(consultant.map(Arc::new));
        self.unknown.clear();
    }

    pub(crate) fn set_old_servers(&self, consultant: Option<Box<dyn UnknownConsultant>>) {
        self.old_servers.store(consultant.map(Arc::new));
        self.unknown.clear();
    }

    pub(crate) fn available(&self) -> bool {
        self.consultant.load().is_some()
    }

    /// What the consultant says; `Unknown` when there is none.
    pub(crate) async fn ask(
        &self,
        name: String,
        domain: String,
        now: i64,
    ) -> Result<Consulted, String> {
        self.ask_one(self.consultant.load_full(), name, domain, None, now).await
    }

    /// What the domain's old server says; *later* when nobody asks it.
    pub(crate) async fn ask_old_server(
        &self,
        name: String,
        domain: String,
        peer: Option<IpAddr>,
        now: i64,
    ) -> Result<Consulted, String> {
        let Some(consultant) = self.old_servers.load_full() else {
            return Err("nobody asks old servers".into());
        };
        self.ask_one(Some(consultant), name, domain, peer, now).await
    }

    async fn ask_one(
        &self,
        consultant: Option<Arc<Box<dyn UnknownConsultant>>>,
        name: String,
        domain: String,
        peer: Option<IpAddr>,
        now: i64,
    ) -> Result<Consulted, String> {
        let Some(consultant) = consultant else { return Ok(Consulted::Unknown) };
        let key = FullName { name, domain };
        if self.unknown.get(&key).is_some_and(|until| now < until) {
            return Ok(Consulted::Unknown);
        }
        let saying = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if running.len() >= AT_ONCE && !running.contains_key(&key) {
                return Err("too many unknown names are being asked about".into());
            }
            Arc::clone(running.entry(key.clone()).or_default())
        };
        let asking = Asking { all: self, key: &key, saying: &saying };
        let said = saying
            .get_or_init(|| async {
                let question = consultant.consult(&key.name, &key.domain, peer);
                match tokio::time::timeout(LONGEST, question).await {
                    Ok(said) => said,
                    Err(_) => Err("the external authenticator does not answer".into()),
                }
            })
            .await
            .clone();
        drop(asking);
        if said == Ok(Consulted::Unknown) {
            self.unknown.insert(key, now.saturating_add(REMEMBERED));
        }
        said
    }
}

/// Takes a question off the list when whoever asked it is done or gone.
struct Asking<'a> {
    all: &'a Consultations,
    key: &'a FullName,
    saying: &'a Saying,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut running = self.all.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody who waits for the same answer goes on asking if this one was cut off.
        let waited_for = !self.saying.initialized() && Arc::strong_count(self.saying) > 2;
        if !waited_for && running.get(self.key).is_some_and(|one| Arc::ptr_eq(one, self.saying)) {
            running.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[derive(Default)]
    struct Stand {
        asked: AtomicUsize,
        go: Notify,
    }

    #[async_trait]
    impl UnknownConsultant for Arc<Stand> {
        async fn consult(
            &self,
            name: &str,
            _: &str,
            _: Option<IpAddr>,
        ) -> Result<Consulted, String> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.go.notified().await;
            match name {
                "made" => Ok(Consulted::LookAgain),
                "later" => Err("busy".into()),
                _ => Ok(Consulted::Unknown),
            }
        }
    }

    fn consultations() -> (Arc<Consultations>, Arc<Stand>) {
        let (all, stand) = (Arc::new(Consultations::new()), Arc::new(Stand::default()));
        all.set(Some(Box::new(Arc::clone(&stand))));
        (all, stand)
    }

    #[tokio::test]
    async fn a_name_is_asked_about_once_at_a_time_and_a_no_holds_for_a_minute() {
        let (all, stand) = consultations();
        let ask = |name: &'static str, now| {
            let all = Arc::clone(&all);
            async move { all.ask(name.into(), "a.dom".into(), now).await }
        };
        let both = async { tokio::join!(ask("x", 0), ask("x", 0), ask("x", 0)) };
        let go = async {
            tokio::task::yield_now().await;
            stand.go.notify_one();
        };
        let (said, ()) = tokio::join!(both, go);
        assert_eq!(said, (Ok(Consulted::Unknown), Ok(Consulted::Unknown), Ok(Consulted::Unknown)));
        assert_eq!(stand.asked.load(Ordering::SeqCst), 1);
        assert_eq!(ask("x", 59).await, Ok(Consulted::Unknown));
        assert_eq!(stand.asked.load(Ordering::SeqCst), 1);
        for (name, now, said, asked) in [
            ("x", 60, Ok(Consulted::Unknown), 2),
            ("made", 60, Ok(Consulted::LookAgain), 3),
            ("made", 60, Ok(Consulted::LookAgain), 4),
            ("later", 60, Err("busy".to_owned()), 5),
            ("later", 60, Err("busy".to_owned()), 6),
        ] {
            stand.go.notify_one();
            assert_eq!(ask(name, now).await, said, "{name}");
            assert_eq!(stand.asked.load(Ordering::SeqCst), asked, "{name}");
        }
        assert!(all.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_goes_on_when_the_first_to_ask_is_cut_off() {
        let (all, stand) = consultations();
        let first = {
            let all = Arc::clone(&all);
            tokio::spawn(async move { all.ask("x".into(), "a.dom".into(), 0).await })
        };
        tokio::task::yield_now().await;
        let second = {
            let all = Arc::clone(&all);
            tokio::spawn(async move { all.ask("x".into(), "a.dom".into(), 0).await })
        };
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.is_err());
        stand.go.notify_one();
        assert_eq!(second.await.unwrap(), Ok(Consulted::Unknown));
        assert!(all.running.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn too_many_questions_at_a_time_are_for_later() {
        let (all, stand) = consultations();
        let mut tasks = Vec::new();
        for number in 0..AT_ONCE {
            let all = Arc::clone(&all);
            tasks.push(tokio::spawn(async move {
                all.ask(format!("n{number}"), "a.dom".into(), 0).await
            }));
        }
        while stand.asked.load(Ordering::SeqCst) < AT_ONCE {
            tokio::task::yield_now().await;
        }
        assert!(all.ask("one-more".into(), "a.dom".into(), 0).await.is_err());
        for _ in 0..AT_ONCE {
            stand.go.notify_one();
            tokio::task::yield_now().await;
        }
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(Consulted::Unknown));
        }
    }
}
