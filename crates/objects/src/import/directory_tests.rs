//! Entries of the directories of the field: Netscape and iPlanet, OpenLDAP, qmail-ldap, Active
//! Directory, and tables of Exchange.

use super::*;

fn entry(text: &str) -> Entry {
    let mut ldif = ldif::Ldif::default();
    for (at, line) in text.lines().enumerate() {
        assert!(ldif.line(at as u64 + 1, Some(line.trim_start())).is_none());
    }
    ldif.end().unwrap().unwrap().entry
}

fn account(text: &str) -> Person {
    match newcomers(&entry(text), &Reading::default()).remove(0) {
        Newcomer::Account(person) => *person,
        other => panic!("{other:?}"),
    }
}

fn addresses_of(text: &str) -> Vec<(String, Vec<String>)> {
    let all = newcomers(&entry(text), &Reading::default()).into_iter();
    all.map(|one| match one {
        Newcomer::Address(address) => (address.name, address.members),
        other => panic!("{other:?}"),
    })
    .collect()
}

fn why(text: &str) -> String {
    match newcomers(&entry(text), &Reading::default()).remove(0) {
        Newcomer::LeftOut(_, _, why) => why,
        other => panic!("{other:?}"),
    }
}

// MIG-59
#[test]
fn mig_59_a_person_of_netscape_messaging_with_all_that_belongs_to_it() {
    let joe = account(
        "dn: uid=jdoe,ou=People,o=siroe.com\nobjectClass: inetOrgPerson\nobjectClass: mailRecipient\n\
         uid: jdoe\ncn: John Doe\nmail: John.Doe@siroe.com\nmailAlternateAddress: jd@siroe.com\n\
         mailAlternateAddress: john@other.com\nmailQuota: 20971520\nmailDeliveryOption: mailbox\n\
         mailDeliveryOption: forward\nmailForwardingAddress: jd@isp.example\nmailHost: mail.siroe.com\n\
         userPassword: {SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw==\nmailAutoReplyMode: vacation\n\
         mailAutoReplyText: I am away.$Back soon.\nvacationEndDate: 20131211232400Z\n",
    );
    assert_eq!((joe.name.as_str(), joe.real_name.as_str()), ("jdoe@siroe.com", "John Doe"));
    assert_eq!(joe.aliases, ["john.doe", "jd"]);
    assert_eq!(joe.elsewhere, ["john@other.com"]);
    assert_eq!(joe.room, Some(Some(20 << 20)));
    assert_eq!(joe.forward, ["jd@isp.example"]);
    assert_eq!(joe.password, hash("{SSHA}F3tJ8vk8rDhGy6QRPrvpPoxIffIwMTIzNDU2Nw=="));
    let reply = joe.reply.unwrap();
    assert_eq!(reply.text, "I am away.\nBack soon.");
    assert!(!reply.active && reply.until.is_some());

    let sent_on = addresses_of(
        "dn: uid=x,o=s\nobjectClass: inetMailUser\nuid: x\nmail: x@s.example\nmailAlternateAddress: y@s.example\n\
         mailDeliveryOption: forward\nmailForwardingAddress: a@b.example\n",
    );
    assert_eq!(sent_on[0], ("x@s.example".into(), vec!["a@b.example".into()]));
    assert_eq!(sent_on[1], ("y@s.example".into(), vec!["x@s.example".into()]));
    let mut gone =
        "dn: uid=x,o=s\nobjectClass: inetMailUser\nuid: x\nmail: x@s.example\n".to_owned();
    gone.push_str("mailUserStatus: deleted\n");
    assert!(why(&gone).contains("deleted"));
    let closed = account(&gone.replace("deleted", "inactive\nuserPassword: secret"));
    assert!(closed.password.is_none() && closed.remarks[0].contains("closed"));
}

// MIG-59
#[test]
fn mig_59_groups_of_netscape_messaging_lead_to_their_members() {
    let all = addresses_of(
        "dn: cn=Staff,ou=Groups,o=s\nobjectClass: groupOfUniqueNames\nobjectClass: mailGroup\ncn: Staff\n\
         mail: staff@s.example\nmailAlternateAddress: all@s.example\nmgrpRFC822MailMember: a@b.example\n\
         uniqueMember: uid=jdoe,ou=People,o=siroe.com\nmgrpDeliverTo: ldap:///o=s??sub?(x=y)\n",
    );
    assert_eq!(all[0].0, "staff@s.example");
    assert_eq!(all[0].1, ["a@b.example", "uid=jdoe,ou=People,o=siroe.com"]);
    assert_eq!(all[1], ("all@s.example".into(), vec!["staff@s.example".into()]));
    assert!(
        why("dn: cn=g\nobjectClass: groupOfNames\ncn: g\nmember: uid=x").contains("without a mail")
    );
    assert!(why("dn: cn=g\nobjectClass: mailGroup\ncn: g\nmail: g@s").contains("members"));
    assert!(
        why("dn: ou=People,o=s\nobjectClass: organizationalUnit\nou: People").contains("neither")
    );
}

