"""What channels hears and tells, over the real log and the real wire."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fanfare.campaigns.v1 import campaign_events_pb2, run_pb2
from fanfare.channels.v1 import account_service_pb2, delivery_events_pb2, delivery_service_pb2
from fanfare.channels.v1.account_service_pb2_grpc import AccountServiceStub
from fanfare.channels.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from fanfare.gateway.v1 import public_events_pb2
from fanfare.members.v1 import member_events_pb2
from services.channels.domain.run import ORDER_FIELDS, RunOrder
from services.channels.events_in import TOPICS, handlers
from services.channels.events_out import EVENTS_OUT
from services.channels.grpc_api import AccountApi, DeliveryApi
from services.channels.use_cases import planning, suppressing
from services.channels.use_cases.accounts import opened
from services.kit.clock import SystemClock
from services.kit.consume import Consumer
from services.kit.errors import FanfareError, Kind
from services.kit.log import open_log
from services.kit.log.port import Event, Log
from services.kit.outbox import Relay
from services.kit.rpc.client import Peer
from services.kit.rpc.server import RpcServer, Service
from services.kit.rpc.trust import Signer, Verifier, make_key
from services.kit.store.machinery import DeadLetterDocument, LeaseDocument
from tests.channels.smtp_server import SmtpServer, wait_until
from tests.channels.stage import IDS, Stage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    opened = open_log(f"sqlite:///{tmp_path / 'log.sqlite'}")
    yield opened
    opened.close()


@contextmanager
def at_work(stage: Stage, log: Log) -> Iterator[None]:
    """The room's consumer, relay and sender, in threads."""
    room, clock = stage.room, SystemClock()
    stop = threading.Event()
    consumer = Consumer(
        log,
        stage.store.collection(DeadLetterDocument),
        group="channels",
        topics=TOPICS,
        handlers=handlers(room),
        clock=clock,
    )
    leases = stage.store.collection(LeaseDocument)
    relay = Relay("channels", log, [room.ledgers, room.accounts, room.erasures], leases, EVENTS_OUT, clock)
    threads = [threading.Thread(target=worker.run, args=(stop,), daemon=True) for worker in (consumer, relay)]
    for thread in threads:
        thread.start()
    stage.send()
    try:
        yield
    finally:
        stage.stop()
        stop.set()
        for thread in threads:
            thread.join(10)


def event(stage: Stage, topic: str, message: Any, subject: str, sequence: int) -> Event:
    return Event(
        id=IDS.new("evt"),
        type=message.DESCRIPTOR.full_name,
        source=topic,
        subject=subject,
        sequence=sequence,
        at=stage.clock.now(),
        agency=stage.agency,
        community=stage.community,
        data=message.SerializeToString(),
    )


def order_message(order: RunOrder) -> run_pb2.RunOrder:
    return run_pb2.RunOrder(**{name: getattr(order, name) for name in ORDER_FIELDS})


class Heard:
    """Everything the channels topic said."""

    def __init__(self, log: Log) -> None:
        self._reader = log.reader(["channels"], "test")
        self.events: list[Event] = []

    def of(self, kind: Any) -> list[Any]:
        self.events += [received.event for received in self._reader.poll(timeout_ms=50)]
        name = kind.DESCRIPTOR.full_name
        return [kind.FromString(each.data) for each in self.events if each.type == name]


def test_a_run_told_by_events_is_sent_and_told_of_even_when_every_event_comes_twice(stage: Stage, log: Log) -> None:
    with SmtpServer() as server:
        order = stage.order(stage.account(server.port))
        people = stage.people(30)
        launched = campaign_events_pb2.CampaignLaunched(order=order_message(order))
        ids = [person.member for person in people]
        batches = [
            campaign_events_pb2.BatchPlanned(run=order.run, sequence=0, members=ids[:20]),
            campaign_events_pb2.BatchPlanned(run=order.run, sequence=1, members=ids[20:]),
        ]
        planned = campaign_events_pb2.RunPlanned(run=order.run, batches=2, members=30)
        told = [event(stage, "campaigns", each, order.run, at) for at, each in enumerate([launched, *batches, planned])]
        heard = Heard(log)
        with at_work(stage, log):
            log.publish("campaigns", told)
            log.publish("campaigns", told)
            wait_until(lambda: len(heard.of(delivery_events_pb2.BatchSettled)) == 2)
            stage.wait_settled(order.run)
        assert len(server.took) == 30
        settled = heard.of(delivery_events_pb2.BatchSettled)
        assert sorted(member for each in settled for member in each.accepted) == sorted(p.member for p in people)
        assert {(each.campaign, each.channel, each.purpose) for each in settled} == {(order.campaign, "email", "news")}
        last = {each.sequence: each for each in heard.of(delivery_events_pb2.BatchProgressed)}
        assert sum(each.totals.accepted for each in last.values()) == 30 and all(each.settled for each in last.values())
        everything = b"".join(each.data for each in heard.events)
        assert b"@" not in everything, "no address in an event"


