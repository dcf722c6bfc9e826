"""What a file says, row by row, whatever wrote it.

CSV with commas, semicolons, tabs or bars, in UTF-8 (with or without BOM), UTF-16, Windows-1252 or Latin-1; cells may
hold line breaks. It is read as a stream and never held. Of an XLSX workbook the first sheet counts; it is held while it
is read, so its size is bounded.
Rows are numbered as a spreadsheet shows them: the first is 1, a quoted line break does not count, an empty line does.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from python_calamine import CalamineError, CalamineWorkbook

from services.kit.errors import Invalid

DELIMITERS = (",", ";", "\t", "|")
XLSX = "xlsx"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", XLSX)
SAMPLE_BYTES = 256 * 1024
SAMPLE_ROWS = 200
COLUMN_LIMIT = 500
_UNDEFINED_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
_BLOCK = 1 << 20
LARGEST_WORKBOOK = 20 << 20

Row = tuple[int, list[str]]
OpenFile = Callable[[], BinaryIO]


class FileUnreadable(Invalid):
    """The file as a whole cannot be read; ``row`` says where, as a spreadsheet numbers it."""

    reason = "file-unreadable"

    def __init__(self, message: str, *, row: int = 0) -> None:
        super().__init__(message, field="file", row=str(row))
        self.row = row


class FileEmpty(FileUnreadable):
    reason = "file-empty"


class HeaderMissing(FileUnreadable):
    reason = "header-missing"


class NotText(FileUnreadable):
    reason = "file-not-text"


class QuoteUnclosed(FileUnreadable):
    reason = "quote-unclosed"


class EncodingWrong(FileUnreadable):
    reason = "encoding-wrong"


@dataclass(frozen=True, slots=True)
class Format:
    """How a file is written; ``header_row`` is where its headings stand."""

    encoding: str
    delimiter: str
    header_row: int
    headings: tuple[str, ...]


def examine(open_file: OpenFile, *, encoding: str = "", delimiter: str = "") -> Format:
    """The format of a file: as told, otherwise as found. Raises FileUnreadable with what is wrong and where."""
    with open_file() as stream:
        encoding = encoding or detect_encoding(stream)
    if encoding == XLSX:
        delimiter = ","
        return _format(open_file, encoding, delimiter, skip=0)
    with open_file() as stream:
        sample = _sample(stream, encoding)
    if not sample.strip():
        raise FileEmpty("The file is empty: export the list again and send that file.")
    told = _told_delimiter(sample)
    delimiter = delimiter or told or _likely_delimiter(sample)
    return _format(open_file, encoding, delimiter, skip=1 if told else 0)


def _format(open_file: OpenFile, encoding: str, delimiter: str, *, skip: int) -> Format:
    """The headings are the first row that holds something."""
    with open_file() as stream:
        for number, cells in records(stream, encoding, delimiter):
            if number > skip and any(cell.strip() for cell in cells):
                return Format(encoding, delimiter, number, _headings(cells, number))
    raise FileEmpty("The file holds no text: export the list again and send that file.")


def rows(stream: BinaryIO, file_format: Format, *, after: int = 0) -> Iterator[Row]:
    """The rows below the headings and behind row ``after``, each with its number."""
    first = max(file_format.header_row, after)
    for number, cells in records(stream, file_format.encoding, file_format.delimiter):
        if number > first:
            yield number, cells


def records(stream: BinaryIO, encoding: str, delimiter: str) -> Iterator[Row]:
    """Every record of the file, numbered from 1."""
    if encoding == XLSX:
        yield from _sheet(stream)
        return
    text = io.TextIOWrapper(stream, encoding=encoding, newline="")
    number = 0
    try:
        for cells in csv.reader(_without_nul(text), delimiter=delimiter, strict=True):
            number += 1  # the number is needed where reading fails
            yield number, cells
    except csv.Error as error:
        raise _explained(error, number + 1) from None
    except UnicodeDecodeError:
        message = f"Row {number + 1} is not written in {encoding}: choose another encoding for the file."
        raise EncodingWrong(message, row=number + 1) from None
    except NotText:
        message = f"Row {number + 1} holds a NUL byte: the file is damaged or no text. Export it again as CSV."
        raise NotText(message, row=number + 1) from None


def _sheet(stream: BinaryIO) -> Iterator[Row]:
    """The rows of a workbook's first sheet, each cell as text."""
    held = stream.read(LARGEST_WORKBOOK + 1)
    if len(held) > LARGEST_WORKBOOK:
        raise FileUnreadable("Workbooks of more than 20 MB are not read: save the sheet as CSV, and send that.")
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(held))
        table = workbook.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (CalamineError, ValueError, IndexError):
        message = "The workbook cannot be read: save the sheet as CSV, and send that."
        raise FileUnreadable(message) from None
    for number, cells in enumerate(table, 1):
        yield number, [_written(cell) for cell in cells]


