"""One machine's Fanfare: starts the services in their order, keeps them running, and leaves nothing behind.

A service that dies is started again, less and less eagerly while it keeps dying, and the others go on. When the
supervisor ends, however it ends, its services end with it.

It runs as ``python -m services.supervisor``, which ``python -m services run`` becomes once everything is prepared: a
small process, without the libraries that settings need.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn, TextIO

from services.kit.errors import Conflict, Unavailable
from services.kit.sockets import make_private
from services.kit.supervised import PROGRAM, READY_FILE, SUPERVISOR, WRONG_SETTING
from services.supervisor_texts import ENGLISH, FRENCH, Texts

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONGEST_LINE = 1024 * 1024
_COLOURS = (36, 35, 33, 32, 34, 31)
_PR_SET_PDEATHSIG = 1
_PLAN = "FANFARE_PLAN"


class AlreadyRuns(Conflict):
    reason = "already-runs"


class AddressTaken(Conflict):
    reason = "address-taken"


@dataclass(frozen=True, slots=True)
class Program:
    """A service and the command that runs it."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and what to say when all of it answers; ``lock`` is the descriptor that holds the data folder."""

    programs: Sequence[Program]
    run_folder: Path
    locale: str
    greeting: str
    coloured: bool
    plain: bool
    lock: int

    def become(self) -> NoReturn:
        """Go on as the supervisor, in this very process."""
        os.set_inheritable(self.lock, True)
        sys.stdout.flush()
        plan = json.dumps({**asdict(self), "run_folder": str(self.run_folder)})
        command = (sys.executable, "-m", "services.supervisor")
        os.execve(sys.executable, command, {**os.environ, _PLAN: plan})

    @staticmethod
    def from_environment() -> Plan:
        said = json.loads(os.environ.pop(_PLAN))
        programs = [Program(**each) for each in said.pop("programs")]
        os.set_inheritable(said["lock"], False)
        return Plan(programs=programs, run_folder=Path(said.pop("run_folder")), **said)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the supervisor waits, in seconds."""

    ready: float = 60.0  # for a service to say that it answers, at the first start
    stop: float = 15.0  # for everything to end, before it is killed
    healthy: float = 60.0  # after which a death counts as the first one again


class Screen:
    """Where everybody's lines go: each behind the coloured name of who wrote it, or as they are for machines."""

    def __init__(self, out: TextIO, names: Sequence[str], *, coloured: bool, plain: bool) -> None:
        self._out = out
        self._plain = plain
        self._coloured = coloured
        self._width = max(map(len, (*names, "fanfare")))
        self._colour = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}
        self.broken = False

    def line(self, name: str, text: str) -> None:
        """One line of a service."""
        if self._plain:
            self._write(text)
            return
        margin = f"{name:<{self._width}} │"
        if self._coloured:
            margin = f"\x1b[{self._colour.get(name, 1)}m{margin}\x1b[0m"
        self._write(f"{margin} {text}")

    def say(self, text: str) -> None:
        """A line of our own."""
        for each in text.splitlines():
            self.line("fanfare", json.dumps({"service": "fanfare", "event": each}) if self._plain else each)

    def _write(self, text: str) -> None:
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except (BrokenPipeError, ValueError):  # whoever read us went away
            self.broken = True


@dataclass(slots=True)
class _Life:
    """What is known of one program's present process."""

    program: Program
    ready_file: Path
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    wrong_setting: bool = False


