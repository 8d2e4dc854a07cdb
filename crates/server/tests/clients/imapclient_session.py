"""A session with the library imapclient: everything it can do, against what the server announces.
Arguments: IMAP port, name, name of a second account; the password is in the environment."""

import os
import sys
from datetime import datetime

from imapclient import IMAPClient

port, name, other = int(sys.argv[1]), sys.argv[2], sys.argv[3]
password = os.environ["PASSWORD"]

LETTER = "From: a@test.example\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: <{}@test.example>\r\n{}\r\nText {}\r\n"


def letter(subject, more=""):
    return LETTER.format(name, subject, subject, more, subject).encode()


def client(who):
    made = IMAPClient("127.0.0.1", port=port, ssl=False)
    made.login(who, password)
    return made


c = client(name)
can = {cap.decode() for cap in c.capabilities()}
print(sorted(can))
spaces = c.namespace()
assert spaces.personal[0] == ("", "/"), spaces
assert b"Angarium" in str(c.id_({"name": "test"})).encode()

c.create_folder("Pl\u00e4ne/\u65e5\u672c")
c.subscribe_folder("Pl\u00e4ne/\u65e5\u672c")
names = [entry[2] for entry in c.list_folders()]
assert "Pl\u00e4ne/\u65e5\u672c" in names, names
assert "Pl\u00e4ne/\u65e5\u672c" in [entry[2] for entry in c.list_sub_folders()], c.list_sub_folders()
c.rename_folder("Pl\u00e4ne/\u65e5\u672c", "Done")
assert c.folder_exists("Done")
assert c.find_special_folder(b"\\Sent") in (None, "Sent", "Sent Items")

when = datetime(2026, 11, 22, 10, 0, 0)
for i in range(3):
    c.append("INBOX", letter(f"m{i}"), flags=[b"\\Seen"] if i else [], msg_time=when)
c.append("INBOX", letter("reply", "References: <m0@test.example>\r\n"))
if "MULTIAPPEND" in can:
    c.multiappend("INBOX", [letter("multi1"), letter("multi2")])
info = c.select_folder("INBOX")
assert info[b"EXISTS"] == 6, info
assert c.folder_status("INBOX", ["MESSAGES", "UNSEEN"])[b"MESSAGES"] == 6
uids = c.search("ALL")
assert c.search(["SUBJECT", "m1"]) == [uids[1]]
assert c.search(["TEXT", "Text m2"]) == [uids[2]]
assert c.search(["NOT", "SEEN"], charset="UTF-8")
data = c.fetch(uids, ["FLAGS", "ENVELOPE", "BODYSTRUCTURE", "INTERNALDATE", "RFC822.SIZE"])
assert data[uids[0]][b"ENVELOPE"].subject == b"m0"
assert data[uids[0]][b"INTERNALDATE"] == when, data[uids[0]][b"INTERNALDATE"]
assert c.fetch([uids[2]], ["BODY.PEEK[TEXT]"])[uids[2]][b"BODY[TEXT]"] == b"Text m2\r\n"

c.add_flags(uids[:2], [b"\\Flagged", b"$Label1"])
assert set(c.get_flags(uids[:1])[uids[0]]) >= {b"\\Flagged", b"$Label1"}
c.remove_flags(uids[:2], [b"\\Flagged"])
c.set_flags(uids[1:2], [b"\\Answered"])
assert b"\\Answered" in c.get_flags(uids[1:2])[uids[1]]

if "SORT" in can:
    by_subject = c.sort("REVERSE SUBJECT")
    assert sorted(by_subject) == sorted(uids)
    assert by_subject[0] == uids[3], by_subject
if "THREAD=REFERENCES" in can:
    threads = c.thread("REFERENCES")
    assert (uids[0], uids[3]) in threads, threads

if "MOVE" in can:
    c.move(uids[4:5], "Done")
    assert c.folder_status("Done", ["MESSAGES"])[b"MESSAGES"] == 1
c.copy(uids[:1], "Done")
c.delete_messages(uids[1:2])
if "UIDPLUS" in can:
    c.uid_expunge(uids[1:2])
c.expunge()
assert uids[1] not in c.search("ALL")

second = client(name)
second.select_folder("INBOX")
second.idle()
c.append("INBOX", letter("awaited"))
seen = second.idle_check(timeout=10)
assert any(entry[1] == b"EXISTS" for entry in seen if len(entry) > 1), seen
second.idle_done()
second.logout()

if "ACL" in can:
    c.setacl("Done", other, "lr")
    assert (other.split("@")[0].encode(), b"lr") in c.getacl("Done") or (other.encode(), b"lr") in c.getacl("Done")
    amy = client(other)
    assert amy.select_folder(f"~{name.split('@')[0]}/Done", readonly=True)[b"EXISTS"] >= 1
    amy.logout()
if "QUOTA" in can:
    c.get_quota_root("INBOX")
if "CONDSTORE" in can:
    changed = c.fetch(c.search("ALL"), ["FLAGS"], modifiers=["CHANGEDSINCE 1"])
    assert changed
c.close_folder()
if "ENABLE" in can:
    assert c.enable("CONDSTORE")
c.delete_folder("Done")
c.unsubscribe_folder("Pl\u00e4ne/\u65e5\u672c")
c.logout()
