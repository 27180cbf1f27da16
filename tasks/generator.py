"""Texts of a language model, where a setting asks for one: names of clusters, summaries of interests, reasons in other words.

Each text is checked against its evidence (`models/text/claims.py`). Without a model, after a lie, and after an error, the template stands.
Only the evidence leaves this process: titles, interests and numbers, never the id of a user.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol, TypeVar

from models.text.claims import Evidence, Known, check, check_name
from models.text.clean import clean_text
from tasks.config import GeneratorConfig

logger = logging.getLogger("minutehand.generator")
T = TypeVar("T")

MAX_ANSWER_BYTES = 1 << 20
MAX_NEW_TOKENS = 120
MAX_FACTS, MAX_FACT_CHARS = 20, 200
MAX_FAILURES = 3
"""After so many errors in a row, the run asks no more."""
THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")
WHOLE = re.compile(r"[.!?。！？][\"”»」》)]?$")
HAN = re.compile(r"[\u3400-\u9fff]")
RULES = (
    "You write one short text for a page of recommendations. You get facts as JSON. Use only these facts, in their language. Name no "
    "title, number, category or interest that is not among them. Put titles in double quotes. Answer with the text alone."
)
NAME = "Name this group of items in two to four words, which you take from the terms."
SUMMARY = "Say in at most two sentences what this person is interested in. Address the person as you."
REASON = "Say in one short sentence why this person sees the item. Address the person as you."
ACTS = {
    "purchase": re.compile(r"\b(?:buy|bought|purchas\w+|order(?:ed)?|own(?:ed)?)\b|购买|买[了过]", re.IGNORECASE),
    "cart": re.compile(r"\b(?:cart|basket)\b|购物车", re.IGNORECASE),
    "rating": re.compile(r"\b(?:rat(?:ed|ing)|stars?)\b|评价|评分", re.IGNORECASE),
    "click": re.compile(r"\bclick\w*|点击", re.IGNORECASE),
    "view": re.compile(r"(?!)"),
}
"""Words that say what a person did with an item, by event type; whatever the person did, they have viewed it."""
MAX_NAME_CHARS, MAX_SUMMARY_CHARS, MAX_REASON_CHARS = 40, 300, 160


class UnavailableError(Exception):
    """The model gave no usable answer; the message is for the log and contains neither a key nor evidence."""


class Model(Protocol):
    """A language model that answers a task about facts within some seconds. Raises UnavailableError."""

    def __call__(self, task: str, facts: str, seconds: float) -> str: ...


@dataclass
class Writer:
    """Writes the texts of one run. Every method returns a checked text, or the template.

    model: None if there is none; all texts are templates then. place: where the facts go, for the log. timeout_s: per text; budget_s: for
    all texts together.
    """

    model: Model | None
    known: Known
    place: str
    timeout_s: float
    budget_s: float
    n_asked: int = 0
    n_kept: int = 0
    _spent_s: float = 0.0
    _failures: int = 0
    _has_warned: bool = False
    _answers: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def name_cluster(self, terms: Sequence[str], titles: Sequence[str], template: str = "") -> str:
        """A name for a group of items, whose words are all words of its terms or titles. Without a template: its first three terms."""
        evidence = Evidence(titles=_facts(titles), labels=_facts(terms))
        found = self._ask(NAME, {"terms": evidence.labels, "titles": evidence.titles})
        name = "" if found is None else re.sub(r"[\"“”*.。]", "", found).strip()
        if name and self._keeps(name, MAX_NAME_CHARS, check_name(name, evidence)):
            return name
        return template or ", ".join(evidence.labels[:3])

    def summarise(self, interests: Sequence[str], titles: Sequence[str] = (), numbers: Sequence[int | float] = ()) -> str:
        """At most two sentences about a person with these interests, the strongest first, and with these recent titles."""
        evidence = Evidence(_facts(titles), _facts(interests), tuple(numbers))
        text = self._sentences(SUMMARY, evidence, n=2, max_chars=MAX_SUMMARY_CHARS)
        return text or summary_template(evidence.labels, evidence.titles)

    def word_reason(self, evidence: Evidence, template: str) -> str:
        """One sentence that says the same as the template, which is not sent; the evidence is what the template cites."""
        return self.offer_reason(evidence) or template

    def offer_reason(self, evidence: Evidence, event_type: str | None = None) -> str | None:
        """One sentence about the evidence; empty if the check refused the text of the model; None if the model gave none.

        event_type: what the person did with the item of the evidence. A text that says that they did something else is refused.
        """
        sent = Evidence(_facts(evidence.titles), _facts(evidence.labels), evidence.numbers)
        return self._sentences(REASON, sent, n=1, max_chars=MAX_REASON_CHARS, event_type=event_type)

    def note(self) -> None:
        """Log how many of the texts were kept."""
        if self.n_asked:
            logger.info("%d of %d texts generated on %s passed the check; the others are templates", self.n_kept, self.n_asked, self.place)

    def _sentences(self, task: str, evidence: Evidence, n: int, max_chars: int, event_type: str | None = None) -> str | None:
        """The first n sentences of the answer if they are whole and pass the check; empty if they don't; None without an answer."""
        if not (evidence.titles or evidence.labels):
            return None
        facts: dict[str, Sequence[str | int | float]] = {
            "titles": evidence.titles,
            "interests": evidence.labels,
            "numbers": evidence.numbers,
            "event": [event_type] if event_type in ACTS else [],
        }
        found = self._ask(task, facts)
        if found is None:
            return None
        found = found[1:-1] if re.fullmatch(r'"[^"]*"', found) else found
        text = " ".join(SENTENCE.split(found)[:n]).strip()
        reasons = check(text, evidence, self.known)
        if text.count('"') % 2 or not WHOLE.search(text):
            reasons.append("a quote or the last sentence has no end")
        if event_type is not None:
            reasons += [f"the event is a {event_type}, no {act}" for act, says in ACTS.items() if act != event_type and says.search(text)]
        return text if self._keeps(text, max_chars, reasons) else ""

    def _ask(self, task: str, facts: dict[str, Sequence[str | int | float]]) -> str | None:
        """The cleaned answer; None without a model, after an error, or if the time of the run is spent. Equal questions are asked once."""
        given = json.dumps({name: list(values) for name, values in facts.items() if values}, ensure_ascii=False)
        if self.model is None or (task, given) in self._answers:
            return self._answers.get((task, given))
        is_first_local = self.n_asked == 0 and isinstance(self.model, LocalModel)  # which loads the weights
        seconds = min(self.budget_s if is_first_local else self.timeout_s, self.budget_s - self._spent_s)
        if seconds <= 0 or self._failures >= MAX_FAILURES:
            return None
        if not self.n_asked:
            logger.info("texts are generated on %s; it gets titles, interests and numbers, and no user ids", self.place)
        self.n_asked += 1
        started = time.monotonic()
        try:
            answer = within(seconds, partial(self.model, task, given, seconds))
            found = clean_text(THOUGHTS.sub("", answer)) or None
            self._failures = 0
        except UnavailableError as error:
            found = None
            self._failures += 1
            self._warn(f"the generator on {self.place} gave no text ({error}); templates stand in its place")
        self._spent_s += time.monotonic() - started
        if self._spent_s >= self.budget_s:
            self._warn(f"the generator on {self.place} has used its {self.budget_s:g} s; templates stand for the rest of this run")
        self._answers[task, given] = found
        return found

    def _keeps(self, text: str, max_chars: int, reasons: Sequence[str]) -> bool:
        """Whether the text replaces its template."""
        refused = [*reasons, *([f"{len(text)} characters are too many"] if len(text) > max_chars else [])]
        if refused:
            logger.debug("refused %r: %s", text, "; ".join(refused))
        self.n_kept += not refused
        return not refused

    def _warn(self, text: str) -> None:
        """One warning a run: a broken endpoint would write thousands."""
        if not self._has_warned:
            logger.warning(text)
        self._has_warned = True


