//! The worked examples of `reference/router.md` and the Router's bounds, over a small world of
//! domains and objects.

mod examples;
mod relaying;

use proptest::prelude::*;

use super::*;

fn router(table: &str) -> Router {
    Router {
        main_domain: "main.dom".into(),
        table: Table::read(table).unwrap(),
        add_main_domain: false,
    }
}

/// Domains main.dom, domain.dom (unknown names rerouted to the old server), plain.dom with the
/// alias alias.dom, drop.dom, bounce.dom; accounts joe, john.smith, client1, postmaster in main.
fn know(question: &Question) -> Answer {
    match question {
        Question::Domain(name) => {
            let policy = match name.as_str() {
                "main.dom" | "plain.dom" | "alias.dom" | "fict.local" | "asked.dom" => {
                    UnknownPolicy::Rejected
                }
                "domain.dom" => {
                    UnknownPolicy::ReroutedTo("*%domain.dom@otherserver.dom.smtp".into())
                }
                "drop.dom" => UnknownPolicy::Discarded,
                "bounce.dom" => UnknownPolicy::AcceptedAndBounced,
                "loop.dom" => UnknownPolicy::ReroutedTo("*@loop.dom".into()),
                _ => return Answer::Domain(None),
            };
            let name = if name == "alias.dom" { "plain.dom".into() } else { name.clone() };
            let all = name != "plain.dom";
            Answer::Domain(Some(DomainFacts {
                consult: name == "asked.dom",
                name,
                unknown: policy,
                all,
            }))
        }
        Question::Unknown { name, .. } => Answer::Unknown(match name.as_str() {
            "moved" => Consulted::Routed("joe@plain.dom".into()),
            "made" | "lied" => Consulted::LookAgain,
            _ => Consulted::Unknown,
        }),
        Question::Ip(ip) => Answer::Ip(match ip.to_string().as_str() {
            "127.0.0.1" => Some(None),
            "10.0.0.2" | "2001:db8::2" => Some(Some("plain.dom".into())),
            _ => None,
        }),
        Question::Object { domain, name } => {
            Answer::Object(match (domain.as_str(), name.as_str()) {
                (_, "joe") | ("main.dom", "postmaster" | "client1" | "user" | "smith") => {
                    Some(Object::Account { key: 7, name: name.clone() })
                }
                ("domain.dom", "smith") | ("dom2.com", "acc") => {
                    Some(Object::Account { key: 8, name: name.clone() })
                }
                ("main.dom", "nick") => Some(Object::Account { key: 7, name: "joe".into() }),
                ("plain.dom", "susan.smith") => {
                    Some(Object::Forwarder("susan@otherisp.dom".into()))
                }
                ("plain.dom", "nobody") => Some(Object::Forwarder("null".into())),
                ("plain.dom", "ring") => Some(Object::Forwarder("gnir@plain.dom".into())),
                ("plain.dom", "gnir") => Some(Object::Forwarder("ring@plain.dom".into())),
                ("plain.dom", "team") => Some(Object::Group),
                _ => None,
            })
        }
    }
}

fn travel(router: &Router, address: &str, kind: RouteKind, home: &str) -> (Outcome, Vec<String>) {
    let mut journey = router.start(address, kind, home);
    let mut step = journey.first();
    loop {
        match step {
            Step::Ask(question) => step = journey.answer(know(&question)),
            Step::Done(outcome) => return (outcome, journey.trace().to_vec()),
        }
    }
}

fn mail(table: &str, address: &str) -> String {
    show(&travel(&router(table), address, RouteKind::Mail, "").0)
}

