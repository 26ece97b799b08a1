"""Note on a request what became of it; attempts and conversions alike."""

from datetime import datetime

from positions.exchanges.port import ExchangeError, ExchangePort
from positions.models import AnswerClass
from positions.models.orders import ExchangeRequest


def note_answer(
    request: ExchangeRequest,
    answer: AnswerClass,
    exchange: ExchangePort,
    *,
    now: datetime,
    error: ExchangeError | None = None,
    code: str = "",
) -> None:
    """Keep what the exchange said; `code` names what it can't know, such as an answer too late."""
    if error is not None:
        code = code or error.answer_code or error.code
    request.answer, request.answer_code = answer, code[:60]
    request.answer_text = error.answer if error is not None else exchange.last_answer
    request.answered_at = now
    if request.sent_at is not None:  # else the exchange's last request was another one
        request.wire = exchange.last_wire
    request.save(update_fields=["answer", "answer_code", "answer_text", "answered_at", "wire"])


def note_not_sent(request: ExchangeRequest, *, now: datetime) -> None:
    """Note that the request had no leave, so that nothing left."""
    request.answer, request.answer_code = AnswerClass.NOT_PLACED, "NOT_SENT"
    request.answered_at = now
    request.save(update_fields=["answer", "answer_code", "answered_at"])


def note_worker_lost(request: ExchangeRequest) -> None:
    """Note that whoever sent the request vanished before its answer was recorded, if so."""
    if request.answer == AnswerClass.PENDING:
        request.answer, request.answer_code = AnswerClass.UNKNOWN, "WORKER_LOST"
        request.save(update_fields=["answer", "answer_code"])