def _written(cell: object) -> str:
    """A cell as it would stand in a CSV: dates in ISO 8601, whole numbers without a point, decimals with a comma."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell).replace(".", ",")
    if isinstance(cell, datetime) and not (cell.hour or cell.minute or cell.second):
        return cell.date().isoformat()
    return str(cell)


def sample_rows(open_file: OpenFile, file_format: Format, limit: int = SAMPLE_ROWS) -> list[list[str]]:
    """The first rows below the headings that hold something."""
    found: list[list[str]] = []
    with open_file() as stream:
        for _, cells in rows(stream, file_format):
            if any(cells):
                found.append(cells)
            if len(found) == limit:
                break
    return found


def detect_encoding(stream: BinaryIO) -> str:
    """By its byte order mark; else UTF-16 by its NULs; else UTF-8 if the whole file is valid; else Windows-1252."""
    head = stream.read(_BLOCK)
    if head.startswith(b"PK\x03\x04"):
        return XLSX
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if wide := _utf16_without_mark(head[:4096]):
        return wide
    decoder = codecs.getincrementaldecoder("utf-8")()
    valid, undefined, block = True, False, head
    while block:
        if valid:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                valid = False
        undefined = undefined or not _UNDEFINED_IN_CP1252.isdisjoint(block)
        block = stream.read(_BLOCK)
    if valid:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            valid = False
    if valid:
        return "utf-8"
    return "latin-1" if undefined else "cp1252"


def _utf16_without_mark(head: bytes) -> str:
    """Latin text in UTF-16 has a NUL in every other byte."""
    if len(head) < 4 or b"\0" not in head:
        return ""
    half = len(head) // 2
    if head[1::2].count(0) > 0.7 * half:
        return "utf-16-le"
    if head[0::2].count(0) > 0.7 * half:
        return "utf-16-be"
    return ""


def _sample(stream: BinaryIO, encoding: str) -> str:
    raw = stream.read(SAMPLE_BYTES)
    if not raw:
        return ""
    return codecs.getincrementaldecoder(encoding)("replace").decode(raw)


def _told_delimiter(sample: str) -> str:
    """Excel writes ``sep=;`` above the headings."""
    first = sample.split("\n", 1)[0].strip().lower()
    return first[4] if first.startswith("sep=") and len(first) == 5 else ""


def _likely_delimiter(sample: str) -> str:
    """The one that cuts most rows into the same number of cells, and into the more of them."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        counts = Counter(_cell_counts(sample, delimiter))
        if not counts:
            continue
        width, rows_of_it = max(counts.items(), key=lambda item: (item[1], item[0]))
        score = (round(rows_of_it / counts.total(), 1), width)
        if width > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def _cell_counts(sample: str, delimiter: str) -> list[int]:
    counts: list[int] = []
    try:
        for cells in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if cells:
                counts.append(len(cells))
            if len(counts) == SAMPLE_ROWS:
                return counts
    except csv.Error:
        return counts
    return counts[:-1] if len(counts) > 1 and len(sample) >= SAMPLE_BYTES // 4 else counts


def _headings(cells: list[str], row: int) -> tuple[str, ...]:
    """One distinct heading per column; raises HeaderMissing where the first row looks like a member."""
    if len(cells) > COLUMN_LIMIT:
        raise FileUnreadable(f"The file has more than {COLUMN_LIMIT} columns: send fewer.", row=row)
    if any("@" in cell and "." in cell for cell in cells):
        message = f"Row {row} holds an address where headings are expected: add a first row that names the columns."
        raise HeaderMissing(message, row=row)
    seen: Counter[str] = Counter()
    headings: list[str] = []
    for index, cell in enumerate(cells):
        heading = " ".join(cell.split()) or f"({column_letters(index)})"
        seen[heading] += 1
        headings.append(heading if seen[heading] == 1 else f"{heading} ({seen[heading]})")
    return tuple(headings)


def column_letters(index: int) -> str:
    """A column as a spreadsheet names it: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _without_nul(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if "\0" in line:
            raise NotText("NUL")
        yield line


def _explained(error: csv.Error, row: int) -> FileUnreadable:
    words = str(error)
    if "unexpected end of data" in words or "field larger" in words:
        return QuoteUnclosed(
            f"A quote opened in row {row} is never closed, or a cell is longer than 131,072 characters: "
            "close it, or write a quote inside a cell twice.",
            row=row,
        )
    return FileUnreadable(f"Row {row} cannot be read: a quote inside a quoted cell must be written twice.", row=row)
