"""Questions to those who may never answer: waited for a while, and never asked twice at once."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from annex_core.model.place import Place

T = TypeVar("T")

NO_ANSWER_YET = "no answer yet"
"""Why something is not known that was asked and has neither answered nor failed."""


@dataclass(frozen=True)
class _Asked(Generic[T]):
    at: datetime
    answer: Future[T]


class Kept(Generic[T]):
    """
    Answers that need not be asked for each time, by place.

    Args:
        stays: How long each is good for.
    """

    def __init__(self, stays: Callable[[T], timedelta]) -> None:
        self._stays = stays
        self._kept: dict[Place, tuple[datetime, T]] = {}

    def stale(self, places: Iterable[Place], now: datetime) -> list[Place]:
        """Those of *places* that are to be asked; all others are forgotten."""
        self._kept = {place: kept for place, kept in self._kept.items() if place in {*places}}
        return sorted(place for place in {*places} if not self._good(place, now))

    def keep(self, place: Place, answer: T, now: datetime) -> None:
        self._kept[place] = (now, answer)

    def answers(self) -> dict[Place, T]:
        return {place: answer for place, (_, answer) in self._kept.items()}

    def _good(self, place: Place, now: datetime) -> bool:
        if place not in self._kept:
            return False
        asked, answer = self._kept[place]
        return now - asked < self._stays(answer)


class Inquiry(Generic[T]):
    """
    Args:
        patience: How long new questions are waited for, all together. What has not answered by then is not waited for
            again; its answer is used by whoever asks next.
        good_for: An answer to a question that was asked longer ago is dropped, and asked for anew.
        late: Called when an answer is there that was not waited for.
    """

    def __init__(self, *, patience: timedelta, good_for: timedelta, late: Callable[[], None] = lambda: None) -> None:
        self._patience = patience
        self._good_for = good_for
        self._late = late
        self._asked: dict[str, _Asked[T]] = {}

    def ask(self, questions: Mapping[str, Callable[[], Future[T]]], now: datetime) -> dict[str, Future[T]]:
        """
        Args:
            questions: What puts the question to another thread, by its subject.

        Returns:
            The answers that are there, failures too, by subject.
        """
        new = []
        for subject, put in questions.items():
            asked = self._asked.get(subject)
            if asked is None or (asked.answer.done() and now - asked.at > self._good_for):
                self._asked[subject] = _Asked(now, put())
                new.append(self._asked[subject].answer)
        for answer in wait(new, self._patience.total_seconds()).not_done:
            answer.add_done_callback(lambda _: self._late())
        answers = {
            subject: asked.answer
            for subject, asked in self._asked.items()
            if subject in questions and asked.answer.done()
        }
        self._asked = {
            subject: asked
            for subject, asked in self._asked.items()
            if subject not in answers and (subject in questions or not asked.answer.done())
        }
        return answers
