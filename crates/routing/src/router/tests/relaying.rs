//! Who may relay by what the Router says, and who may start a program: prefixes, nested local
//! parts, and the attempts of ABU-05 and ABU-07.

use super::*;
use crate::relay::{self, RelayFacts};

// RTE-08, router.md section 4
#[test]
fn prefixes_decide_who_may_relay() {
    let to = "client.com = client.com@relay.dom._via";
    let simple = "SMTP relay.dom joe@client.com";
    assert_eq!(mail(to, "joe@client.com"), format!("{simple} open"));
    assert_eq!(mail(&format!("NoRelay:{to}"), "joe@client.com"), simple);
    assert_eq!(mail(&format!("RelayAll:{to}"), "joe@client.com"), format!("{simple} open"));
    let nested = "victim%x.dom@client.com";
    assert_eq!(mail(&format!("Relay:{to}"), nested), "SMTP relay.dom victim%x.dom@client.com");
    assert_eq!(
        mail(&format!("RelayAll:{to}"), nested),
        "SMTP relay.dom victim%x.dom@client.com open"
    );
    let signal = router("NoRelay:Signal:<911@*> = joe@plain.dom");
    let (outcome, _) = travel(&signal, "911@main.dom", RouteKind::Signal, "");
    assert_eq!(show(&outcome), "LOCAL joe@plain.dom");
    let (outcome, _) = travel(&signal, "911@main.dom", RouteKind::Mail, "");
    assert_eq!(show(&outcome), "UNKNOWN 911@main.dom");
}

#[test]
fn nobody_relays_through_names_of_ours_with_a_route_inside() {
    for address in [
        "v%x.dom@main.dom",
        "v%x.dom@plain.dom",
        "x.dom!v@main.dom",
        "\"v%x.dom\"@main.dom",
        "<@main.dom:v@x.dom>",
    ] {
        assert_eq!(mail("plain2.dom = plain.dom", address), "SMTP x.dom v@x.dom", "{address}");
    }
    assert_eq!(mail("plain2.dom = plain.dom", "v%x.dom@plain2.dom"), "SMTP x.dom v@x.dom");
}

// ABU-05
#[test]
fn no_spelling_of_a_foreign_address_is_granted_relaying() {
    let table = format!(
        "{}plain2.dom = plain.dom\nclient.com = client1.local\nNoRelay:own.dom = own.dom._via\n\
         behind.dom = behind.dom@relay.dom:25._via\n<*@names.dom> = *\n",
        crate::DEFAULT_TABLE
    );
    let ours = [
        "main.dom",
        "plain.dom",
        "alias.dom",
        "domain.dom",
        "plain2.dom",
        "client.com",
        "behind.dom",
        "names.dom",
        "own.dom",
        "localhost",
        "[127.0.0.1]",
        "127.0.0.1",
        "[10.0.0.2]",
        "relay.dom._via",
        "x.dom.smtp",
        "x.dom.via",
        "x.dom:25._via",
        "[1.2.3.4]",
        "main.dom.",
        "MAIN.DOM",
        "x.dom.relay",
        "x.dom.domain",
        "x.dom._local",
    ];
    let plain = [
        "v@x.dom",
        "v@x.dom.",
        "v@[1.2.3.4]",
        "x.dom!v",
        "v@\u{ff58}.dom",
        "v%x.dom",
        "v@x.dom._via",
        "v@x.dom.25.smtp",
        "<@x.dom:v@y.dom>",
        "\"v@x.dom\"",
        "v\u{ff20}x.dom",
    ];
    let mut forms: Vec<String> = plain.iter().map(|text| (*text).to_owned()).collect();
    for host in ours {
        for local in [
            "v%x.dom",
            "x.dom!v",
            "\"v@x.dom\"",
            "\"v%x.dom\"",
            "v%x.dom%y.dom",
            "x.dom!y.dom!v",
            "v%[1.2.3.4]",
            "v%x.dom._via",
            "+v%x.dom",
            "a#v%x.dom",
            "%x.dom",
            "!x",
        ] {
            forms.push(format!("{local}@{host}"));
            forms.push(format!("<@{host}:v@x.dom>"));
            forms.push(format!("@x.dom,@{host}:v@y.dom"));
            forms.push(format!("{host}!x.dom!v"));
        }
    }
    for form in &forms {
        let shown = mail(&table, form);
        // Names of domain.dom that do not exist go to its old server, in that server's own
        // envelope: the local part must be a simple name then.
        assert!(!shown.contains("open"), "{form}: {shown}");
    }
}

