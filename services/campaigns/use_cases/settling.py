"""What the senders report of batches, and when a run has come to its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from services.campaigns.domain.campaign import AlreadyCancelled, AlreadyFinished
from services.campaigns.domain.figures import COUNTS, Totals, sum_of
from services.campaigns.use_cases.desk import Desk, trying_again
from services.kit.scope import Scope
from services.kit.store.port import Document, Patch
from services.kit.store.rule import Equals, all_of

logger = structlog.get_logger(__name__)

_SUMMED = (*COUNTS, "skipped")


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Cumulative totals of a batch; a higher version replaces a lower one. ``totals`` by the names of Totals."""

    run: str
    sequence: int
    version: int
    totals: dict[str, Any]
    settled: bool


def take_reports(desk: Desk, scope: Scope, reports: Iterable[BatchReport]) -> None:
    """Keep the newest totals of each batch, and finish what came to its end. ``scope`` is one community's."""
    newest: dict[str, BatchReport] = {}
    for report in reports:
        key = f"{report.run}.{report.sequence}"
        if key not in newest or newest[key].version < report.version:
            newest[key] = report
    known = desk.runs.get(scope, list({report.run for report in newest.values()}))
    newest = {key: report for key, report in newest.items() if report.run in known}
    missing = newest.keys() - desk.batch_totals.get(scope, list(newest)).keys()
    desk.batch_totals.insert(
        scope, [_blank(key, newest[key], known[newest[key].run].order.community, scope.agency) for key in missing]
    )
    desk.batch_totals.patch(
        scope,
        [
            Patch(
                key,
                set={**report.totals, "settled": report.settled},
                sequence=("totals_version", report.version),
            )
            for key, report in newest.items()
        ],
    )
    finish_if_settled(desk, scope, list({report.run for report in newest.values()}))


def finish_if_settled(desk: Desk, scope: Scope, runs: Sequence[str]) -> None:
    """Finish the campaigns whose plan is closed and whose every recipient is terminal."""
    for run in desk.runs.get(scope, runs).values():
        if not run.plan.is_closed or _settled_batches(desk, scope, run.id) < run.plan.batches:
            continue
        totals = totals_of(desk, scope, run.id)
        if totals.terminal != run.plan.members:
            logger.error("figures_do_not_add_up", run=run.id, planned=run.plan.members, terminal=totals.terminal)
            continue
        _settle(desk, scope, run.id, totals)
        _finish(desk, scope, run.order.campaign)


def totals_of(desk: Desk, scope: Scope, run: str) -> Totals:
    """The sum over the batches of a run."""
    pages = desk.batch_totals.stream(scope, Equals("run", run), fields=_SUMMED)
    return sum_of(part for page in pages for part in page)


def _settled_batches(desk: Desk, scope: Scope, run: str) -> int:
    return desk.batch_totals.count(scope, all_of(Equals("run", run), Equals("settled", True)))


def _settle(desk: Desk, scope: Scope, run_id: str, totals: Totals) -> None:
    def settle() -> None:
        run = desk.runs.one(scope, run_id)
        if run.settled != totals:
            run.settle(totals, desk.clock.now())
            desk.runs.save(scope, run)

    trying_again(settle)


def _finish(desk: Desk, scope: Scope, campaign_id: str) -> None:
    def finish() -> None:
        campaign = desk.campaigns.one(scope, campaign_id)
        campaign.finish(desk.clock.now())
        desk.campaigns.save(scope, campaign)

    try:
        trying_again(finish)
        desk.nudge()
    except (AlreadyFinished, AlreadyCancelled):
        return  # its totals are kept all the same


def _blank(key: str, report: BatchReport, community: str, agency: str) -> Document:
    return {
        "_id": key,
        "agency": agency,
        "community": community,
        "version": 1,
        "schema_version": 1,
        "run": report.run,
        "sequence": report.sequence,
        "settled": False,
    }