// MIG-59
#[test]
fn mig_59_openldap_and_qmail_ldap_people_are_read() {
    let ann = account(
        "dn: uid=ann,ou=x\nobjectClass: posixAccount\nuid: ann\nuidNumber: 1001\ngecos: Ann Poe\n\
         userPassword: {CRYPT}$6$saltstring$AIsRs\n",
    );
    assert_eq!((ann.name.as_str(), ann.real_name.as_str()), ("ann", "Ann Poe"));
    assert_eq!(ann.password, hash("{CRYPT}$6$saltstring$AIsRs"));
    let system = "dn: uid=lp\nobjectClass: posixAccount\nuid: lp\nuidNumber: 7";
    assert!(why(system).contains("system"));
    let bob = account(
        "dn: uid=bob\nobjectClass: qmailUser\nuid: bob\nmail: bob@q.example\nmailQuotaSize: 1048576\n\
         accountStatus: active\nmailForwardingAddress: b@isp.example\nmailReplyText: gone\ndeliveryMode: reply\n",
    );
    assert_eq!((bob.room, bob.forward.len()), (Some(Some(1 << 20)), 1));
    assert!(bob.reply.is_some_and(|reply| reply.active));
    let only = "dn: uid=b\nobjectClass: qmailUser\nuid: b\nmail: b@q.example\n\
                mailForwardingAddress: x@y.example\ndeliveryMode: nolocal";
    assert_eq!(addresses_of(only).len(), 1);
}

// MIG-63
#[test]
fn mig_63_users_contacts_and_groups_of_exchange_are_told_apart() {
    let user = account(
        "dn: CN=Doe\\, Joe,OU=Staff,DC=corp,DC=example\nobjectClass: user\nsAMAccountName: JDoe\n\
         displayName: Doe, Joe\nmail: joe.doe@corp.example\nproxyAddresses: smtp:jd@corp.example\n\
         proxyAddresses: SMTP:joe.doe@corp.example\nproxyAddresses: X500:/o=Org/cn=jdoe\n\
         proxyAddresses: smtp:joe@corp.local\nmDBOverHardQuotaLimit: 102400\nuserAccountControl: 514\n\
         homeMDB: CN=Mailbox Store\naltRecipient: CN=Ann,OU=Staff,DC=corp,DC=example\ndeliverAndRedirect: TRUE\n",
    );
    assert_eq!((user.name.as_str(), user.real_name.as_str()), ("jdoe@corp.example", "Doe, Joe"));
    assert_eq!(user.aliases, ["joe.doe", "jd"]);
    assert_eq!(user.elsewhere, ["joe@corp.local"]);
    assert_eq!((user.room, user.forward.len()), (Some(Some(100 << 20)), 1));
    assert!(user.remarks.iter().any(|r| r.contains("disabled")));
    let contact = "dn: CN=Sup\nobjectClass: contact\nmail: sup@far.example\ntargetAddress: SMTP:sup@far.example\n\
                   proxyAddresses: SMTP:sup@far.example\n";
    assert!(why(contact).contains("address book"));
    let led = addresses_of(&format!("{contact}proxyAddresses: smtp:supplier@corp.example\n"));
    assert_eq!(led, [("supplier@corp.example".to_owned(), vec!["sup@far.example".to_owned()])]);
    assert!(
        why("dn: CN=PC\nobjectClass: user\nobjectClass: computer\nsAMAccountName: PC$")
            .contains("computer")
    );
    assert!(
        why("dn: CN=krbtgt\nobjectClass: user\nsAMAccountName: krbtgt").contains("without a mail")
    );
    let group = addresses_of(
        "dn: CN=All\nobjectClass: group\nmail: all@corp.example\nmember: CN=Doe\\, Joe,OU=Staff,DC=corp,DC=example\n",
    );
    assert_eq!(group[0].1.len(), 1);
}

#[test]
fn everything_may_go_into_one_domain() {
    let text = "dn: uid=joe\nobjectClass: inetMailUser\nuid: joe\nmail: joe@a.example\nmailAlternateAddress: x@b.example";
    let reading = Reading { domain: Some("new.example".into()), ..Reading::default() };
    let Newcomer::Account(joe) = newcomers(&entry(text), &reading).remove(0) else { panic!() };
    assert_eq!(
        (joe.name.as_str(), joe.aliases.as_slice()),
        ("joe@new.example", &["x".to_owned()][..])
    );
    assert!(joe.elsewhere.is_empty());
    // A login name that can be none here gives way to the address.
    let text = "dn: uid=x\nobjectClass: inetMailUser\nuid: CORP\\Joe Doe\nmail: j.doe@a.example";
    assert_eq!(account(text).name, "j.doe@a.example");
}
