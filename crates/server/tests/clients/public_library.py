"""Drives the server with the library CGPCLI of the Python package index, unchanged. Arguments:
port, name; the password is in PASSWORD."""

import os
import sys

from CGPCLI import Server
from CGPCLI.Errors import CommandFailedError, FailedLogin

port, name = int(sys.argv[1]), sys.argv[2]


def body(answer):
    assert answer["header"] in ("200", "201"), answer
    return answer["body"]


wrong = Server("127.0.0.1", port)
wrong.connect()
try:
    wrong.login(name, "wrong password")
    raise AssertionError("a wrong password was taken")
except FailedLogin:
    pass

cli = Server("127.0.0.1", port)
cli.connect()
cli.login(name, os.environ["PASSWORD"])
main = body(cli.main_domain_name())
body(cli.create_domain("library.example"))
assert sorted(body(cli.list_domains())) == sorted(["library.example", main])
body(cli.update_domain_settings({"MailToUnknown": "Rejected"}, "library.example"))
assert body(cli.get_domain_settings("library.example")) == {"MailToUnknown": "Rejected"}
body(cli.create_account("lib@library.example", settings={"RealName": "Lib Rary", "Password": "x"}))
try:
    cli.create_account("lib@library.example")
    raise AssertionError("the account was made twice")
except CommandFailedError as error:
    assert "520" in str(error), error
settings = body(cli.get_account_settings("lib@library.example"))
assert settings["RealName"] == "Lib Rary", settings
body(cli.set_account_aliases("lib@library.example", ["other", "third"]))
assert body(cli.get_account_aliases("lib@library.example")) == ["other", "third"]
effective = body(cli.get_account_effective_settings("lib@library.example"))
assert effective["MaxMailboxes"] == "-1", effective
body(cli.create_group("g@library.example", {"Members": ["lib"]}))
assert body(cli.get_group("g@library.example"))["Members"] == ["lib"]
body(cli.create_forwarder("f@library.example", "a@b.example"))
assert body(cli.list_forwarders("library.example")) == ["f"]
mailboxes = body(cli.list_mailboxes("lib@library.example"))
assert mailboxes["INBOX"]["Messages"] == 0, mailboxes
assert body(cli.get_server_settings())["DomainName"] == main
assert body(cli.execute_command("GetCurrentTime")).year >= 2020
assert "NOOP" in body(cli.execute_command("ListCLICommands"))
body(cli.delete_account("lib@library.example"))
body(cli.delete_domain("library.example", force=True))
cli.disconnect()
