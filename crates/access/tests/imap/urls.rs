//! URLs that let others read one message (RFC 4467, RFC 5524, RFC 5550): made, used, refused,
//! taken back.
//! Features: IMAP-01 (ABU-24).

use crate::client::{Client, NOW, World, mail};

const PARTS: &str = "From: a@test.example\r\nMIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\none\r\n\
    --b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\ndHcAbw==\r\n--b--\r\n";

/// The authorised form of a URL.
async fn authorise(c: &mut Client, rump: &str) -> String {
    let made = c.ok(&format!("GENURLAUTH \"{rump}\" INTERNAL")).await;
    let url = made.split('"').nth(1).unwrap().to_owned();
    assert!(made.starts_with("* GENURLAUTH \"") && url.starts_with(rump), "{made}");
    let token = url.rsplit(':').next().unwrap();
    assert!(token.len() >= 32 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{url}");
    url
}

async fn leads_to(c: &mut Client, url: &str, text: &str) {
    let got = c.ok(&format!("URLFETCH \"{url}\"")).await;
    let wanted = format!("* URLFETCH \"{url}\" {{{}}}\r\n{text}\r\nx OK", text.len());
    assert!(got.starts_with(&wanted), "{got}");
}

async fn leads_nowhere(c: &mut Client, url: &str) {
    let got = c.ok(&format!("URLFETCH \"{url}\"")).await;
    assert!(got.starts_with(&format!("* URLFETCH \"{url}\" NIL\r\nx OK")), "{got}");
}

const BOX: &str = "imap://ann@test.example/INBOX/;UID=1";

#[tokio::test]
async fn urlauth_is_announced_and_lets_whom_it_names_read_one_message() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 2).await;
    let mut bob = world.login("bob").await;
    let mut eve = world.login("eve").await;
    assert!(ann.ok("CAPABILITY").await.contains(" URLAUTH "));
    assert!(ann.ok("SELECT INBOX").await.contains("* OK [URLMECH INTERNAL]"));
    let for_bob = authorise(&mut ann, &format!("{BOX};URLAUTH=user+bob")).await;
    leads_to(&mut bob, &for_bob, &mail(1)).await;
    leads_nowhere(&mut eve, &for_bob).await;
    let for_all = authorise(&mut ann, &format!("{BOX};URLAUTH=authuser")).await;
    leads_to(&mut eve, &for_all, &mail(1)).await;
    let anonymous = authorise(&mut ann, &format!("{BOX}/;SECTION=TEXT;URLAUTH=anonymous")).await;
    leads_to(&mut eve, &anonymous, "Text of 1.\r\n").await;
    // A submission server alone may use these.
    let submit = authorise(&mut ann, &format!("{BOX};URLAUTH=submit+ann")).await;
    leads_nowhere(&mut ann, &submit).await;
    // The token holds for exactly this text.
    for forged in [
        for_bob.replace("UID=1", "UID=2"),
        for_bob.replace("user+bob", "authuser"),
        for_bob.replace("ann@", "bob@"),
        for_bob.replace("ann@", ""),
        for_bob.replace("test.example", "elsewhere.example"),
        format!("{}0", &for_bob[..for_bob.len() - 1]).replace(":internal:", ":internal:0"),
        for_bob.replace(":internal:", ":other:"),
        format!("{BOX};URLAUTH=user+bob"),
        BOX.to_owned(),
        "junk".to_owned(),
    ] {
        leads_nowhere(&mut bob, &forged).await;
    }
    // Two at once, one of them wrong.
    let got = bob.ok(&format!("URLFETCH {for_bob} junk")).await;
    assert!(got.contains("{") && got.contains("* URLFETCH \"junk\" NIL\r\n"), "{got}");
}

#[tokio::test]
async fn an_authorised_url_ends_with_its_time_its_message_its_mailbox_and_its_key() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 2).await;
    let mut bob = world.login("bob").await;
    let day = |days: i64| {
        let date = angarium_imap::types::Date { days: NOW / 86_400 + days }.calendar();
        format!("{:04}-{:02}-{:02}T00:00:00Z", date.0, date.1, date.2)
    };
    let with = |end: &str| format!("{BOX};EXPIRE={end};URLAUTH=user+bob");
    let good = authorise(&mut ann, &with(&day(1))).await;
    leads_to(&mut bob, &good, &mail(1)).await;
    let late = authorise(&mut ann, &with(&day(-1))).await;
    leads_nowhere(&mut bob, &late).await;
    leads_nowhere(&mut bob, &late.replace(&day(-1), &day(1))).await;
    // Keys of one mailbox, then all.
    ann.ok("CREATE Other").await;
    ann.append("Other", "", &mail(3)).await;
    let other = BOX.replace("INBOX", "Other");
    let elsewhere = authorise(&mut ann, &format!("{other};URLAUTH=user+bob")).await;
    assert!(ann.ok("RESETKEY INBOX INTERNAL").await.contains("[URLMECH INTERNAL]"));
    leads_nowhere(&mut bob, &good).await;
    leads_to(&mut bob, &elsewhere, &mail(3)).await;
    let anew = authorise(&mut ann, &with(&day(1))).await;
    leads_to(&mut bob, &anew, &mail(1)).await;
    ann.ok("RESETKEY").await;
    leads_nowhere(&mut bob, &anew).await;
    leads_nowhere(&mut bob, &elsewhere).await;
    let anew = authorise(&mut ann, &with(&day(1))).await;
    let elsewhere = authorise(&mut ann, &format!("{other};URLAUTH=user+bob")).await;
    // The message, the mailbox.
    ann.ok("STORE 1 FLAGS.SILENT (\\Deleted)").await;
    ann.ok("EXPUNGE").await;
    leads_nowhere(&mut bob, &anew).await;
    ann.ok("DELETE Other").await;
    ann.ok("CREATE Other").await;
    ann.append("Other", "", &mail(3)).await;
    leads_nowhere(&mut bob, &elsewhere).await;
}

