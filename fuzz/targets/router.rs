//! Fuzzes the Router: the first line is an address, the rest a table; every question is answered
//! with what the bytes say.
#![no_main]

use angarium_routing::{Answer, Question, RouteKind, Router, Step, Table};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (address, table) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(table) = Table::read(table) else { return };
    let _ = table.review("main.dom");
    let router = Router { main_domain: "main.dom".into(), table, add_main_domain: true };
    let mut journey = router.start(address, RouteKind::Mail, "");
    let mut step = journey.first();
    while let Step::Ask(question) = step {
        step = journey.answer(match question {
            Question::Domain(name) if name.ends_with(".dom") => {
                let facts = angarium_routing::DomainFacts { name, consult: true, ..Default::default() };
                Answer::Domain(Some(facts))
            }
            Question::Domain(_) => Answer::Domain(None),
            Question::Ip(_) => Answer::Ip(None),
            Question::Object { .. } => Answer::Object(None),
            Question::Unknown { .. } => Answer::Unknown(angarium_routing::Consulted::LookAgain),
        });
    }
});
