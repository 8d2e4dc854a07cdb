//! The worked examples of `reference/router.md`, section by section: each row an address as it
//! comes in and where it leads, with the RTE id it belongs to where it has one.

use super::*;

/// One row: the feature it shows, the address, where it leads.
type Row<'a> = (&'a str, &'a str, &'a str);

fn hold(table: &str, kind: RouteKind, rows: &[Row<'_>]) {
    for (id, address, outcome) in rows {
        let (found, trace) = travel(&router(table), address, kind, "");
        assert_eq!(show(&found), *outcome, "{id} {address}: {trace:#?}");
    }
}

/// The steps of a journey, without the reasons.
fn steps(table: &str, address: &str, kind: RouteKind) -> Vec<String> {
    let (_, mut trace) = travel(&router(table), address, kind, "");
    trace.pop();
    trace.iter().map(|step| step.split(" (").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn section_2_every_form_of_an_address() {
    let rows = [
        ("", "xxxx@yyyyy.dom", "SMTP yyyyy.dom xxxx@yyyyy.dom"),
        ("", "<@zzzz.dom:xxxx@yyyyy.dom>", "SMTP zzzz.dom xxxx%yyyyy.dom@zzzz.dom"),
        ("", "<@a.dom,@b.dom:x@y.dom>", "SMTP a.dom x%y.dom%b.dom@a.dom"),
        ("", "zzzz.dom!yyyyy.dom!xxxx", "SMTP zzzz.dom yyyyy.dom!xxxx@zzzz.dom"),
        ("", "xxxx%yyyyy.dom@zzzz.dom", "SMTP zzzz.dom xxxx%yyyyy.dom@zzzz.dom"),
        ("", "user", "LOCAL user@main.dom"),
        ("", "\"a b\"@other.dom", "SMTP other.dom \"a b\"@other.dom"),
        // Rules 1 to 3: case, the Main Domain dropped, the last % and the first !.
        ("", "USER@Main.DOM.", "LOCAL user@main.dom"),
        ("", "user%other.dom@main.dom", "SMTP other.dom user@other.dom"),
        ("", "user@main.dom", "LOCAL user@main.dom"),
        ("", "a%b.dom%c.dom@main.dom", "SMTP c.dom a%b.dom@c.dom"),
        ("", "b.dom!c.dom!a@main.dom", "SMTP b.dom c.dom!a@b.dom"),
        ("", "<@main.dom:joe@plain.dom>", "LOCAL joe@plain.dom"),
        // Rule 5: routes in a Secondary Domain, after the look-up found nothing.
        ("", "joe%domain.dom@plain.dom", "LOCAL joe@domain.dom"),
        ("", "domain.dom!joe@plain.dom", "LOCAL joe@domain.dom"),
        // Rule 6: names in native characters.
        ("", "a@b\u{fc}cher.example", "SMTP xn--bcher-kva.example a@xn--bcher-kva.example"),
        ("", "joe@PLAIN\u{3002}dom", "LOCAL joe@plain.dom"),
    ];
    hold("", RouteKind::Mail, &rows);
    // Rule 4: names without a point.
    let mut qualifying = router("");
    assert_eq!(
        show(&travel(&qualifying, "user@sales", RouteKind::Mail, "").0),
        "ERROR unknown host"
    );
    qualifying.add_main_domain = true;
    let (outcome, _) = travel(&qualifying, "user@sales", RouteKind::Mail, "");
    assert_eq!(show(&outcome), "SMTP sales.main.dom user@sales.main.dom");
}

// RTE-01, RTE-02
#[test]
fn section_3_1_patterns() {
    let table = "<(3d)@a.dom> = short-*@b.dom\n<(7-15d)@a.dom> = tel-*@b.dom\n\
                 <(10+d)x@a.dom> = long-*@b.dom\n<(2h)-(2l)@a.dom> = *-*@b.dom\n\
                 <sales-*@*.old.dom> = *@*.new.dom ; two stars, in order\n\
                 ; a comment\n\n<Any*Case@a.dom> = *@b.dom\n";
    let rows = [
        ("RTE-01", "911@a.dom", "SMTP b.dom short-911@b.dom open"),
        ("RTE-01", "9112@a.dom", "SMTP a.dom 9112@a.dom"),
        ("RTE-01", "1234567@a.dom", "SMTP b.dom tel-1234567@b.dom open"),
        ("RTE-01", "12345678901x@a.dom", "SMTP b.dom long-12345678901@b.dom open"),
        ("RTE-01", "fF-xy@a.dom", "SMTP b.dom fF-xy@b.dom open"),
        ("RTE-01", "fg-xy@a.dom", "SMTP a.dom fg-xy@a.dom"),
        ("RTE-02", "sales-eu@x.old.dom", "SMTP x.new.dom eu@x.new.dom open"),
        ("RTE-02", "ANYcase@A.dom", "SMTP a.dom ANYcase@a.dom"),
        ("RTE-02", "any.case@a.dom", "SMTP b.dom .@b.dom open"),
    ];
    // The star of the last record may stand for nothing, and then makes no address.
    for row in rows {
        if row.1 == "any.case@a.dom" {
            assert!(mail(table, row.1).starts_with("SMTP b.dom"));
        } else {
            hold(table, RouteKind::Mail, &[row]);
        }
    }
}

// RTE-01
#[test]
fn section_3_2_domain_level_records() {
    let table = "mycompany.com = company.com\nlocalhost =\nmailhost =\n*.old.dom = *.new.dom\n\
                 client.com = client1.local\nunified.com = acc@dom2.com.domain\nbad.dom = error\n";
    let rows = [
        ("RTE-01", "joe@mycompany.com", "SMTP company.com joe@company.com open"),
        ("RTE-01", "joe@localhost", "LOCAL joe@main.dom"),
        ("RTE-01", "joe@mailhost", "LOCAL joe@main.dom"),
        ("RTE-01", "a@x.old.dom", "SMTP x.new.dom a@x.new.dom open"),
        ("RTE-01", "any@client.com", "LOCAL client1@main.dom"),
        ("RTE-01", "any@unified.com", "LOCAL acc@dom2.com"),
        ("RTE-01", "any@bad.dom", "ERROR the address is refused"),
    ];
    hold(table, RouteKind::Mail, &rows);
    let exception = "sp.client.com = sp.client.com._via\n*.client.com = client1.local\n";
    let rows = [
        ("RTE-06", "u@sp.client.com", "SMTP sp.client.com u@sp.client.com open"),
        ("RTE-01", "u@other.client.com", "LOCAL client1@main.dom"),
    ];
    hold(exception, RouteKind::Mail, &rows);
}

// RTE-01, RTE-02, RTE-15
#[test]
fn section_3_3_account_level_records() {
    let table = "<j.smith> = John@othercompany.com\n<*.smith@domain.dom> = Smith@domain.dom\n\
                 <sales-*@a.dom> = *-sales@b.dom\n<LoginPage%*@domain.dom> = *@domain.dom\n\
                 <root> = postmaster\n<joe@self.dom> = joe@self.dom\n";
    let rows = [
        ("RTE-15", "j.smith", "SMTP othercompany.com John@othercompany.com open"),
        ("RTE-02", "john.smith@domain.dom", "LOCAL smith@domain.dom"),
        ("RTE-02", "susan.smith@domain.dom", "LOCAL smith@domain.dom"),
        ("RTE-01", "sales-eu@a.dom", "SMTP b.dom eu-sales@b.dom open"),
        ("RTE-16", "LoginPage%joe@domain.dom", "LOCAL joe@domain.dom"),
        ("RTE-01", "root", "LOCAL postmaster@main.dom"),
        // A record that changes nothing is skipped.
        ("RTE-01", "joe@self.dom", "SMTP self.dom joe@self.dom"),
    ];
    hold(table, RouteKind::Mail, &rows);
    hold(table, RouteKind::Access, &rows[..1]);
}

#[test]
fn section_3_4_default_records() {
    let rows = [
        ("RTE-01", "root", "LOCAL postmaster@main.dom"),
        ("RTE-01", "joe@localhost", "LOCAL joe@main.dom"),
        ("RTE-01", "blacklist-admin%main.dom@blacklisted", "LOCAL postmaster@main.dom"),
        ("RTE-01", "joe%main.dom@blacklisted", "ERROR the sending host is blacklisted"),
    ];
    hold(crate::DEFAULT_TABLE, RouteKind::Mail, &rows);
}

#[test]
fn section_5_special_names() {
    let table = "<noreply> = null\n<old@dom.com> = error\nbad.dom = error\n<bait@dom.com> = spamtrap\n\
                 <wakeup-client1> = client1.com@wakeup\n<store@dom.com> = \"store arg\"@pipe\n\
                 <postbox-*@blacklisted> = *@plain.dom\n";
    let rows = [
        ("RTE-01", "noreply", "NULL"),
        ("RTE-01", "old@dom.com", "ERROR the address is refused"),
        ("RTE-01", "x@bad.dom", "ERROR the address is refused"),
        ("", "null", "NULL"),
        ("", "x@null", "NULL"),
        ("", "x@error", "ERROR the address is refused"),
        ("", "bait@dom.com", "SPAMTRAP"),
        ("", "spamtrap@main.dom", "SPAMTRAP"),
        ("", "user%dom.com@blacklisted", "ERROR the sending host is blacklisted"),
        ("", "postbox-joe@blacklisted", "LOCAL joe@plain.dom"),
        ("RTE-10", "client.com@wakeup", "WAKEUP client.com"),
        ("RTE-10", "wakeup-client1", "WAKEUP client1.com"),
        ("RTE-10", "Client.com-wakeup@main.dom", "WAKEUP client.com"),
        ("RTE-10", "client.com-wakeup@plain.dom", "UNKNOWN client.com-wakeup@plain.dom"),
        ("RTE-10", "x-wakeup@main.dom", "UNKNOWN x-wakeup@main.dom"),
        ("", "all@domain.dom", "ALL domain.dom"),
        ("", "All@alias.dom", "UNKNOWN all@plain.dom"),
        ("", "alldomains@main.dom", "ALL everywhere"),
        ("", "alldomains@bounce.dom", "BOUNCE alldomains@bounce.dom"),
        ("", "postmaster@plain.dom", "LOCAL postmaster@main.dom"),
        ("", "\"store arg\"@pipe", "PIPE store arg"),
        ("", "store@dom.com", "PIPE store arg open"),
    ];
    hold(table, RouteKind::Mail, &rows);
    let rows = [
        ("", "all@domain.dom", "SMTP otherserver.dom all@domain.dom open"),
        ("RTE-10", "client.com-wakeup@main.dom", "UNKNOWN client.com-wakeup@main.dom"),
    ];
    hold(table, RouteKind::Signal, &rows[1..]);
}

// RTE-04 to RTE-07
#[test]
fn section_5_domain_suffixes() {
    let rows = [
        ("RTE-04", "a%d.dom@host.dom.smtp", "SMTP host.dom a@d.dom"),
        ("RTE-04", "a%d.dom@host.dom.via", "SMTP host.dom a@d.dom"),
        ("RTE-04", "a%d.dom@host.dom._via", "SMTP host.dom a@d.dom"),
        ("RTE-04", "a%d.dom@host.dom._smtp", "SMTP host.dom a@d.dom"),
        ("RTE-06", "user@sp.client.com._via", "SMTP sp.client.com user@sp.client.com"),
        ("RTE-07", "a%d.dom@host.dom:26._via", "SMTP host.dom:26 direct a@d.dom"),
        ("RTE-07", "a%d.dom@host.dom.26.smtp", "SMTP host.dom:26 direct a@d.dom"),
        ("RTE-05", "a%d.dom@[192.0.2.1]._via", "SMTP 192.0.2.1 direct a@d.dom"),
        ("RTE-05", "a%d.dom@192.0.2.1.smtp", "SMTP 192.0.2.1 direct a@d.dom"),
        ("RTE-05", "a%d.dom@[192.0.2.1]:26._via", "SMTP 192.0.2.1:26 direct a@d.dom"),
        ("RTE-05", "a%d.dom@[IPv6:2001:db8::1]._via", "SMTP 2001:db8::1 direct a@d.dom"),
        ("", "a@host.dom.relay", "SMTP host.dom a@host.dom"),
        ("", "a%d.dom@host.dom._relay", "SMTP host.dom a%d.dom@host.dom"),
        ("", "x@client1.local", "LOCAL client1@main.dom"),
        ("", "x@client1._local", "LOCAL client1@main.dom"),
        ("", "x@nobody.local", "UNKNOWN nobody@main.dom"),
        ("", "x%acc@dom2.com.domain", "LOCAL acc@dom2.com"),
        ("", "name@plain.dom.list", "UNKNOWN name@plain.dom"),
        ("", "\"store arg\"@any.pipe", "PIPE store arg"),
    ];
    hold("", RouteKind::Mail, &rows);
}

// RTE-05
#[test]
fn section_5_addresses_as_domains() {
    let rows = [
        ("RTE-05", "joe@[127.0.0.1]", "LOCAL joe@main.dom"),
        ("RTE-05", "joe@127.0.0.1", "LOCAL joe@main.dom"),
        ("RTE-05", "joe%plain.dom@[127.0.0.1]", "LOCAL joe@plain.dom"),
        ("RTE-05", "joe@[10.0.0.2]", "LOCAL joe@plain.dom"),
        ("RTE-05", "joe@10.0.0.2", "LOCAL joe@plain.dom"),
        ("RTE-05", "joe@[IPv6:2001:DB8::2]", "LOCAL joe@plain.dom"),
        ("RTE-05", "joe@[11.22.33.44]", "SMTP 11.22.33.44 direct joe@[11.22.33.44]"),
        ("RTE-05", "joe%d.dom@11.22.33.44", "SMTP 11.22.33.44 direct joe@d.dom"),
        ("RTE-05", "joe@[IPv6:2001:db8::1]", "SMTP 2001:db8::1 direct joe@[ipv6:2001:db8::1]"),
    ];
    hold("", RouteKind::Mail, &rows);
}

// RTE-03
#[test]
fn section_6_the_order_of_processing() {
    // The table comes before the objects, the objects before the setting for unknown names, an
    // account before the parts of its name.
    let table = "<susan.smith@plain.dom> = joe@plain.dom\n";
    let rows = [
        ("SYS-10", "susan.smith@plain.dom", "LOCAL joe@plain.dom"),
        ("SYS-10", "susan.smith@alias.dom", "LOCAL joe@plain.dom"),
        ("", "Archive#joe@plain.dom", "LOCAL joe@plain.dom #Archive"),
        ("", "joe+lists@plain.dom", "LOCAL joe@plain.dom +lists"),
        ("", "Archive#joe+x@plain.dom", "LOCAL joe@plain.dom #Archive +x"),
        ("", "joe+v%x.dom@plain.dom", "LOCAL joe@plain.dom +v%x.dom"),
        ("RTE-03", "x@plain.dom", "UNKNOWN x@plain.dom"),
        ("RTE-03", "x@drop.dom", "NULL"),
        ("RTE-03", "x@bounce.dom", "BOUNCE x@bounce.dom"),
        ("RTE-03", "x@loop.dom", "ERROR routing loop"),
        ("", "x@nowhere", "ERROR unknown host"),
        ("", "x@no.where", "SMTP no.where x@no.where"),
    ];
    hold(table, RouteKind::Mail, &rows);
    hold("a.dom = b.dom\nb.dom = a.dom", RouteKind::Mail, &[("", "x@a.dom", "ERROR routing loop")]);
}

// RTE-03
#[test]
fn section_6_the_external_authenticator_is_asked_before_the_setting_for_unknown_names() {
    let rows = [
        ("RTE-03", "nobody@asked.dom", "UNKNOWN nobody@asked.dom"),
        ("RTE-03", "moved@asked.dom", "LOCAL joe@plain.dom"),
        // It says that it made the account and did not: once is enough.
        ("RTE-03", "lied@asked.dom", "UNKNOWN lied@asked.dom"),
    ];
    hold("", RouteKind::Mail, &rows);
    let router = router("");
    let mut journey = router.start("Made+x@asked.dom", RouteKind::Mail, "");
    let mut asked = Vec::new();
    let mut step = journey.first();
    let outcome = loop {
        match step {
            Step::Done(outcome) => break outcome,
            Step::Ask(question) => {
                let made = asked.iter().any(|q| matches!(q, Question::Unknown { .. }));
                let answer = match &question {
                    Question::Object { name, .. } if made => {
                        Answer::Object(Some(Object::Account { key: 1, name: name.clone() }))
                    }
                    other => know(other),
                };
                asked.push(question);
                step = journey.answer(answer);
            }
        }
    };
    assert_eq!(show(&outcome), "LOCAL made@asked.dom +x");
    let once = asked.iter().filter(|q| matches!(q, Question::Unknown { .. })).count();
    assert_eq!(once, 1);
    // Names that mean something else are not asked about.
    for address in ["postmaster@asked.dom", "all@asked.dom", "v%x.dom@asked.dom", "a b@asked.dom"] {
        let mut journey = router.start(address, RouteKind::Mail, "");
        let mut step = journey.first();
        while let Step::Ask(question) = step {
            assert!(!matches!(question, Question::Unknown { .. }), "{address}");
            step = journey.answer(know(&question));
        }
    }
}

// RTE-03, RTE-04
#[test]
fn section_8_1_gradual_migration() {
    let rows = [
        ("RTE-03", "aname@domain.dom", "SMTP otherserver.dom aname@domain.dom open"),
        ("RTE-03", "smith@domain.dom", "LOCAL smith@domain.dom"),
    ];
    hold("", RouteKind::Mail, &rows);
    assert_eq!(
        steps("", "aname@domain.dom", RouteKind::Mail),
        ["aname@domain.dom -> aname%domain.dom@otherserver.dom.smtp"]
    );
}

#[test]
fn section_8_2_a_domain_alias_by_table() {
    let table = "www.client.com = plain.dom";
    hold(table, RouteKind::Mail, &[("RTE-17", "joe@www.client.com", "LOCAL joe@plain.dom")]);
    let page = [("RTE-17", "LoginPage@www.client.com", "UNKNOWN loginpage@plain.dom")];
    hold(table, RouteKind::Access, &page);
}

// RTE-06, RTE-07
#[test]
fn section_8_3_one_server_behind_another() {
    let table = "Relay:friend.com = friend.com@relay.domain:25._via";
    let rows = [("RTE-06", "joe@friend.com", "SMTP relay.domain:25 direct joe@friend.com open")];
    hold(table, RouteKind::Mail, &rows);
    assert_eq!(
        steps(table, "joe@friend.com", RouteKind::Mail),
        ["joe@friend.com -> joe%friend.com@relay.domain:25._via"]
    );
    // The other wishes of smtp.md section 4.1.
    for (record, outcome) in [
        ("friend.com = friend.com._via", "SMTP friend.com joe@friend.com open"),
        (
            "friend.com = friend.com@firewall.friend.com._via",
            "SMTP firewall.friend.com joe@friend.com open",
        ),
        ("friend.com = friend.com@[11.22.33.44]", "SMTP 11.22.33.44 direct joe@friend.com open"),
    ] {
        hold(record, RouteKind::Mail, &[("RTE-06", "joe@friend.com", outcome)]);
    }
}

// RTE-13
#[test]
fn section_8_4_several_domains_in_one_queue() {
    let table =
        "domain2.com = domain2.com@domain1.com._via\ndomain3.com = domain3.com@domain1.com._via";
    let rows = [
        ("RTE-13", "u@domain3.com", "SMTP domain1.com u@domain3.com open"),
        ("RTE-13", "u@domain2.com", "SMTP domain1.com u@domain2.com open"),
    ];
    hold(table, RouteKind::Mail, &rows);
    assert_eq!(
        steps(table, "u@domain3.com", RouteKind::Mail),
        ["u@domain3.com -> u%domain3.com@domain1.com._via"]
    );
}

// RTE-16, RTE-17
#[test]
fn section_8_5_personal_host_names() {
    let secondary = "*.domain.dom = *@domain.dom\n<LoginPage%*@domain.dom> = *@domain.dom";
    let rows = [
        ("RTE-17", "LoginPage@joe.domain.dom", "LOCAL joe@domain.dom"),
        ("RTE-16", "LoginPage@domain.dom", "UNKNOWN loginpage@domain.dom"),
    ];
    hold(secondary, RouteKind::Access, &rows);
    assert_eq!(
        steps(secondary, "LoginPage@joe.domain.dom", RouteKind::Access),
        [
            "LoginPage@joe.domain.dom -> LoginPage%joe@domain.dom",
            "LoginPage%joe@domain.dom -> joe@domain.dom"
        ]
    );
    let main = "*.domain2.dom = *@fict\n<LoginPage%*@fict> = *";
    let rows = [("RTE-17", "LoginPage@joe.domain2.dom", "LOCAL joe@main.dom")];
    hold(main, RouteKind::Access, &rows);
    assert_eq!(
        steps(main, "LoginPage@joe.domain2.dom", RouteKind::Access),
        ["LoginPage@joe.domain2.dom -> LoginPage%joe@fict", "LoginPage%joe@fict -> joe"]
    );
}

#[test]
fn section_8_8_a_unified_account() {
    hold(
        "client.com = client1.local",
        RouteKind::Mail,
        &[
            ("RTE-01", "x@client.com", "LOCAL client1@main.dom"),
            ("RTE-01", "\"any thing\"@client.com", "LOCAL client1@main.dom"),
        ],
    );
}

// RTE-01
#[test]
fn section_8_9_simple_redirections() {
    let table = "<abuse@*> = postmaster\nold.dom = new.dom\n<info@a.dom> = info@b.dom\n\
                 <noreply@a.dom> = null\n<boss-private@a.dom> = error\n";
    let rows = [
        ("RTE-01", "abuse@plain.dom", "LOCAL postmaster@main.dom"),
        ("RTE-01", "joe@old.dom", "SMTP new.dom joe@new.dom open"),
        ("RTE-01", "info@a.dom", "SMTP b.dom info@b.dom open"),
        ("RTE-01", "noreply@a.dom", "NULL"),
        ("RTE-01", "boss-private@a.dom", "ERROR the address is refused"),
    ];
    hold(table, RouteKind::Mail, &rows);
}

#[test]
fn the_trace_tells_the_line_its_text_and_the_end_in_words() {
    let table = "; ours\n<info@a.dom> = joe+x@plain.dom ; moved\n";
    let (_, trace) = travel(&router(table), "info@a.dom", RouteKind::Mail, "");
    assert_eq!(
        trace,
        [
            "info@a.dom -> joe+x@plain.dom (line 2 of the table: <info@a.dom> = joe+x@plain.dom)",
            "delivered to the account joe@plain.dom, detail x"
        ]
    );
    let router = router(table);
    let mut quiet = router.start("info@a.dom", RouteKind::Mail, "").quiet();
    let mut step = quiet.first();
    while let Step::Ask(question) = step {
        step = quiet.answer(know(&question));
    }
    assert!(quiet.trace().is_empty());
}