fn show(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Local { name, domain, mailbox, detail, .. } => {
            let mut text = format!("LOCAL {name}@{domain}");
            if let Some(mailbox) = mailbox {
                text += &format!(" #{mailbox}");
            }
            if let Some(detail) = detail {
                text += &format!(" +{detail}");
            }
            text
        }
        Outcome::Remote { host, address, relay } => {
            let port = host.port.map(|p| format!(":{p}")).unwrap_or_default();
            let open = if *relay == RelayPermission::Granted { " open" } else { "" };
            let direct = if host.direct { " direct" } else { "" };
            format!("SMTP {}{port}{direct} {address}{open}", host.name)
        }
        Outcome::Group { domain, name } | Outcome::List { domain, name } => {
            format!("LIST {name}@{domain}")
        }
        Outcome::Discard => "NULL".into(),
        Outcome::Spamtrap => "SPAMTRAP".into(),
        Outcome::Bounce { address } => format!("BOUNCE {address}"),
        Outcome::Rejected { reason } => format!("ERROR {reason}"),
        Outcome::Unknown { name, domain } => format!("UNKNOWN {name}@{domain}"),
        Outcome::Wakeup { queue } => format!("WAKEUP {queue}"),
        Outcome::Pipe { command, relay } => {
            let open = if *relay == RelayPermission::Granted { " open" } else { "" };
            format!("PIPE {command}{open}")
        }
        Outcome::All { domain } => format!("ALL {}", domain.as_deref().unwrap_or("everywhere")),
    }
}

// router.md section 2
#[test]
fn all_spellings_of_a_route_go_to_the_first_system_first() {
    for text in ["<@zzzz.dom:xxxx@yyyyy.dom>", "xxxx%yyyyy.dom@zzzz.dom"] {
        assert_eq!(mail("", text), "SMTP zzzz.dom xxxx%yyyyy.dom@zzzz.dom");
    }
    assert_eq!(mail("", "zzzz.dom!yyyyy.dom!xxxx"), "SMTP zzzz.dom yyyyy.dom!xxxx@zzzz.dom");
    assert_eq!(mail("", "user%other.dom@main.dom"), "SMTP other.dom user@other.dom");
    assert_eq!(mail("", "user@main.dom"), "LOCAL user@main.dom");
    assert_eq!(mail("", "user"), "LOCAL user@main.dom");
    assert_eq!(mail("", "USER@MAIN.dom"), "LOCAL user@main.dom");
    assert_eq!(mail("", "joe%plain.dom"), "LOCAL joe@plain.dom");
    assert_eq!(mail("", "joe%domain.dom@plain.dom"), "LOCAL joe@domain.dom");
}

#[test]
fn own_addresses_lead_to_their_domain_and_foreign_ones_out() {
    assert_eq!(mail("", "joe@[127.0.0.1]"), "LOCAL joe@main.dom");
    assert_eq!(mail("", "joe@[10.0.0.2]"), "LOCAL joe@plain.dom");
    // RTE-05
    assert_eq!(mail("", "joe@[11.22.33.44]"), "SMTP 11.22.33.44 direct joe@[11.22.33.44]");
    assert_eq!(
        mail("", "aname%domain.dom@[11.22.33.44]"),
        "SMTP 11.22.33.44 direct aname@domain.dom"
    );
}

// RTE-01, router.md section 3.2
#[test]
fn domain_level_records_rewrite_the_domain() {
    let table = "plain2.dom = plain.dom\nlocalhost =\n*.old.dom = *.new.dom\nclient.com = client1.local\nunified.com = acc@dom2.com.domain\nbad.dom = error\n";
    assert_eq!(mail(table, "joe@plain2.dom"), "LOCAL joe@plain.dom");
    assert_eq!(mail(table, "joe@localhost"), "LOCAL joe@main.dom");
    assert_eq!(mail(table, "a@x.old.dom"), "SMTP x.new.dom a@x.new.dom open");
    // router.md section 8.8
    assert_eq!(mail(table, "anything@client.com"), "LOCAL client1@main.dom");
    assert_eq!(mail(table, "any@unified.com"), "LOCAL acc@dom2.com");
    assert_eq!(mail(table, "any@bad.dom"), "ERROR the address is refused");
}

#[test]
fn a_record_in_front_of_a_general_one_makes_an_exception() {
    let table = "sp.client.com = sp.client.com._via\n*.client.com = client1.local\n";
    assert_eq!(mail(table, "user@sp.client.com"), "SMTP sp.client.com user@sp.client.com open");
    assert_eq!(mail(table, "user@x.client.com"), "LOCAL client1@main.dom");
}