def test_an_erasure_is_acknowledged_once_and_forgets_the_members_suppressions(stage: Stage, log: Log) -> None:
    (person,) = stage.people(1)
    suppressing.suppress_member(stage.room, stage.scope, stage.community, "email", person.member, [], "page", 1)
    erased = member_events_pb2.MemberErased(member=person.member, erasure="era_1")
    told = event(stage, "members", erased, person.member, 1)
    heard = Heard(log)
    with at_work(stage, log):
        log.publish("members", [told])
        log.publish("members", [told])
        wait_until(lambda: bool(heard.of(delivery_events_pb2.ErasureAcknowledged)))
        wait_until(lambda: log.lag(TOPICS, "channels") == 0)
    acknowledged = heard.of(delivery_events_pb2.ErasureAcknowledged)
    assert [(each.member, each.erasure) for each in acknowledged] == [(person.member, "era_1")]
    subject = suppressing.member_subject(stage.community, "email", person.member)
    assert not stage.room.suppressions.get(stage.scope, [subject])


def test_an_unsubscribe_that_channels_was_away_for_is_heard_of_from_the_log(stage: Stage, log: Log) -> None:
    child, twin = stage.people(2)
    said = public_events_pb2.UnsubscribeRequested(
        member=child.member, also=[twin.member], channel="email", purposes=["news"], at=stage.clock.now()
    )
    log.publish("gateway", [event(stage, "gateway", said, "uns_1", 1)])
    with at_work(stage, log), SmtpServer() as server:
        wait_until(lambda: log.lag(TOPICS, "channels") == 0)
        order = stage.order(stage.account(server.port))
        stage.launch(order, [child, twin])
        assert stage.wait_settled(order.run)["skipped"] == {"suppressed": 2}
        assert not server.seen


def test_an_unsubscribe_is_over_once_a_later_act_of_the_person_gives_the_purpose_back(stage: Stage, log: Log) -> None:
    def allowed_again(purpose: str, at: int, allowed: bool = True) -> Event:
        said = member_events_pb2.PermissionChanged(
            member=person.member, purpose=purpose, channel="email", allowed=allowed
        )
        return replace(event(stage, "members", said, person.member, at), at=at)

    def tell(*events: Event) -> list[str]:
        log.publish("members", events)
        wait_until(lambda: log.lag(TOPICS, "channels") == 0)
        subject = suppressing.member_subject(stage.community, "email", person.member)
        return list(stage.room.suppressions.get(stage.scope, [subject])[subject]["purposes"])

    def unsubscribe(at: int, *purposes: str) -> None:
        suppressing.suppress_member(
            stage.room, stage.scope, stage.community, "email", person.member, purposes, "page", at
        )

    (person,) = stage.people(1)
    unsubscribe(1_000, "news", "promotion")
    suppressing.suppress_addresses(stage.room, stage.scope, stage.community, "email", [person.address])
    with at_work(stage, log):
        assert tell(allowed_again("news", 999), allowed_again("promotion", 2_000, allowed=False)) == [
            "news",
            "promotion",
        ], "what came before the unsubscribe, and what takes away, gives nothing back"
        assert tell(allowed_again("news", 2_000)) == ["promotion"]
        unsubscribe(1_000, "news")
        assert tell() == ["promotion"], "the same unsubscribe told again changes nothing"
        unsubscribe(3_000, "news")
        unsubscribe(4_000, "news")
        assert tell(allowed_again("news", 3_500)) == ["promotion", "news"], "the last unsubscribe came after it"
        assert tell(allowed_again("news", 4_001), allowed_again("promotion", 4_001)) == []
    order = stage.order("acc_1")
    assert suppressing.Suppressed(stage.room, stage.scope, order, [person.member], [person.address]).holds(
        person.member, person.address
    ), "an address that bounced is given back by nothing"


