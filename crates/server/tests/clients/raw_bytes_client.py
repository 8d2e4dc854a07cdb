"""A client in the manner of the Java library: login words in small letters, TO in
SetAccountPassword, the flag word external, control and ISO-8859-1 octets raw inside quotes, a line
feed in a value that cuts the command in two. Arguments: port, name; the password is in PASSWORD."""

import base64
import hashlib
import os
import socket
import sys

line = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30).makefile("rwb")


def say(octets):
    line.write(octets + b"\n")
    line.flush()
    answer = line.readline()
    assert answer.endswith(b"\r\n") and answer[:3].isdigit() and answer[3:4] == b" ", answer
    return int(answer[:3]), answer[4:-2]


def check(octets, code, data=b"OK"):
    got = say(octets)
    assert got == (code, data), (octets, got)


line.readline()
assert say(b"user " + sys.argv[2].encode())[0] == 300
assert say(b"pass " + os.environ["PASSWORD"].encode())[0] == 200
check(b"inline", 200)
check(b'CreateDomain "java.example"', 200)
# {MD5} of "secret", marked by the octet 2 as it is.
digest = hashlib.md5(b"secret").digest()
check(b'CreateAccount "ray@java.example" {"Password"="\x02{MD5}' + base64.b64encode(digest) + b'";"RealName"="Ren\xe9";}', 200)
check(b'VerifyAccountPassword "ray@java.example" PASSWORD "secret"', 200)
check(b'GetAccountOneSetting "ray@java.example" "RealName"', 201, '"René"'.encode())
check(b'SetAccountPassword "ray@java.example" TO "new"', 200)
check(b'VerifyAccountPassword "ray@java.example" PASSWORD "new"', 200)
# The older word for LEGACY is read; without a place for such files it may be refused.
assert say(b'CreateAccount "old@java.example" external')[0] in (200, 501)
check(b'UpdateAccountSettings "ray@java.example" {"Note"="\xc3\xa9 \x7f \x1b";}', 200)
check(b'GetAccountOneSetting "ray@java.example" "Note"', 201, b'"\xc3\xa9 \\127 \\027"')
# A line feed inside a value makes two wrong commands, and the session goes on.
assert say(b'UpdateAccountSettings "ray@java.example" {"Note"="one\ntwo";}')[0] == 500
assert line.readline().startswith(b"500 ")
assert say(b'Echo "a"b"')[0] == 500
assert say(b'Echo "\x00"')[0] == 500
check(b"Echo #NULL#", 201, b"#NULL#")
check(b'DeleteDomain "java.example" FORCE', 200)