// RTE-01, RTE-02, RTE-15, router.md section 3.3
#[test]
fn account_level_records_rewrite_names() {
    let table = "<j.smith> = John@othercompany.com\n<*.smith@domain.dom> = Smith@domain.dom\n<sales-*@a.dom> = *-sales@b.dom\n<root> = postmaster\n<abuse@*> = postmaster\n<noreply@a.dom> = null\n<boss-private@a.dom> = error\n<bait@a.dom> = spamtrap\n";
    assert_eq!(mail(table, "j.smith"), "SMTP othercompany.com John@othercompany.com open");
    assert_eq!(mail(table, "j.smith@plain.dom"), "UNKNOWN j.smith@plain.dom");
    for name in ["john.smith", "Susan.Smith"] {
        assert_eq!(mail(table, &format!("{name}@domain.dom")), "LOCAL smith@domain.dom");
    }
    assert_eq!(mail(table, "sales-eu@a.dom"), "SMTP b.dom eu-sales@b.dom open");
    assert_eq!(mail(table, "root"), "LOCAL postmaster@main.dom");
    // router.md section 8.9
    assert_eq!(mail(table, "abuse@plain.dom"), "LOCAL postmaster@main.dom");
    assert_eq!(mail(table, "noreply@a.dom"), "NULL");
    assert_eq!(mail(table, "boss-private@a.dom"), "ERROR the address is refused");
    assert_eq!(mail(table, "bait@a.dom"), "SPAMTRAP");
}

// RTE-03, RTE-04, router.md section 8.1
#[test]
fn unknown_names_follow_the_setting_of_their_domain() {
    assert_eq!(mail("", "aname@domain.dom"), "SMTP otherserver.dom aname@domain.dom open");
    assert_eq!(mail("", "x@drop.dom"), "NULL");
    assert_eq!(mail("", "x@bounce.dom"), "BOUNCE x@bounce.dom");
    assert_eq!(mail("", "x@plain.dom"), "UNKNOWN x@plain.dom");
    assert_eq!(mail("", "a b@drop.dom"), "NULL");
    let (access, _) = travel(&router(""), "x@drop.dom", RouteKind::Access, "");
    assert_eq!(show(&access), "UNKNOWN x@drop.dom");
}

// RTE-06, RTE-07, router.md section 8.3
#[test]
fn one_server_behind_another_is_reached_without_mx() {
    let table = "Relay:friend.com = friend.com@relay.domain:25._via";
    assert_eq!(mail(table, "joe@friend.com"), "SMTP relay.domain:25 direct joe@friend.com open");
    let table = "Relay:friend.com = friend.com._via";
    assert_eq!(mail(table, "joe@friend.com"), "SMTP friend.com joe@friend.com open");
}

// RTE-13, router.md section 8.4
#[test]
fn several_domains_share_one_queue() {
    let table =
        "domain2.dom = domain2.dom@domain1.dom._via\ndomain3.dom = domain3.dom@domain1.dom._via";
    assert_eq!(mail(table, "u@domain3.dom"), "SMTP domain1.dom u@domain3.dom open");
    assert_eq!(mail("", "client.com@wakeup"), "WAKEUP client.com");
}

// RTE-16, RTE-17, router.md section 8.5
#[test]
fn personal_host_names_lead_to_accounts() {
    let secondary = router("*.domain.dom = *@domain.dom\n<LoginPage%*@domain.dom> = *@domain.dom");
    let (outcome, trace) = travel(&secondary, "LoginPage@joe.domain.dom", RouteKind::Access, "");
    assert_eq!(show(&outcome), "LOCAL joe@domain.dom");
    assert!(trace[0].starts_with("LoginPage@joe.domain.dom -> LoginPage%joe@domain.dom"));
    let main = router("*.main.dom = *@fict\n<LoginPage%*@fict> = *");
    let (outcome, _) = travel(&main, "LoginPage@joe.main.dom", RouteKind::Access, "");
    assert_eq!(show(&outcome), "LOCAL joe@main.dom");
}