#[tokio::test]
async fn nobody_authorises_more_than_he_may_read() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 1).await;
    let mut bob = world.login("bob").await;
    let no = bob.no(&format!("GENURLAUTH \"{BOX};URLAUTH=authuser\" INTERNAL")).await;
    assert!(no.contains("[CANNOT]"), "{no}");
    let shared = "imap://bob@test.example/~ann/INBOX/;UID=1;URLAUTH=user+eve";
    let no = bob.no(&format!("GENURLAUTH \"{shared}\" INTERNAL")).await;
    assert!(no.contains("[CANNOT]"), "{no}");
    ann.ok("SETACL INBOX bob lr").await;
    let url = authorise(&mut bob, shared).await;
    let mut eve = world.login("eve").await;
    leads_to(&mut eve, &url, &mail(1)).await;
    // The right taken away, the URL is worth nothing; hidden messages never were there.
    ann.ok("STORE 1 +FLAGS ($Hidden)").await;
    leads_nowhere(&mut eve, &url).await;
    ann.ok("STORE 1 -FLAGS ($Hidden)").await;
    leads_to(&mut eve, &url, &mail(1)).await;
    ann.ok("DELETEACL INBOX bob").await;
    leads_nowhere(&mut eve, &url).await;
    for bad in [
        format!("\"{BOX};URLAUTH=authuser\" OTHER"),
        format!("\"{BOX}\" INTERNAL"),
        "\"/INBOX/;UID=1;URLAUTH=authuser\" INTERNAL".to_owned(),
        "junk INTERNAL".to_owned(),
        format!("\"{BOX};URLAUTH=authuser\""),
    ] {
        ann.bad(&format!("GENURLAUTH {bad}")).await;
    }
    ann.bad("RESETKEY INBOX OTHER").await;
    ann.no("RESETKEY Nowhere").await;
    let mut stranger = world.connect().await;
    stranger.bad(&format!("URLFETCH {url}")).await;
}

#[tokio::test]
async fn urlauth_binary_is_announced_and_undoes_transfer_encodings() {
    let world = World::new().await;
    let mut ann = world.login("ann").await;
    assert!(ann.ok("CAPABILITY").await.contains(" URLAUTH=BINARY"));
    ann.append("INBOX", "", PARTS).await;
    let url = authorise(&mut ann, &format!("{BOX}/;SECTION=2;URLAUTH=user+ann")).await;
    let got = ann.ok(&format!("URLFETCH ({url} BODYPARTSTRUCTURE BINARY BODY)")).await;
    let wanted = format!(
        "* URLFETCH \"{url}\" (BODYPARTSTRUCTURE (\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"base64\" 8 "
    );
    assert!(got.to_lowercase().starts_with(&wanted.to_lowercase()), "{got}");
    assert!(got.contains(" (BINARY ~{4}\r\ntw\0o) (BODY {8}\r\ndHcAbw==)\r\nx OK"), "{got}");
    ann.bad(&format!("URLFETCH ({url} SIZE)")).await;
}

#[tokio::test]
async fn url_partial_is_announced_and_gives_only_the_octets_asked_for() {
    let world = World::new().await;
    let mut ann = world.inbox("ann", 1).await;
    assert!(ann.ok("CAPABILITY").await.contains(" URL-PARTIAL"));
    let text = mail(1);
    for (partial, wanted) in
        [("0.10", &text[..10]), ("5.7", &text[5..12]), ("20", &text[20..]), ("9999.1", "")]
    {
        let rump = format!("{BOX}/;PARTIAL={partial};URLAUTH=user+ann");
        let url = authorise(&mut ann, &rump).await;
        leads_to(&mut ann, &url, wanted).await;
    }
    let ok = ann.ok("APPEND INBOX CATENATE (URL /INBOX/;UID=1/;PARTIAL=0.6)").await;
    assert!(ok.contains("[APPENDUID "), "{ok}");
    assert!(ann.ok("FETCH 2 BODY.PEEK[]").await.contains("BODY[] {6}\r\nFrom: )"));
}
