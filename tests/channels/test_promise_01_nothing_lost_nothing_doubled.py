"""Promise 1: nothing lost, nothing doubled, whatever moment the sender's process dies at."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.channels.domain.run import RunOrder
from tests.channels.a_sender import HANDFUL, LANES, address_of
from tests.channels.smtp_server import Script, Session, SmtpServer, wait_until
from tests.channels.stage import Person, Stage

ROOT = Path(__file__).parents[2]


@contextmanager
def a_sender(stage: Stage, lease: int = 60_000) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}"}
    command = [sys.executable, "-m", "tests.channels.a_sender", str(stage.folder), str(lease)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait(10)


class Executioner:
    """Kills the process at a chosen event of the conversation with the server."""

    def __init__(self, phase: str, after: int) -> None:
        self._phase = phase
        self._left = after
        self._lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.struck = threading.Event()

    def at(self, phase: str) -> Callable[[str, Session], str]:
        reply = {"mail": "250 ok", "rcpt": "250 ok", "data": "354 go", "end": "250 2.0.0 queued"}[phase]

        def answer(_: str, __: Session) -> str:
            if phase == self._phase and not self.struck.is_set():
                with self._lock:
                    self._left -= 1
                    if self._left == 0 and self.process is not None:
                        self.process.kill()
                        self.process.wait(10)
                        self.struck.set()
            return reply

        return answer

    def script(self) -> Script:
        return Script(**{phase: self.at(phase) for phase in ("mail", "rcpt", "data", "end")})  # type: ignore[arg-type]


def begin(stage: Stage, server: SmtpServer, policy: str, count: int = 60) -> tuple[RunOrder, list[Person]]:
    order = stage.order(stage.account(server.port), unknown_policy=policy)
    people = stage.people(count)
    stage.launch(order, people, batch=20)
    return order, people


def check(policy: str, server: SmtpServer, people: list[Person], totals: dict[str, Any], crashes: int) -> None:
    """Every recipient accounted for; doubles and losses only as the policy allows, and never more than in flight."""
    got = Counter(took.recipient for took in server.took)
    everyone = {address_of(person.member) for person in people}
    in_flight = HANDFUL * LANES * crashes
    assert set(got) <= everyone
    assert totals["waiting"] == 0 and totals["handed_off"] == totals["members"] == len(people)
    assert totals["accepted"] + totals["unknown"] == len(people)
    twice = sum(count - 1 for count in got.values())
    if policy == "list":
        assert twice == 0, "with the policy list nobody gets it twice"
        assert len(everyone - set(got)) <= totals["unknown"] <= in_flight
    else:
        missing = len(everyone - set(got))
        assert missing <= totals["unknown"], "who was twice in flight at a crash is listed"
        assert missing == 0 or crashes > 1, "with the policy again nobody misses it by one crash"
        assert twice <= in_flight and max(got.values()) <= 2
        for recipient in got:
            ids = {took.message_id for took in server.took if took.recipient == recipient}
            assert len(ids) == 1, "the same delivery keeps its Message-ID"


@pytest.mark.parametrize("policy", ["list", "again"])
@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "end"])
def test_promise_01_killed_at_any_step_of_a_message_every_recipient_is_accounted_for(
    stage: Stage, policy: str, phase: str
) -> None:
    executioner = Executioner(phase, after=7)
    with SmtpServer(executioner.script()) as server:
        order, people = begin(stage, server, policy)
        with a_sender(stage) as process:
            executioner.process = process
            assert executioner.struck.wait(20), "nothing was in flight"
        assert any(ledger.document["owner"] for ledger in stage.ledgers(order.run)), "it died holding work"
        with a_sender(stage):
            totals = stage.wait_settled(order.run)
        check(policy, server, people, totals, crashes=1)


@pytest.mark.parametrize("policy", ["list", "again"])
def test_promise_01_killed_again_and_again_at_random_moments(stage: Stage, policy: str) -> None:
    chance = random.Random(20261123)
    with SmtpServer() as server:
        order, people = begin(stage, server, policy, count=400)
        crashes = 0
        for _ in range(4):
            before = len(server.seen)
            with a_sender(stage) as process:
                wait_until(lambda seen=before: len(server.seen) > seen or stage.is_settled(order.run))  # type: ignore[misc]
                threading.Event().wait(chance.uniform(0, 0.05))
                process.kill()
                process.wait(10)
            crashes += not stage.is_settled(order.run)
        assert crashes, "nothing was in flight"
        with a_sender(stage):
            totals = stage.wait_settled(order.run)
        check(policy, server, people, totals, crashes)


def test_promise_01_a_sender_frozen_past_its_lease_sends_nothing_that_another_took_over(stage: Stage) -> None:
    frozen = threading.Event()
    thawed = threading.Event()
    process: subprocess.Popen[bytes] | None = None

    def end(_: str, session: Session) -> str:
        if not frozen.is_set() and process is not None and session.messages == 2:
            frozen.set()
            process.send_signal(signal.SIGSTOP)
            thawed.wait(30)
        return "250 2.0.0 queued"

    with SmtpServer(Script(end=end)) as server:
        order, people = begin(stage, server, "list", count=100)
        with a_sender(stage, lease=2_000) as process, a_sender(stage, lease=2_000):
            assert frozen.wait(20)
            stage.wait_settled(order.run, 30)
            before = stage.totals(order.run)
            process.send_signal(signal.SIGCONT)
            thawed.set()
            threading.Event().wait(1.0)  # what it would still send, it sends now
            after = stage.totals(order.run)
        got = Counter(took.recipient for took in server.took)
        assert max(got.values()) == 1, "nobody twice"
        assert before == after, "what the other settled stays settled"
        assert 0 < after["unknown"] <= HANDFUL * LANES
        assert after["accepted"] + after["unknown"] == len(people)


def test_promise_01_two_senders_share_a_run_and_nobody_gets_it_twice(stage: Stage) -> None:
    with SmtpServer() as server:
        order, people = begin(stage, server, "list", count=600)
        with a_sender(stage), a_sender(stage):
            totals = stage.wait_settled(order.run)
        assert sorted(server.recipients()) == sorted(address_of(person.member) for person in people)
        assert totals["accepted"] == 600
