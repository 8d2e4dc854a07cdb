"""Asks for the mail of domains as the server of a customer would, with Python's smtplib: STARTTLS,
AUTH, ETRN. Arguments: address, port, name, then the words of the ETRNs; the password is on stdin.
Prints the reply to each."""

import smtplib
import ssl
import sys

address, port, name, words = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
password = sys.stdin.readline().strip()

relay = smtplib.SMTP(address, port, timeout=30)
relay.ehlo("client.example")
assert relay.has_extn("etrn"), relay.esmtp_features
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
relay.starttls(context=context)
relay.ehlo("client.example")
# What was announced in clear counts no more; the offer is made anew.
assert relay.has_extn("etrn") and relay.has_extn("auth"), relay.esmtp_features
print("before", *relay.docmd("ETRN", words[0]))
relay.login(name, password)
for word in words:
    print(word, *relay.docmd("ETRN", word))
relay.quit()
