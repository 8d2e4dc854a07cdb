"""Fetches the mail of a domain by ATRN (RFC 2645) after STARTTLS and AUTH, and is the server once
the roles are turned. Arguments: address, port, name, domains; the password is on stdin. Prints what
ATRN was answered without a login, then a line for each recipient and subject."""

import smtplib
import ssl
import sys

address, port, name, domains = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
password = sys.stdin.readline().strip()

relay = smtplib.SMTP(address, port, timeout=30)
relay.ehlo("client.example")
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
relay.starttls(context=context)
relay.ehlo("client.example")
assert relay.has_extn("atrn"), relay.esmtp_features
print("before", *relay.docmd("ATRN", domains))
relay.login(name, password)
code, text = relay.docmd("ATRN", domains)
print("atrn", code)
if code != 250:
    relay.quit()
    sys.exit()

stream = relay.sock.makefile("rwb")


def say(line):
    stream.write(line.encode() + b"\r\n")
    stream.flush()


say("220 client.example ESMTP")
while line := stream.readline():
    word = line.strip().upper()
    if word.startswith(b"RCPT"):
        print("to", line.decode().split("<")[1].split(">")[0])
    if word.startswith(b"DATA"):
        say("354 go on")
        while (line := stream.readline().strip()) != b".":
            if line.startswith(b"Subject: "):
                print(line.decode())
        say("250 taken")
    elif word.startswith(b"QUIT"):
        say("221 bye")
        break
    else:
        say("250 client.example")
