"""A client in the manner of the PHP libraries: everything quoted, LF, codes 200, 201 and 300 only,
refusals told apart by their texts, and dictionaries taken apart by splitting at `;` and `=`.
Arguments: port, name; the password is in PASSWORD."""

import os
import re
import socket
import sys

line = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30).makefile("rwb")
NOT_FOUND = ("unknown user account", "unknown secondary domain name", "group is not found",
             "forwarder is not found", "Unknown Mailing List")


class Exists(Exception):
    pass


class Missing(Exception):
    pass


def hear():
    got = re.match(r"^(\d{3}) (.*)\r\n$", line.readline().decode())
    code, text = int(got.group(1)), got.group(2)
    if code in (200, 201, 300):
        return text
    if "already exists" in text:
        raise Exists(text)
    if any(word in text for word in NOT_FOUND):
        raise Missing(text)
    raise RuntimeError(f"{code} {text}")


def say(text):
    line.write(text.encode() + b"\n")
    line.flush()
    return hear()


def split_dictionary(text):
    assert text[0] == "{" and text[-1] == "}", text
    pairs = [pair for pair in text[1:-1].split(";") if pair]
    # The form is Key=value; without a space anywhere around.
    return dict(pair.split("=", 1) for pair in pairs)


def split_array(text):
    assert text[0] == "(" and text[-1] == ")", text
    return [one for one in text[1:-1].split(",") if one]


def refused(kind, text):
    try:
        say(text)
    except kind:
        return
    raise AssertionError(f"{text}: was not refused so")


hear()
say(f"USER {sys.argv[2]}")
assert say("PASS " + os.environ["PASSWORD"]) == "login OK"
say("INLINE")
say('CreateDomain "php.example"')
refused(Exists, 'CreateDomain "php.example"')
say('CreateAccount "tim@php.example" {"RealName"="Tim T";"MaxAccountSize"="5M";"Password"="x";}')
refused(Exists, 'CreateAccount "tim@php.example"')
refused(Missing, 'GetAccountSettings "tom@php.example"')
refused(Missing, 'GetAccountSettings "tim@gone.example"')
refused(Missing, 'GetGroup "g@php.example"')
refused(Missing, 'GetForwarder "f@php.example"')
settings = split_dictionary(say('GetAccountSettings "tim@php.example"'))
assert settings["RealName"] == '"Tim T"' and settings["MaxAccountSize"] == "5M", settings
say('SetAccountAliases "tim@php.example" ("timothy","t.t")')
assert split_array(say('GetAccountAliases "tim@php.example"')) == ["t.t", "timothy"]
assert split_dictionary(say('ListAccounts "php.example"')) == {"tim": "macnt"}
say('CreateForwarder "f@php.example" TO "a@b.example"')
assert say('GetForwarder "f@php.example"') == "a@b.example"
say('CreateGroup "g@php.example" {"Members"=("tim");}')
assert split_dictionary(say('GetGroup "g@php.example"'))["Members"] == "(tim)"
refused(RuntimeError, 'VerifyAccountPassword "tim@php.example" PASSWORD "wrong"')
used = say('GetAccountInfo "tim@php.example" Key "StorageUsed"')
assert used.isdigit(), used
assert "php.example" in split_array(say("ListDomains"))
say('DeleteAccount "tim@php.example"')
refused(Missing, 'GetAccountInfo "tim@php.example"')
say('DeleteDomain "php.example" FORCE')