/// The thirty forms of ABU-05 and what a stranger hears: whether mail to `v@victim.com` could be
/// sent with them. Every one is tried over a table full of records that permit something.
// ABU-05
#[test]
fn abu_05_thirty_forms_of_an_open_relay_are_refused() {
    let table = format!(
        "{}client.com = client.com@relay.dom._via\n*.client.com = *.client.com@relay.dom._via\n\
         list.dom = plain.dom\n<*@names.dom> = *@names.dom._via\n*.host.dom = *@domain.dom\n\
         *.com = *.com@smart.dom._via\n",
        crate::DEFAULT_TABLE
    );
    let forms = [
        "v@victim.com",
        "v@victim.com.",
        "V@VICTIM.COM",
        "v@[192.0.2.66]",
        "v@192.0.2.66",
        "v@[IPv6:2001:db8::66]",
        "v%victim.com@main.dom",
        "v%victim.com@plain.dom",
        "v%victim.com@client.com",
        "v%victim.com%client.com@main.dom",
        "v%victim.com@[127.0.0.1]",
        "v%victim.com@localhost",
        "victim.com!v",
        "victim.com!v@main.dom",
        "client.com!victim.com!v",
        "<@main.dom:v@victim.com>",
        "<@client.com:v@victim.com>",
        "<@main.dom,@client.com:v@victim.com>",
        "\"v@victim.com\"",
        "\"v@victim.com\"@main.dom",
        "\"v%victim.com\"@client.com",
        "\"v@victim.com\"@client.com",
        "\"v@victim.com\"@names.dom",
        "@victim.com",
        "%victim.com@main.dom",
        "v@victim.com._via",
        "v@victim.com.smtp",
        "v@victim.com:25._via",
        "v%victim.com@[192.0.2.66]._via",
        "v@victim.com.relay",
        "v@\u{ff56}\u{ff49}\u{ff43}\u{ff54}\u{ff49}\u{ff4d}.com",
        "v\u{ff20}victim.com",
        "v\u{ff05}victim.com@main.dom",
        "v@victim.com.host.dom",
        "all#v%victim.com@plain.dom",
        "joe%victim.com+x@domain.dom",
    ];
    assert!(forms.len() >= 30);
    for form in forms {
        for kind in [RouteKind::Mail, RouteKind::Signal] {
            let (outcome, trace) = travel(&router(&table), form, kind, "");
            let Outcome::Remote { address, relay, .. } = outcome else { continue };
            let stranger = RelayFacts {
                permission: relay,
                nested: relay::nested(&address),
                backed_up: false,
                ..RelayFacts::default()
            };
            assert!(!relay::decide(stranger).may(), "{form}: {trace:#?}");
            // Our own clients may, as with any address.
            let client = RelayFacts { client_address: true, ..stranger };
            assert!(relay::decide(client).may(), "{form}");
        }
    }
    // What the records are for does work.
    for (address, shown) in [
        ("joe@client.com", "SMTP relay.dom joe@client.com open"),
        ("joe@x.client.com", "SMTP relay.dom joe@x.client.com open"),
        ("joe@list.dom", "LOCAL joe@plain.dom"),
        ("joe@names.dom", "SMTP names.dom joe@names.dom open"),
        ("joe@elsewhere.com", "SMTP smart.dom joe@elsewhere.com"),
    ] {
        assert_eq!(mail(&table, address), shown);
    }
}

// ABU-05
#[test]
fn permission_for_a_domain_of_ours_is_not_carried_to_a_system_inside_the_name() {
    // The local part is simple until the record takes it apart.
    let table = "*.host.dom = *@domain.dom";
    assert_eq!(mail(table, "v@victim.com.host.dom"), "SMTP victim.com v@victim.com");
    assert_eq!(
        mail(&format!("RelayAll:{table}"), "v@victim.com.host.dom"),
        "SMTP victim.com v@victim.com open"
    );
}

// ABU-07
#[test]
fn programs_are_started_by_records_that_name_them_and_by_nobody_else() {
    let table = "<in-*@a.dom> = \"store --box=*\"@pipe\nx.dom = main.dom\n*.y.dom = *\n\
                 <*@z.dom> = fixed@*.pipe.dom\n";
    assert_eq!(mail(table, "in-joe@a.dom"), "PIPE store --box=joe open");
    for address in [
        "\"rm -rf /\"@pipe",
        "\"store x\"%pipe@x.dom",
        "store%pipe@main.dom",
        "store@pipe.y.dom",
        "pipe!store",
        "<@main.dom:store@pipe>",
        "store@any.pipe",
    ] {
        let shown = mail(table, address);
        assert!(!shown.ends_with("open"), "{address}: {shown}");
    }
    // Text from outside becomes a plain word of a parameter or nothing.
    for local in [
        "\"in-a b\"",
        "\"in-;rm\"",
        "in-$(id)",
        "in-`id`",
        "in-|x",
        "\"in-\\\"\"",
        "in--f",
        "in-../x",
        "\"in-a\tb\"",
        "in-/etc",
        "in-:include:",
        "in-'x'",
        "in-*",
    ] {
        let shown = mail(table, &format!("{local}@a.dom"));
        assert!(!shown.starts_with("PIPE"), "{local}: {shown}");
    }
    for wrong in [
        "<*@a.dom> = *@pipe",
        "<*@a.dom> = \"* x\"@pipe",
        "a.dom = pipe",
        "a.dom = store@pipe",
        "a.dom = x.pipe",
        "<a@b.dom> = \" \"@pipe",
    ] {
        assert!(Table::read(wrong).is_err(), "{wrong}");
    }
}
