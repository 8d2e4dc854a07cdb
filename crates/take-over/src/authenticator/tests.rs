//! The helper in a conversation: an old server, PWD and the asking server are stand-ins.

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::stand_in::{Heard, script};

async fn talk(text: &str, requests: &str) -> String {
    let configuration = Configuration::read(text).unwrap();
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let input = std::io::Cursor::new(requests.as_bytes().to_vec());
    serve(configuration, input, near).await.unwrap();
    let mut said = String::new();
    far.read_to_string(&mut said).await.unwrap();
    said
}

async fn stand(mail: &str) -> (tempfile::TempDir, String, Heard) {
    let room = tempfile::tempdir().unwrap();
    let secret = room.path().join("secret");
    std::fs::write(&secret, "tanstaaf\n").unwrap();
    let smtp = [
        ("HELO", "250 old"),
        ("MAIL", "250 ok"),
        ("RCPT TO:<anna@a.dom>", "250 yes"),
        ("RCPT", "550 no"),
    ];
    let (smtp, _) = script("220 old", &smtp).await;
    let imap = [
        ("a1", "* CAPABILITY IMAP4rev1\r\na1 OK"),
        ("a2 LOGIN \"anna\" \"two words\"", "a2 OK in"),
        ("a2 LOGIN", "a2 NO no"),
    ];
    let (imap, _) = script("* OK old", &imap).await;
    let pwd = [
        ("APOP postmaster ", "200 in"),
        ("INLINE", "200 well"),
        ("CreateAccount", "200 OK"),
        ("UpdateAccountSettings", "200 OK"),
    ];
    let (pwd, heard) = script("200 house PWD <1.2@house>", &pwd).await;
    let text = format!(
        "{{Domains={{a.dom={{Server=\"{imap}\";SMTP=\"{smtp}\";LoginDomain=NO;Mail={mail};}};}};\
         PasswordFile=\"{}\";PWD=\"{pwd}\";Directory=\"{}\";Mover=\"/bin/false\";}}",
        secret.display(),
        room.path().join("TakeOver").display()
    );
    (room, text, heard)
}

// MIG-47, MIG-48, MIG-49
#[tokio::test]
async fn mig_47_the_helper_speaks_the_protocol_of_external_authenticators() {
    let (_room, text, heard) = stand("Password").await;
    let said = talk(
        &text,
        "1 INTF 4\n2 NEW anna@a.dom\n3 NEW nobody@a.dom\n4 VRFY (IMAP) anna@a.dom two words\n\
         5 VRFY anna@a.dom wrong\n6 SASL(CRAM-MD5) (IMAP) anna@a.dom x y\n7 NEW anna\n\
         8 NEW anna@other.dom\nnonsense\n9 VRFY anna@a.dom \n10 QUIT\n",
    )
    .await;
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_by_key(|line| line.split(' ').next().unwrap().parse::<u32>().unwrap_or(0));
    let begins = [
        "1 INTF 3",
        "2 OK",
        "3 ERROR unknown",
        "4 OK",
        "5 ERROR incorrect",
        "6 ERROR not supported",
        "7 ERROR Full account name",
        "8 ERROR this domain",
        "9 ERROR incorrect",
        "10 OK",
    ];
    assert_eq!(lines.len(), begins.len(), "{said}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{said}");
    }
    let heard = heard.all();
    assert!(
        heard.contains("CreateAccount anna@a.dom {UseAppPassword=NO;UseExtPassword=YES;}"),
        "{heard}"
    );
    assert!(
        heard.contains(
            "UpdateAccountSettings anna@a.dom \
             {Password=\"two words\";UseAppPassword=YES;UseExtPassword=NO;}"
        ),
        "{heard}"
    );
    assert!(!said.contains("two words"));
}

// MIG-50
#[tokio::test]
async fn mig_50_the_helper_writes_the_list_or_starts_the_mover() {
    let (room, text, _) = stand("List").await;
    let said = talk(&text, "4 VRFY anna@a.dom two words\n5 QUIT\n").await;
    assert!(said.contains("* anna@a.dom: name and password in clear are in "), "{said}");
    let list = room.path().join("TakeOver/a.dom/MoveAccounts.list");
    let list = std::fs::read_to_string(list).unwrap();
    assert_eq!(list, "Name\tPassword\tNewName\nanna\ttwo words\tanna@a.dom\n");
    let (_room, text, _) = stand("Copy").await;
    let said = talk(&text, "4 VRFY anna@a.dom two words\n5 QUIT\n").await;
    assert!(said.contains("* anna@a.dom: the mover ended with 1"), "{said}");
    assert!(!said.contains("two words"));
}

// MIG-46
#[tokio::test]
async fn mig_46_what_cannot_be_asked_now_is_put_off() {
    let (_room, text, _) = stand("Copy").await;
    let port = text.split("SMTP=\"127.0.0.1:").nth(1).unwrap().split('"').next().unwrap();
    let text = text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:1");
    let said = talk(&text, "1 NEW anna@a.dom\n").await;
    assert!(said.starts_with("1 FAILURE "), "{said}");
}