// SYS-04, SYS-09, SYS-10, SYS-11, router.md section 8.2
#[test]
fn domain_aliases_aliases_forwarders_and_groups_lead_on() {
    assert_eq!(mail("", "joe@alias.dom"), "LOCAL joe@plain.dom");
    assert_eq!(mail("", "nick"), "LOCAL joe@main.dom");
    assert_eq!(mail("", "susan.smith@alias.dom"), "SMTP otherisp.dom susan@otherisp.dom open");
    assert_eq!(mail("", "nobody@plain.dom"), "NULL");
    assert_eq!(mail("", "Team@plain.dom"), "LIST team@plain.dom");
    assert_eq!(mail("www.client.com = alias.dom", "joe@www.client.com"), "LOCAL joe@plain.dom");
}

#[test]
fn mailbox_and_detail_are_split_off_before_the_look_up() {
    assert_eq!(mail("", "joe+lists@plain.dom"), "LOCAL joe@plain.dom +lists");
    assert_eq!(mail("", "Archive#joe@plain.dom"), "LOCAL joe@plain.dom #Archive");
}

#[test]
fn loops_end() {
    assert_eq!(mail("", "ring@plain.dom"), "ERROR routing loop");
    assert_eq!(mail("", "x@loop.dom"), "ERROR routing loop");
    assert_eq!(mail("a.dom = b.dom\nb.dom = a.dom", "x@a.dom"), "ERROR routing loop");
    assert_eq!(mail("<*@a.dom> = *x@a.dom", "x@a.dom"), "ERROR routing loop");
    assert_eq!(mail("a.dom = a.dom", "x@a.dom"), "SMTP a.dom x@a.dom");
}

#[test]
fn postmaster_and_the_mailer_daemon_are_known_everywhere() {
    assert_eq!(mail("", "postmaster@plain.dom"), "LOCAL postmaster@main.dom");
    assert_eq!(mail("", "MAILER-DAEMON@plain.dom"), "NULL");
}

#[test]
fn hosts_without_a_point_are_unknown_unless_the_main_domain_is_added() {
    assert_eq!(mail("", "joe@sales"), "ERROR unknown host");
    let mut qualifying = router("sales.main.dom = plain.dom");
    qualifying.add_main_domain = true;
    let (outcome, _) = travel(&qualifying, "joe@sales", RouteKind::Mail, "");
    assert_eq!(show(&outcome), "LOCAL joe@plain.dom");
}

// SYS-05
#[test]
fn an_unqualified_login_belongs_to_the_domain_of_the_address_it_came_in_on() {
    let (outcome, _) = travel(&router(""), "joe", RouteKind::Access, "plain.dom");
    assert_eq!(show(&outcome), "LOCAL joe@plain.dom");
    let (outcome, _) = travel(&router(""), "joe%domain.dom", RouteKind::Access, "plain.dom");
    assert_eq!(show(&outcome), "LOCAL joe@domain.dom");
}

#[test]
fn a_domain_of_ours_may_end_like_a_suffix() {
    assert_eq!(mail("", "joe@fict.local"), "LOCAL joe@fict.local");
    assert_eq!(mail("", "x@client1.local"), "LOCAL client1@main.dom");
    assert_eq!(mail("", "store arg@pipe"), "PIPE store arg");
    assert_eq!(mail("", "x@host.dom.relay"), "SMTP host.dom x@host.dom");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_address_has_an_outcome_whatever_the_table(
        table in prop::collection::vec(
            "(<[ab*.]{1,4}(@[ab*.]{1,4})?>|[ab*.]{1,5}) = [ab*.@%]{0,8}(\\.(_via|local|domain))?", 0..6),
        address in "[ab%!+#]{1,6}(@[ab.]{1,6}(\\.(_via|smtp|local|domain|dom))?)?",
    ) {
        if let Ok(table) = Table::read(&table.join("\n")) {
            let router = Router { main_domain: "main.dom".into(), table, add_main_domain: true };
            for kind in [RouteKind::Mail, RouteKind::Access, RouteKind::Signal] {
                let _ = travel(&router, &address, kind, "");
            }
        }
    }

    #[test]
    fn no_text_makes_the_router_panic(address in "\\PC{0,40}", table in "\\PC{0,60}") {
        if let Ok(table) = Table::read(&table) {
            let router = Router { main_domain: "main.dom".into(), table, add_main_domain: false };
            let _ = travel(&router, &address, RouteKind::Mail, "");
        }
    }
}