class Supervisor:
    """Runs programs until it is told to stop."""

    def __init__(
        self,
        programs: Sequence[Program],
        run_folder: Path,
        screen: Screen,
        texts: Texts,
        *,
        patience: Patience | None = None,
        greeting: str = "",
    ) -> None:
        """Each program is told by FANFARE_READY_FILE which file to write once it answers; ``greeting`` is said when
        all have."""
        self._screen = screen
        self._texts = texts
        self._patience = patience or Patience()
        self._greeting = greeting
        self._environment = {**os.environ, SUPERVISOR: str(os.getpid())}
        self._lives = [_Life(program, run_folder / f"{program.name}.ready") for program in programs]
        self._asked = asyncio.Event()
        self._insisted = asyncio.Event()

    async def run(self) -> int:
        """The exit status: 0 when it was told to stop, 1 when the services could not be started."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ask)
        keepers: list[asyncio.Task[None]] = []
        try:
            status = await self._start_all(keepers)
            if status == 0:
                await self._asked.wait()
        finally:
            self._asked.set()
            await self._stop_all()
            await asyncio.gather(*keepers, return_exceptions=True)
        self._screen.say(self._texts.stopped)
        return status

    def _ask(self) -> None:
        (self._insisted if self._asked.is_set() else self._asked).set()

    # Starting

    async def _start_all(self, keepers: list[asyncio.Task[None]]) -> int:
        for life in self._lives:
            keepers.append(asyncio.create_task(self._keep(life)))
            answered = await self._first(life.ready.wait(), self._asked.wait(), within=self._patience.ready)
            if self._asked.is_set() and not life.wrong_setting:
                return 0
            if not answered or life.wrong_setting:
                self._screen.say(self._texts.did_not_start.format(service=life.program.name))
                return 1
        self._screen.say(self._greeting)
        return 0

    async def _keep(self, life: _Life) -> None:
        """Run a program, again and again, until we are asked to stop."""
        pause = _FIRST_PAUSE
        while not self._asked.is_set():
            began = time.monotonic()
            status = await self._live_once(life)
            if self._asked.is_set():
                return
            if status == WRONG_SETTING and not life.ready.is_set():
                life.wrong_setting = True  # trying again would not help
                life.ready.set()
                return
            if time.monotonic() - began > self._patience.healthy:
                pause = _FIRST_PAUSE
            self._screen.say(
                self._texts.died.format(service=life.program.name, how=self._how(status), seconds=f"{pause:g}")
            )
            await self._first(self._asked.wait(), within=pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _live_once(self, life: _Life) -> int:
        life.ready_file.unlink(missing_ok=True)
        lines, its_end = await self._pipe()
        try:
            life.process = process = await asyncio.create_subprocess_exec(
                *life.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=its_end,
                stderr=asyncio.subprocess.STDOUT,
                env={**self._environment, PROGRAM: life.program.name, READY_FILE: str(life.ready_file)},
                start_new_session=True,  # Ctrl-C is ours alone, and a service's own children end with it
                preexec_fn=_die_with_parent,
            )
        finally:
            os.close(its_end)
        if self._asked.is_set():  # while it was being made: nothing is in its hand yet
            _kill_group(process.pid, signal.SIGKILL)
        relaying = asyncio.create_task(self._relay_lines(life.program.name, lines))
        watching = asyncio.create_task(self._watch_ready(life, process.pid))
        status = await process.wait()
        watching.cancel()
        _kill_group(process.pid, signal.SIGKILL)  # what it started itself
        await self._first(relaying, within=1.0)
        return status

    async def _pipe(self) -> tuple[asyncio.StreamReader, int]:
        """A pipe of ours: with asyncio's own, a process would count as running while anybody holds its output."""
        ours, its_end = os.pipe()
        lines = asyncio.StreamReader(limit=_LONGEST_LINE)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(ours, "rb"))
        return lines, its_end

    async def _watch_ready(self, life: _Life, pid: int) -> None:
        while not life.ready_file.exists():
            await asyncio.sleep(0.05)
        life.ready.set()
        self._screen.say(self._texts.ready.format(service=life.program.name, pid=pid))

    async def _relay_lines(self, name: str, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:  # a line longer than any should be: what was read of it is dropped
                continue
            if not line:
                return
            self._screen.line(name, line.decode(errors="replace").rstrip("\n"))
            if self._screen.broken:
                self._asked.set()

    def _how(self, status: int) -> str:
        if status < 0:
            return self._texts.by_signal.format(signal=signal.Signals(-status).name)
        return self._texts.with_status.format(status=status)

    # Stopping

    async def _stop_all(self) -> None:
        """The last started first, since it asks the others; then these together."""
        deadline = time.monotonic() + self._patience.stop
        running = [life for life in self._lives if life.process is not None and life.process.returncode is None]
        if running:
            self._screen.say(self._texts.stopping)
        waves = [wave for wave in (running[-1:], running[:-1]) if wave]
        for place, wave in enumerate(waves):
            for life in wave:
                assert life.process is not None
                with suppress(ProcessLookupError):
                    life.process.send_signal(signal.SIGTERM)
            share = (deadline - time.monotonic()) / (len(waves) - place)
            ended = asyncio.gather(*(life.process.wait() for life in wave if life.process is not None))
            await self._first(_quietly(ended), self._insisted.wait(), within=max(share, 0.1))
            for life in wave:
                assert life.process is not None
                if life.process.returncode is None:
                    self._screen.say(self._texts.killed.format(service=life.program.name))
                _kill_group(life.process.pid, signal.SIGKILL)
                await life.process.wait()
        for life in self._lives:
            life.ready_file.unlink(missing_ok=True)

    @staticmethod
    async def _first(*coming: object, within: float) -> bool:
        """Wait until one of them is there; False when the time passed first."""
        tasks = [asyncio.ensure_future(each) for each in coming]  # type: ignore[call-overload] # coroutines of any kind
        done, left = await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        return bool(done)


async def _quietly(gathered: asyncio.Future[list[int]]) -> None:
    with suppress(asyncio.CancelledError):
        await gathered


def _kill_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


if sys.platform == "linux":
    _libc = ctypes.CDLL(None)

    def _die_with_parent() -> None:
        """In the child, before it becomes the service: the kernel ends it with us, even when we are killed."""
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

else:  # there, services notice by themselves that their supervisor is gone

    def _die_with_parent() -> None:
        pass


@contextmanager
def only_one(folder: Path) -> Iterator[int]:
    """Hold the data folder, by the descriptor given. Raises AlreadyRuns while another supervisor does."""
    make_private(folder)
    with (folder / "supervisor.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRuns(str(folder), field="FANFARE_DATA", pid=lock.read().strip() or "?") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield lock.fileno()


def check_free(address: str) -> None:
    """Raises AddressTaken where another program listens on host:port, Unavailable where we may not."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressTaken(address, field="FANFARE_HTTP") from None
            raise Unavailable(f"{address}: {error.strerror}", field="FANFARE_HTTP") from None


def main() -> int:
    plan = Plan.from_environment()
    names = [program.name for program in plan.programs]
    screen = Screen(sys.stdout, names, coloured=plan.coloured, plain=plan.plain)
    texts = FRENCH if plan.locale == FRENCH.locale else ENGLISH

    async def supervise() -> int:
        return await Supervisor(plan.programs, plan.run_folder, screen, texts, greeting=plan.greeting).run()

    return asyncio.run(supervise())


if __name__ == "__main__":
    sys.exit(main())
