"""Logs in by APOP and CRAM-MD5 over POP, IMAP, SMTP and PWD with Python's own libraries.
Arguments: POP, IMAP, submission and PWD port, name; the password is on stdin."""

import hashlib
import imaplib
import poplib
import re
import smtplib
import socket
import sys

pop, imap, submission, pwd, name = (*map(int, sys.argv[1:5]), sys.argv[5])
password = sys.stdin.readline().strip()

mail = poplib.POP3("127.0.0.1", pop)
assert b"+OK" in mail.apop(name, password)
mail.quit()

box = imaplib.IMAP4("127.0.0.1", imap)
assert "AUTH=CRAM-MD5" in box.capabilities, box.capabilities
assert box.login_cram_md5(name, password)[0] == "OK"
assert box.select()[0] == "OK"
box.logout()

relay = smtplib.SMTP("127.0.0.1", submission)
relay.ehlo()
assert "CRAM-MD5" in relay.esmtp_features["auth"], relay.esmtp_features
relay.user, relay.password = name, password
code, _ = relay.auth("CRAM-MD5", relay.auth_cram_md5)
assert code == 235, code
relay.quit()

line = socket.create_connection(("127.0.0.1", pwd))
stream = line.makefile("rwb")
stamp = re.search(rb"<[^>]+>$", stream.readline().strip()).group()
digest = hashlib.md5(stamp + password.encode()).hexdigest()
stream.write(f"APOP {name} {digest}\r\n".encode())
stream.flush()
assert stream.readline().startswith(b"200"), "PWD refused"
