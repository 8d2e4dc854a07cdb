//! The module PIPE: programs that take mail.

use super::{Effect, Kind, Setting, Who};

/// Sorted by key.
pub const PIPE_SETTINGS: &[Setting] = &[
    Setting {
        key: "Directory",
        kind: Kind::Text(1024),
        default: Some("\"\""),
        who: Who::Server,
        effect: Effect::Now,
        text: "Directory of the programs that take mail, an absolute path; empty for none.",
        since: "0.2",
    },
    Setting {
        key: "MaxSize",
        kind: Kind::Size,
        default: Some("\"32M\""),
        who: Who::Server,
        effect: Effect::Now,
        text: "Largest message given to a program.",
        since: "0.2",
    },
    Setting {
        key: "Processors",
        kind: Kind::Number(1, 100),
        default: Some("#5"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Programs that run at a time.",
        since: "0.2",
    },
    Setting {
        key: "Programs",
        kind: Kind::Words,
        default: Some("None"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Names of the programs in the directory that take mail: an array, None, or All.",
        since: "0.2",
    },
    Setting {
        key: "TimeLimit",
        kind: Kind::Duration,
        default: Some("5m"),
        who: Who::Server,
        effect: Effect::Now,
        text: "Time a program has for a message; then it is ended and the message tried again.",
        since: "0.2",
    },
    Setting {
        key: "WorkingDirectory",
        kind: Kind::Text(1024),
        default: Some("\"\""),
        who: Who::Server,
        effect: Effect::Now,
        text: "Directory the programs run in; empty for the one they are in.",
        since: "0.2",
    },
];