def open_writer(config: GeneratorConfig, titles: Sequence[str | None] = (), labels: Sequence[str] = ()) -> Writer:
    """The writer of one run, which connects when it is first asked. titles, labels: those of the catalogue, for the check."""
    if not config.model:
        return Writer(None, Known(), config.place, config.timeout_s, config.budget_s)
    model = Endpoint(config) if config.url else LocalModel(config.model)
    known = Known.of([title for title in titles if title], labels)
    return Writer(model, known, config.place, config.timeout_s, config.budget_s)


def summary_template(interests: Sequence[str], titles: Sequence[str]) -> str:
    """The interests, and the titles that they were seen in, in Chinese if the interests are."""
    if any(HAN.search(each) for each in interests):
        return f"主要兴趣：{'、'.join(interests[:3])}。" + (f"最近：{'、'.join(f'《{each}》' for each in titles[:2])}。" if titles else "")
    named = _listed(interests[:3]) or "nothing in particular yet"
    return f"Most interested in {named}." + (f" Recent: {_listed(titles[:2])}." if titles else "")


def within(seconds: float, work: Callable[[], T]) -> T:
    """The result of the work. Raises UnavailableError after the seconds; a thread that nobody waits for then ends by itself."""
    box: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            box.put((work(), None))
        except Exception as error:  # whatever a server or a model does, a night goes on with its templates
            box.put((None, error))

    threading.Thread(target=run, name="generator", daemon=True).start()
    try:
        found, error = box.get(timeout=seconds)
    except queue.Empty:
        raise UnavailableError(f"no answer within {seconds:.3g} s") from None
    if isinstance(error, UnavailableError):
        raise error
    if error is not None:
        raise UnavailableError(type(error).__name__) from error
    return found  # type: ignore[return-value]


