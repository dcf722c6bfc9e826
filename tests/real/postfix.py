"""A Postfix of one's own: its configuration, its doors, and its record of what it took.

Every door is a port with restrictions of its own in front of the same mailboxes.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.real.certificates import Certificates

CLUB = "club.example"  # whose accounts send
MEMBERS = "members.example"  # where members have their mailboxes
BLOCKED = "blocked.example"  # a sender's domain that the house refuses
_REFUSED_MEMBER = f"strict@{MEMBERS}"
LARGEST_MESSAGE = 300_000
_MAILBOX_OWNER = 5_000

_SERVICES = """
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
proxymap  unix  - - n -     - proxymap
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
virtual   unix  - n n -     - virtual
anvil     unix  - - n -     1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True, slots=True)
class Doors:
    """The ports that Postfix listens on."""

    submission: int  # STARTTLS and AUTH are demanded
    submissions: int  # TLS from the first byte, and AUTH
    plain: int  # no TLS; AUTH is not offered
    particular: int  # submission that only takes senders which belong to who signed in
    wary: int  # plain, and it wants to know the sender's mailbox, and a full name in HELO
    elsewhere: int  # submission with the certificate of another host
    stranger: int  # submission with a certificate from nobody


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Where Postfix asks."""

    sasl: int
    quota: int
    house_rules: int
    dkim: int


class Postfix:
    """Its folders, under ``folder``: configuration, queue, mailboxes."""

    def __init__(self, folder: Path, doors: Doors, neighbours: Neighbours) -> None:
        self.folder = folder
        self.doors = doors
        self._neighbours = neighbours
        self._etc = folder / "etc"
        self.boxes = folder / "boxes"
        self._log = folder / "postfix.log"

    def write(self, certificates: Certificates, mailboxes: Sequence[str]) -> None:
        """Write the configuration, and make the folders that it names."""
        self._etc.mkdir(parents=True)
        (self.folder / "queue").mkdir()
        (self.folder / "data").mkdir()
        shutil.chown(self.folder / "data", "postfix")
        self.boxes.mkdir()
        shutil.chown(self.boxes, _MAILBOX_OWNER, _MAILBOX_OWNER)
        (self._etc / "mailboxes").write_text("".join(f"{box} {box}/Maildir/\n" for box in mailboxes))
        shutil.copy("/etc/postfix/dynamicmaps.cf", self._etc)
        (self._etc / "main.cf").write_text(self._main(certificates))
        (self._etc / "master.cf").write_text(_SERVICES + self._listening(certificates))

    def command(self) -> list[str]:
        """How the master process is started, in the foreground."""
        subprocess.run(["postfix", "-c", str(self._etc), "check"], check=True, capture_output=True, timeout=30)
        return [_setting("daemon_directory") + "/master", "-c", str(self._etc), "-d"]

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def connections(self, door: str) -> int:
        """How often somebody connected to a door so far."""
        return len(re.findall(rf"postfix/{door}/smtpd\[\d+\]: connect from", self.log()))

    def _main(self, certificates: Certificates) -> str:
        near = self._neighbours
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": self.folder / "queue",
            "data_directory": self.folder / "data",
            "maillog_file": self._log,
            "maillog_file_prefixes": self.folder,
            "myhostname": f"mail.{CLUB}",
            "mydestination": "",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "disable_dns_lookups": "yes",
            "default_transport": "error:5.4.4 nothing leaves this machine",
            "alias_maps": "",
            "alias_database": "",
            "recipient_delimiter": "+",
            "message_size_limit": LARGEST_MESSAGE,
            "virtual_mailbox_domains": f"{CLUB} {MEMBERS}",
            "virtual_mailbox_base": self.boxes,
            "virtual_mailbox_maps": f"texthash:{self._etc}/mailboxes",
            "virtual_uid_maps": f"static:{_MAILBOX_OWNER}",
            "virtual_gid_maps": f"static:{_MAILBOX_OWNER}",
            "smtpd_tls_chain_files": certificates.server,
            "smtpd_tls_auth_only": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"inet:127.0.0.1:{near.sasl}",
            "smtpd_sender_login_maps": f"inline:{{ @{CLUB}=news@{CLUB} }}",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject_unauth_destination",
            "smtpd_recipient_restrictions": ", ".join(
                (
                    "reject_unlisted_recipient",
                    f"check_sender_access inline:{{ {BLOCKED}=REJECT }}",
                    f"check_recipient_access inline:{{ {_REFUSED_MEMBER}=REJECT }}",
                    f"check_policy_service inet:127.0.0.1:{near.quota}",
                    f"check_policy_service inet:127.0.0.1:{near.house_rules}",
                )
            ),
            "smtpd_milters": f"inet:127.0.0.1:{near.dkim}",
            "milter_default_action": "tempfail",
            "smtpd_error_sleep_time": "0",  # its hard limit of twenty errors stays
        }
        return "".join(f"{name} = {value}\n" for name, value in settings.items())

    def _listening(self, certificates: Certificates) -> str:
        demanding = ["smtpd_tls_security_level=encrypt", "smtpd_sasl_auth_enable=yes"]
        signed_in = [*demanding, "smtpd_client_restrictions=permit_sasl_authenticated,reject"]
        doors = {
            "submission": signed_in,
            "submissions": [*signed_in, "smtpd_tls_wrappermode=yes"],
            "plain": ["smtpd_tls_security_level=none", "smtpd_sasl_auth_enable=yes"],
            "particular": [*signed_in, "smtpd_sender_restrictions=reject_sender_login_mismatch"],
            "wary": [
                "smtpd_tls_security_level=none",
                "smtpd_helo_restrictions=reject_non_fqdn_helo_hostname",
                "smtpd_sender_restrictions=reject_unlisted_sender",
            ],
            "elsewhere": [*signed_in, f"smtpd_tls_chain_files={certificates.elsewhere}"],
            "stranger": [*signed_in, f"smtpd_tls_chain_files={certificates.stranger}"],
        }
        return "".join(
            f"127.0.0.1:{getattr(self.doors, name)} inet n - n - - smtpd\n"
            + "".join(f"  -o {option}\n" for option in [f"syslog_name=postfix/{name}", *options])
            for name, options in doors.items()
        )


def _setting(name: str) -> str:
    """What this machine's Postfix was built with."""
    told = subprocess.run(["postconf", "-dh", name], check=True, capture_output=True, text=True, timeout=10)
    return told.stdout.strip()
