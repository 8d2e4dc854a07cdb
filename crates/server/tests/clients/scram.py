"""Logs in by SCRAM-SHA-256 (RFC 7677) over IMAP and SMTP with Python's own libraries, and checks
the server's signature. Arguments: IMAP port, submission port, name; the password is on stdin."""

import base64
import hashlib
import hmac
import imaplib
import os
import smtplib
import sys


class Scram:
    def __init__(self, name, password):
        self.name, self.password = name, password
        self.step = 0
        self.proved = False

    def answer(self, challenge):
        challenge = challenge.decode() if isinstance(challenge, bytes) else (challenge or "")
        self.step += 1
        if self.step == 1:
            self.bare = f"n={self.name},r={base64.b64encode(os.urandom(18)).decode()}"
            return "n,," + self.bare
        if self.step == 2:
            return self.proof(challenge)
        assert challenge == "v=" + self.signature, "the server does not know the password"
        self.proved = True
        return ""

    def proof(self, first):
        told = dict(part.split("=", 1) for part in first.split(","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(told["s"]), int(told["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        last = "c=biws,r=" + told["r"]
        message = f"{self.bare},{first},{last}".encode()
        mask = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        server = hmac.digest(salted, b"Server Key", "sha256")
        self.signature = base64.b64encode(hmac.digest(server, message, "sha256")).decode()
        return last + ",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, mask))).decode()


imap_port, smtp_port, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
password = sys.stdin.readline().rstrip("\n")

scram = Scram(name, password)
imap = imaplib.IMAP4("127.0.0.1", imap_port)
imap.authenticate("SCRAM-SHA-256", lambda challenge: scram.answer(challenge).encode())
assert scram.proved and imap.select()[0] == "OK"

scram = Scram(name, password)
smtp = smtplib.SMTP("127.0.0.1", smtp_port)
smtp.ehlo()
code, _ = smtp.auth("SCRAM-SHA-256", lambda challenge=None: scram.answer(challenge))
assert scram.proved and code == 235

scram = Scram(name, password + "x")
try:
    imaplib.IMAP4("127.0.0.1", imap_port).authenticate(
        "SCRAM-SHA-256", lambda challenge: scram.answer(challenge).encode())
    sys.exit("a wrong password was taken")
except imaplib.IMAP4.error:
    pass
