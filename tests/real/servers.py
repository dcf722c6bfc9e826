"""Postfix, Dovecot and OpenDKIM on free ports, in a folder of their own, and gone when the tests end."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from demo.doors import wait_until
from demo.house import free_port
from tests.real.certificates import Certificates, make_certificates
from tests.real.house_rules import HouseRules
from tests.real.mailbox import Mailbox
from tests.real.postfix import CLUB, MEMBERS, Doors, Neighbours, Postfix

PASSWORD = "a good pass-phrase"
SENDER = f"news@{CLUB}"
FULL = f"full@{MEMBERS}"
MAILBOXES = (
    SENDER,
    *(f"{name}@{MEMBERS}" for name in ("reader", "crowd", "ada", "bob", "cleo", "greta", "strict", "full", "élodie")),
)
SELECTORS = ("rsa", "ed25519")
_NEEDED = {"postfix": "postfix", "dovecot": "dovecot-imapd", "opendkim": "opendkim"}
_PLACES = (os.environ.get("PATH", ""), "/usr/sbin", "/sbin")
_READY_WITHIN_SECONDS = 30.0
_ENDS_WITHIN_SECONDS = 1.0


def what_is_missing() -> str:
    """Why these servers cannot be started here, or empty."""
    absent = [package for command, package in _NEEDED.items() if not _found(command)]
    if absent:
        return f"not installed here: {', '.join(absent)} (apt-get install {' '.join(absent)})"
    return "" if os.geteuid() == 0 else "Postfix can only be started by root"


def _found(command: str) -> str | None:
    return shutil.which(command, path=os.pathsep.join(_PLACES))


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A key that the sender signs with; its public half is what OpenDKIM finds under ``<selector>._domainkey``."""

    selector: str
    private: str
    record: str


class MailServers:
    """Use as a context manager: all three run inside, and none of them after."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fanfare-mail-"))
        self.folder.chmod(0o755)  # the servers give up root's rights
        self.doors = Doors(*(free_port() for _ in fields(Doors)))
        self.house_rules = HouseRules()
        self._imap = free_port()
        self._near = Neighbours(free_port(), free_port(), self.house_rules.port, free_port())
        self.postfix = Postfix(self.folder / "postfix", self.doors, self._near)
        self.certificates: Certificates
        self.keys = {key.selector: key for key in _dkim_keys()}
        self._users = self.folder / "users"
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> MailServers:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._running)
        self.house_rules.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def mailbox(self, address: str) -> Mailbox:
        return Mailbox(self._imap, address, PASSWORD)

    def change_password(self, of: str, password: str) -> None:
        """Dovecot knows another one once this returns: it looks at its file once a second."""
        self._write_users({**dict.fromkeys(MAILBOXES, PASSWORD), of: password})
        wait_until(Mailbox(self._imap, of, password).opens, "the new password", 10)

    def _start(self) -> None:
        self.certificates = make_certificates(self.folder / "certificates")
        self.postfix.write(self.certificates, MAILBOXES)
        self._fill(FULL)
        self._write_users(dict.fromkeys(MAILBOXES, PASSWORD))
        self._run(self._dovecot())
        self._run(self._opendkim())
        self._run(self.postfix.command())
        ports = [self._imap, *(getattr(near, each.name) for near in (self.doors, self._near) for each in fields(near))]
        wait_until(lambda: all(map(_listens, ports)) or self._somebody_ended(), "the servers", _READY_WITHIN_SECONDS)
        assert not self._somebody_ended(), self._what_they_said()

    def _run(self, command: Sequence[str]) -> None:
        with (self.folder / "out").open("ab") as out:
            self._running.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
                )
            )

    def _somebody_ended(self) -> bool:
        return any(map(_has_ended, self._running))

    def _what_they_said(self) -> str:
        said = (self.folder / name for name in ("out", "dovecot.log", "postfix/postfix.log"))
        return "\n".join(path.read_text(errors="replace")[-2_000:] for path in said if path.exists())

    def _fill(self, address: str) -> None:
        """A message in the mailbox, larger than what it may hold."""
        new = self.postfix.boxes / address / "Maildir" / "new"
        for folder in (new, new.parent / "cur", new.parent / "tmp"):
            folder.mkdir(parents=True)
        (new / "1.M1P1.mail").write_text("Subject: Old\n\n" + "x" * 70 + "\n" * 4_096)
        for path in (new.parents[1], *new.parents[1].rglob("*")):
            shutil.chown(path, 5_000, 5_000)

    def _write_users(self, passwords: Mapping[str, str]) -> None:
        """Dovecot reads the file anew when it changed."""
        lines = []
        for address, password in passwords.items():
            room = "1K" if address == FULL else "100M"
            home = self.postfix.boxes / address
            lines.append(f"{address}:{{PLAIN}}{password}:5000:5000::{home}::userdb_quota_rule=*:storage={room}\n")
        draft = self.folder / "users.draft"
        draft.write_text("".join(lines))
        draft.replace(self._users)

    def _dovecot(self) -> list[str]:
        near = self._near
        path = self.folder / "dovecot.conf"
        path.write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/dovecot.log
listen = 127.0.0.1
protocols = imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_chars =
mail_location = maildir:~/Maildir
mail_plugins = quota
first_valid_uid = 5000
passdb {{
  driver = passwd-file
  args = username_format=%u {self._users}
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {self._users}
}}
plugin {{
  quota = maildir:Mailbox
  quota_status_success = DUNNO
  quota_status_nouser = DUNNO
  quota_status_overquota = "552 5.2.2 Mailbox is full"
}}
service imap-login {{
  inet_listener imap {{
    port = {self._imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {near.sasl}
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service quota-status {{
  executable = quota-status -p postfix
  client_limit = 1
  inet_listener {{
    address = 127.0.0.1
    port = {near.quota}
  }}
}}
""")
        return [_found("dovecot") or "", "-F", "-c", str(path)]

    def _opendkim(self) -> list[str]:
        """It verifies everything, and signs nothing: what we sign is what it judges."""
        published = self.folder / "published"
        published.write_text("".join(f"{key.selector}._domainkey.{CLUB} {key.record}\n" for key in self.keys.values()))
        nobody = self.folder / "nobody"
        nobody.write_text("192.0.2.1\n")
        path = self.folder / "opendkim.conf"
        path.write_text(f"""
Mode v
Socket inet:{self._near.dkim}@127.0.0.1
TestPublicKeys {published}
AuthservID mail.{CLUB}
AlwaysAddARHeader yes
InternalHosts file:{nobody}
ExternalIgnoreList file:{nobody}
UserID opendkim
Background no
Syslog no
""")
        return [_found("opendkim") or "", "-x", str(path)]


def _dkim_keys() -> tuple[DkimKey, DkimKey]:
    both = rsa.generate_private_key(65_537, 2_048)
    of_rsa = both.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    curve = ed25519.Ed25519PrivateKey.generate()
    of_curve = curve.public_key().public_bytes_raw()
    return (
        DkimKey("rsa", _pem(both), f"v=DKIM1; k=rsa; p={base64.b64encode(of_rsa).decode()}"),
        DkimKey("ed25519", _pem(curve), f"v=DKIM1; k=ed25519; p={base64.b64encode(of_curve).decode()}"),
    )


def _pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End servers and all that they started. Until one is waited for, its id and its group's are nobody else's."""
    running = [process for process in processes if process.returncode is None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    until = time.monotonic() + _ENDS_WITHIN_SECONDS
    while not all(map(_has_ended, running)) and time.monotonic() < until:
        time.sleep(0.02)
    for process in running:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