class Endpoint:
    """A model behind an OpenAI-compatible API. It follows no redirect, so that facts and key reach the named host only."""

    def __init__(self, config: GeneratorConfig) -> None:
        self._url = f"{config.url.rstrip('/')}/chat/completions"
        self._model = config.model
        self._key = config.api_key

    def __call__(self, task: str, facts: str, seconds: float) -> str:
        """The text of the first choice."""
        import httpx

        headers = {"authorization": f"Bearer {key}"} if (key := self._key.get_secret_value()) else {}
        messages = [{"role": "system", "content": RULES}, {"role": "user", "content": f"{task}\n{facts}"}]
        body = {"model": self._model, "messages": messages, "max_tokens": MAX_NEW_TOKENS, "temperature": 0, "stream": False}
        deadline, answer = time.monotonic() + seconds, bytearray()
        try:
            with (
                httpx.Client(timeout=seconds, follow_redirects=False) as client,
                client.stream("POST", self._url, json=body, headers=headers) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise UnavailableError(f"HTTP status {response.status_code}")
                for part in response.iter_bytes():
                    answer += part
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise UnavailableError(f"an answer of more than {MAX_ANSWER_BYTES:,} bytes")
                    if time.monotonic() > deadline:
                        raise UnavailableError(f"no whole answer within {seconds:.3g} s")
        except httpx.HTTPError as error:
            raise UnavailableError(type(error).__name__) from error
        return _content(bytes(answer))


def _content(answer: bytes) -> str:
    try:
        found = json.loads(answer)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UnavailableError("an answer that is not a chat completion") from error
    if not isinstance(found, str) or not found.strip():
        raise UnavailableError("an answer without text")
    return found


@dataclass
class LocalModel:
    """A causal language model of the transformers library on this machine. Reads safetensors and runs no code that comes with a model."""

    name: str

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.name, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(self.name, use_safetensors=True, trust_remote_code=False)
        except (OSError, ValueError, ImportError, KeyError) as error:
            raise UnavailableError(f"cannot load the model {self.name}: {str(error).splitlines()[0]}") from error
        return tokenizer, model.eval()

    def __call__(self, task: str, facts: str, seconds: float) -> str:
        """The likeliest continuation, up to MAX_NEW_TOKENS."""
        import torch

        tokenizer, model = self._loaded
        messages = [{"role": "system", "content": RULES}, {"role": "user", "content": f"{task}\n{facts}"}]
        if tokenizer.chat_template:
            prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        else:
            prompt = f"{RULES}\n\n{task}\n{facts}\n\n"
        given = tokenizer(prompt, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
        options = {"max_new_tokens": MAX_NEW_TOKENS, "do_sample": False, "max_time": seconds, "pad_token_id": tokenizer.eos_token_id}
        with torch.inference_mode():
            tokens = model.generate(**given, **options)
        return str(tokenizer.decode(tokens[0, given["input_ids"].shape[1] :], skip_special_tokens=True))


def _facts(texts: Sequence[str]) -> tuple[str, ...]:
    """The first texts, cleaned and cut."""
    return tuple(found for text in texts[:MAX_FACTS] if (found := clean_text(text)[:MAX_FACT_CHARS].strip()))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
