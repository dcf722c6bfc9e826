"""What a process tells about its work: ids only, readable on a terminal, one line of JSON each in files.

The last step before a line is written masks whatever looks like an e-mail address or a telephone number, in any field
and in any message, ours or a library's. It is a defence, not a licence.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import Processor

from services.kit.settings import Settings

_FILE_BYTES = 10 * 1024 * 1024
_FILES_KEPT = 5

_EMAIL = re.compile(
    r"""[^\s@<>"'(),;:\[\]{}=/|\\]+(?:@|%40)[^\s@<>"'(),;:\[\]{}=/|\\]*[^\s@<>"'(),;:\[\]{}=/|\\.]""", re.IGNORECASE
)
_GAP = r"[\s./()\u00a0\u2011-]{0,3}"
_PHONE = re.compile(
    rf"""(?<![\w.-])(?:
        (?:\+|00){_GAP}[1-9](?:{_GAP}\d){{6,14}}  # international: E.164 has at most 15 digits
        | (?!0\.\d)\(?0{_GAP}[1-9](?:{_GAP}\d){{7,9}}  # national, with its trunk zero; a fraction is none
    )(?![\w]|-\w)""",
    re.VERBOSE,
)
_PLAIN = frozenset({"timestamp", "level", "logger"})


def masked(text: str) -> str:
    """The text without anything that looks like an e-mail address or a telephone number."""
    if "@" in text or "%40" in text:
        text = _EMAIL.sub("[e-mail]", text)
    if any(character.isdigit() for character in text):
        text = _PHONE.sub("[phone]", text)
    return text


def mask_addresses(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that masks every field of a line."""
    for key, value in line.items():
        if key not in _PLAIN:
            line[key] = _mask(value)
    return line


def _mask(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return masked(value)
        case dict():
            return {_mask(key): _mask(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_mask(item) for item in value]
        case _:
            return masked(str(value))


def start_logging(service: str, settings: Settings) -> None:
    """Write this process's lines to its standard error, and as JSON to ``<data>/logs/<service>.log``, which rotates.

    Not to the file where ``log_files`` is off: no two machines may write one.
    """
    coloured = sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))
    on_screen = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        on_screen.setFormatter(_json())
    else:
        on_screen.setFormatter(_text(coloured=coloured and not os.environ.get("NO_COLOR")))
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(on_screen)
    if settings.log_files:
        root.addHandler(_log_file(settings.data / "logs" / f"{service}.log"))
    root.setLevel(settings.log_level.upper())
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


_SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _log_file(path: Path) -> logging.Handler:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8")
    path.chmod(0o600)
    handler.setFormatter(_json())
    return handler


def _json() -> logging.Formatter:
    return _formatter(structlog.processors.JSONRenderer(ensure_ascii=False))


def _text(*, coloured: bool) -> logging.Formatter:
    return _formatter(structlog.dev.ConsoleRenderer(colors=coloured, pad_event_to=0, pad_level=False), short_time=True)


def _formatter(renderer: Processor, *, short_time: bool = False) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *([_shorten] if short_time else []),
            mask_addresses,
            renderer,
        ],
    )


def _shorten(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """On a screen, the time of day suffices, and nobody looks for the module."""
    line["timestamp"] = str(line.get("timestamp", ""))[11:19]
    line.pop("logger", None)
    return line