def test_a_batch_whose_launch_is_not_known_is_kept_and_not_lost(stage: Stage, log: Log) -> None:
    planned = campaign_events_pb2.BatchPlanned(run=IDS.new("run"), sequence=0, members=[IDS.new("mbr")])
    letters = stage.store.collection(DeadLetterDocument)
    with at_work(stage, log):
        log.publish("campaigns", [event(stage, "campaigns", planned, planned.run, 1)])
        wait_until(lambda: letters.count(stage.scope) == 1)


def test_what_was_parked_is_listed_and_replayed_by_a_command_beside_a_working_service(stage: Stage, log: Log) -> None:
    def command(name: str) -> tuple[int, str]:
        environment = {**os.environ, "FANFARE_DATA": str(stage.settings.data), "FANFARE_LOG": f"sqlite:///{log_file}"}
        line = [sys.executable, "-m", "services.channels", name]
        done = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout

    log_file = stage.folder / "log.sqlite"
    make_key(stage.settings.keys_folder, "channels")
    with SmtpServer() as server, at_work(stage, log):
        (person,) = stage.people(1)
        order = stage.order(stage.account(server.port))
        batch = campaign_events_pb2.BatchPlanned(run=order.run, sequence=0, members=[person.member])
        closed = campaign_events_pb2.RunPlanned(run=order.run, batches=1, members=1)
        told = [event(stage, "campaigns", each, order.run, at) for at, each in enumerate([batch, closed])]
        log.publish("campaigns", told)
        wait_until(lambda: stage.store.collection(DeadLetterDocument).count(stage.scope) == 2)
        status, said = command("replay")
        assert status == 1 and "channels: 0 replayed\n" in said and "channels: 2 parked" in said
        status, said = command("parked")
        assert status == 1 and told[0].id in said and order.run in said
        assert "UnknownRun (run-unknown)" in said and "waits behind" in said
        planning.record_launch(stage.room, order)
        status, said = command("replay")
        assert (status, said) == (0, "channels: 2 replayed\nchannels: 0 parked\n")
        assert stage.wait_settled(order.run)["accepted"] == 1
        assert command("parked") == (0, "channels: 0 parked\n")


@contextmanager
def served(stage: Stage) -> Iterator[tuple[Peer, str]]:
    keys = stage.settings.keys_folder
    for service in ("gateway", "channels"):
        make_key(keys, service)
    services = [
        Service(account_service_pb2.DESCRIPTOR.services_by_name["AccountService"], AccountApi(stage.room)),
        Service(delivery_service_pb2.DESCRIPTOR.services_by_name["DeliveryService"], DeliveryApi(stage.room)),
    ]
    server = RpcServer("127.0.0.1:0", services, Verifier(keys, SystemClock()))
    server.start()
    peer = Peer(server.address, Signer(keys, "gateway", SystemClock()))
    try:
        yield peer, server.address
    finally:
        peer.close()
        server.stop(1)


