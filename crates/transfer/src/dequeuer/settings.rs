//! The settings of the queue (modules `Queue` and `LOCAL`) as the dequeuer wants them. It must
//! never know where settings are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use angarium_objects::spelling;
use angarium_objects::value::{Dictionary, Value};

use crate::deliver::Channels;
use crate::recipients::LOCAL;
use crate::retry::{MAX_TIMES, Timetable};

/// Queues with settings of their own, and held ones, at most.
const MAX_NAMES: usize = 10_000;

/// What differs for one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    timetable: Timetable,
    channels: Option<usize>,
}

/// The settings, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueSettings {
    usual: Timetable,
    own: BTreeMap<String, Own>,
    held: BTreeSet<String>,
    full: Option<Timetable>,
    disabled: Option<Timetable>,
    processors: Option<usize>,
    /// Reports that cannot be delivered are kept for the postmaster.
    pub(crate) keep_failed_reports: bool,
}

fn seconds(value: &Value) -> Option<i64> {
    spelling::duration(value).and_then(|s| i64::try_from(s).ok())
}

fn times(value: &Value) -> Option<Vec<i64>> {
    match value {
        Value::Array(all) => all.iter().take(MAX_TIMES).map(seconds).collect(),
        one => seconds(one).map(|one| vec![one]),
    }
}

/// A timetable: what is said, over another one.
fn timetable(said: &Dictionary, usual: &Timetable) -> Timetable {
    Timetable {
        waits: said
            .get("RetryAfter")
            .and_then(times)
            .filter(|waits| !waits.is_empty())
            .unwrap_or_else(|| usual.waits.clone()),
        give_up: said.get("GiveUpAfter").and_then(seconds).unwrap_or(usual.give_up),
        warnings: said.get("WarnAfter").and_then(times).unwrap_or_else(|| usual.warnings.clone()),
    }
}

