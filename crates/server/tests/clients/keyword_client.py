"""A client in the manner of the older Python libraries: APOP or nothing, CRLF, any name becomes a
command, keyword arguments become KEY value, and each answer is what one read of 4096 octets gives.
Arguments: port, name; the password is in PASSWORD."""

import hashlib
import os
import re
import socket
import sys

port, name = int(sys.argv[1]), sys.argv[2]


class Client:
    def __init__(self):
        self.line = socket.create_connection(("127.0.0.1", port), 30)
        stamp = re.search(rb"<.*@.*>", self.read()).group()
        digest = hashlib.md5(stamp + os.environ["PASSWORD"].encode()).hexdigest()
        assert self.say(f"APOP {name} {digest}").startswith("200"), "APOP refused"

    def read(self):
        answer = self.line.recv(4096)
        assert answer.endswith(b"\r\n"), answer
        return answer

    def say(self, text):
        self.line.sendall(text.encode() + b"\r\n")
        return self.read().decode()

    def __getattr__(self, command):
        def run(*words, **options):
            parts = [command, *map(str, words)]
            for key, value in options.items():
                parts += [key, str(value)]
            answer = self.say(" ".join(parts))
            code, text = int(answer[:3]), answer[4:-2]
            # Without INLINE both lines must come in the same read.
            if text.startswith("data follow\r\n"):
                text = text.split("\r\n", 1)[1]
            return code, text

        return run


cli = Client()
assert cli.NoOp() == (200, "OK")
assert cli.Echo('"a b"') == (200, '"a b"')
assert cli.CreateDomain("python.example") == (200, "OK")
assert cli.CreateAccount("eve@python.example", '{Password="x";}') == (200, "OK")
assert cli.CreateAccount("eve@python.example")[0] == 520
assert cli.SetAccountPassword("eve@python.example", PASSWORD="new") == (200, "OK")
assert cli.VerifyAccountPassword("eve@python.example", PASSWORD="new") == (200, "OK")
assert cli.CreateMailbox("eve@python.example", MAILBOX="Work") == (200, "OK")
assert cli.ListMailboxes("eve@python.example", FILTER="W*")[1].startswith("{Work={Messages=#0;")
assert cli.RenameMailbox("eve@python.example", MAILBOX="Work", INTO="Job") == (200, "OK")
assert cli.ListAccounts("python.example") == (200, "{eve=macnt;}")
assert cli.DeleteDomain("python.example")[0] != 200
assert cli.DeleteDomain("python.example", "FORCE") == (200, "OK")