def test_an_operator_controls_a_run_and_asks_why_over_the_wire(stage: Stage) -> None:
    with SmtpServer() as server, served(stage) as (peer, _):
        order = stage.order(stage.account(server.port))
        people = stage.people(3)
        people[0].permitted, people[0].permission_reason = False, "objection"
        deliveries, accounts = peer.stub(DeliveryServiceStub), peer.stub(AccountServiceStub)
        as_gateway = peer.as_service(stage.scope, locale="fr")
        paused = delivery_service_pb2.ControlRunRequest(run=order.run, state="paused")
        assert deliveries.ControlRun(paused, metadata=as_gateway).state == "paused", (
            "even before its launch is heard of"
        )
        stage.launch(order, people)
        stage.send()
        why = delivery_service_pb2.ExplainDeliveryRequest(run=order.run, member=people[1].member)
        grants = {stage.community: frozenset(("campaigns.read", "channels.read", "channels.write", "outgoing.hold"))}
        operator = peer.on_behalf_of("operator:opr_1", stage.agency, grants, locale="fr")
        assert deliveries.ExplainDelivery(why, metadata=operator).reason == "paused"
        waiting = delivery_service_pb2.ListDeliveriesRequest(run=order.run, state="waiting")
        assert [each.member for each in deliveries.ListDeliveries(waiting, metadata=operator).deliveries] == [
            person.member for person in people
        ], "as the figures count them, before their first turn"
        resume = delivery_service_pb2.ControlRunRequest(run=order.run, state="running")
        deliveries.ControlRun(resume, metadata=as_gateway)
        stage.wait_settled(order.run)
        why = delivery_service_pb2.ExplainDeliveryRequest(run=order.run, member=people[0].member)
        said = deliveries.ExplainDelivery(why, metadata=operator)
        assert (said.state, said.reason) == ("skipped", "objection") and "opposé" in said.message
        totals = deliveries.GetTotals(delivery_service_pb2.GetTotalsRequest(run=order.run), metadata=operator)
        assert (totals.totals.accepted, dict(totals.totals.skipped)) == (2, {"objection": 1})
        skipped = delivery_service_pb2.ListDeliveriesRequest(run=order.run, state="skipped")
        listed = deliveries.ListDeliveries(skipped, metadata=operator).deliveries
        assert [(each.member, each.reason) for each in listed] == [(people[0].member, "objection")]
        changed = accounts.ChangeAccount(
            account_service_pb2.ChangeAccountRequest(account=order.account, state="paused"), metadata=operator
        )
        assert (changed.account.state, changed.account.rate_per_minute) == ("paused", 0)
        assert not changed.account.DESCRIPTOR.fields_by_name.get("password")
        anew = account_service_pb2.ChangeAccountRequest(account=order.account, name="Le club", password="new")
        changed = accounts.ChangeAccount(anew, metadata=operator)
        assert (changed.account.state, changed.account.name) == ("paused", "Le club"), "the rest stays as it is"
        assert opened(stage.room, stage.room.account(stage.scope, order.account)).password == "new"
        held = deliveries.HoldOutgoing(
            delivery_service_pb2.HoldOutgoingRequest(community=stage.community, cause="x"), metadata=operator
        )
        assert held.held_at


def test_promise_12_a_stranger_sees_and_changes_nothing(stage: Stage) -> None:
    with SmtpServer() as server, served(stage) as (peer, _):
        order = stage.order(stage.account(server.port))
        people = stage.people(2)
        stage.launch(order, people)
        deliveries, accounts = peer.stub(DeliveryServiceStub), peer.stub(AccountServiceStub)
        everything = frozenset(
            ("campaigns.read", "campaigns.write", "channels.read", "channels.write", "outgoing.hold")
        )
        stranger = peer.on_behalf_of("operator:opr_2", IDS.new("agn"), {"*": everything})
        refused: list[FanfareError] = []
        for call, request in (
            (deliveries.ExplainDelivery, delivery_service_pb2.ExplainDeliveryRequest(run=order.run, member="mbr_1")),
            (deliveries.GetTotals, delivery_service_pb2.GetTotalsRequest(run=order.run)),
            (deliveries.ListDeliveries, delivery_service_pb2.ListDeliveriesRequest(run=order.run, state="planned")),
            (accounts.ChangeAccount, account_service_pb2.ChangeAccountRequest(account=order.account, state="paused")),
            (accounts.TestAccount, account_service_pb2.TestAccountRequest(account=order.account)),
            (accounts.RequestSenderProof, account_service_pb2.RequestSenderProofRequest(account=order.account)),
        ):
            with pytest.raises(FanfareError) as raised:
                call(request, metadata=stranger)
            refused.append(raised.value)
        assert {error.kind for error in refused} == {Kind.NOT_FOUND}
        found = accounts.GetAccounts(account_service_pb2.GetAccountsRequest(ids=[order.account]), metadata=stranger)
        assert not found.accounts and not server.seen