impl QueueSettings {
    /// Of the effective settings of the two modules.
    pub(crate) fn of(queue: &Dictionary, local: &Dictionary) -> Arc<Self> {
        let usual = timetable(queue, &Timetable::default());
        let mut own = BTreeMap::new();
        if let Some(said) = queue.get("QueueOverrides").and_then(Value::as_dictionary) {
            for (name, said) in said.iter().take(MAX_NAMES) {
                let Some(said) = said.as_dictionary() else { continue };
                let channels = said.get("Channels").and_then(Value::as_number);
                let channels = channels.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
                let timetable = timetable(said, &usual);
                own.insert(name.to_ascii_lowercase(), Own { timetable, channels });
            }
        }
        let held = match queue.get("HoldMailForDomains") {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => text.split([',', ' ', '\n', '\t']).collect(),
            _ => Vec::new(),
        };
        let held = held.into_iter().map(|name| name.trim().to_ascii_lowercase());
        let steady = |every: &str, give_up: &str| {
            let every = local.get(every).and_then(seconds)?;
            let give_up = local.get(give_up).and_then(seconds)?;
            Some(Timetable::steady(every, give_up, &usual.warnings))
        };
        let processors = local.get("Processors").and_then(Value::as_number);
        let keep = queue.get("CopyFailedReports").and_then(spelling::boolean);
        Arc::new(Self {
            own,
            held: held.filter(|name| !name.is_empty()).take(MAX_NAMES).collect(),
            full: steady("FullRetryEvery", "FullGiveUpAfter"),
            disabled: steady("DisabledRetryEvery", "DisabledGiveUpAfter"),
            processors: processors.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0),
            keep_failed_reports: keep.unwrap_or(true),
            usual,
        })
    }

    /// When a failure with this status in this queue is tried again.
    pub(crate) fn timetable(&self, module: &str, queue: &str, status: &str) -> &Timetable {
        let special = match (module, status) {
            (LOCAL, "4.2.2") => self.full.as_ref(),
            (LOCAL, "4.2.1") => self.disabled.as_ref(),
            _ => None,
        };
        special
            .or_else(|| self.own_of(module, queue).map(|own| &own.timetable))
            .unwrap_or(&self.usual)
    }

    fn own_of(&self, module: &str, queue: &str) -> Option<&Own> {
        if self.own.is_empty() || module == LOCAL {
            return None;
        }
        let queue = queue.to_ascii_lowercase();
        self.own.get(&queue).or_else(|| {
            // `*.domain` is for all below it.
            let mut rest = queue.as_str();
            while let Some((_, above)) = rest.split_once('.') {
                if let Some(own) = self.own.get(&format!("*.{above}")) {
                    return Some(own);
                }
                rest = above;
            }
            None
        })
    }

    /// What a module's channels are for one queue.
    pub(crate) fn channels(&self, module: &str, queue: &str, usual: Channels) -> Channels {
        if module == LOCAL {
            return Channels { total: self.processors.unwrap_or(usual.total), ..usual };
        }
        let own = self.own_of(module, queue).and_then(|own| own.channels);
        Channels { per_queue: own.unwrap_or(usual.per_queue), ..usual }
    }

    /// Whether a queue is kept until somebody asks for it (*Hold Mail for Domains*).
    pub(crate) fn is_held(&self, module: &str, queue: &str) -> bool {
        !self.held.is_empty() && module == "SMTP" && self.held.contains(&queue.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use angarium_objects::settings::Scope;
    use angarium_objects::text;

    use super::*;

    fn settings(queue: &str, local: &str) -> Arc<QueueSettings> {
        let parse = |scope: Scope, text: &str| match text::parse_line(text).unwrap() {
            Value::Dictionary(own) => scope.effective(&own),
            other => panic!("{other:?}"),
        };
        QueueSettings::of(&parse(Scope::Queue, queue), &parse(Scope::Local, local))
    }

    #[test]
    fn the_built_in_settings_are_the_timetable_of_the_reference() {
        let built_in = settings("{}", "{}");
        assert_eq!(*built_in.timetable("SMTP", "a.example", "4.4.1"), Timetable::default());
        assert!(!built_in.is_held("SMTP", "a.example") && built_in.keep_failed_reports);
    }

    #[test]
    fn a_queue_can_have_a_timetable_and_channels_of_its_own() {
        let s = settings(
            "{RetryAfter=(1m,2m);WarnAfter=();QueueOverrides={\"slow.example\"={GiveUpAfter=8d;};\
             \"*.example.org\"={RetryAfter=10m;Channels=2;};};}",
            "{FullRetryEvery=7m;FullGiveUpAfter=1d;}",
        );
        let slow = s.timetable("SMTP", "Slow.example", "4.4.1");
        assert_eq!((slow.give_up, &slow.waits), (8 * 86_400, &vec![60, 120]));
        let below = s.timetable("SMTP", "a.b.example.org", "4.4.1");
        assert_eq!((below.give_up, &below.waits), (4 * 86_400, &vec![600]));
        assert_eq!(s.channels("SMTP", "b.example.org", Channels::default()).per_queue, 2);
        assert_eq!(s.channels("SMTP", "example.org", Channels::default()).per_queue, 5);
        let full = s.timetable(LOCAL, "joe@a.example", "4.2.2");
        assert_eq!((full.give_up, &full.waits), (86_400, &vec![420]));
        assert_eq!(s.timetable(LOCAL, "joe@a.example", "4.3.0").waits, [60, 120]);
    }

    #[test]
    fn held_domains_are_named_in_an_array_or_a_text() {
        for text in ["(a.example,B.example)", "\"a.example, b.example\""] {
            let s = settings(&format!("{{HoldMailForDomains={text};}}"), "{}");
            assert!(s.is_held("SMTP", "A.example") && s.is_held("SMTP", "b.example"), "{text}");
            assert!(!s.is_held("SMTP", "c.example") && !s.is_held(LOCAL, "a.example"));
        }
    }
}
