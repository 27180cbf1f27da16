"""The generator: what is sent to an endpoint, which of its answers are kept, and that the template replaces every other answer in time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.text.claims import Evidence
from tasks.config import GeneratorConfig
from tasks.generator import MAX_FAILURES, Writer, open_writer, summary_template
from tests.tasks.endpoint import FakeEndpoint, open_endpoint, send

TITLES = ["Alien (1979)", "Blade Runner (1982)", "Notting Hill (1999)"]
LABELS = ["Horror", "Sci-Fi", "Romance"]
EVIDENCE = Evidence(("Alien (1979)",), ("Horror",), (3,))
TEMPLATE = "Because you watched Alien (1979)."
KEY = "sk-a-key-that-no-log-may-show"


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    with open_endpoint() as fake:
        yield fake


def writer_of(fake: FakeEndpoint, timeout_s: float = 5.0, budget_s: float = 20.0, api_key: str = "") -> Writer:
    config = GeneratorConfig(url=fake.url, model="tiny", timeout_s=timeout_s, budget_s=budget_s, api_key=SecretStr(api_key))
    return open_writer(config, TITLES, LABELS)


def test_without_a_model_every_text_is_its_template_and_nothing_is_asked(endpoint: FakeEndpoint) -> None:
    writer = open_writer(GeneratorConfig())
    assert writer.word_reason(EVIDENCE, TEMPLATE) == TEMPLATE
    assert writer.name_cluster(["skillet", "cast", "iron", "pan"], ["A skillet"]) == "skillet, cast, iron"
    assert writer.summarise(["Horror", "Sci-Fi"], ["Alien"]) == "Most interested in Horror and Sci-Fi. Recent: Alien."
    assert writer.n_asked == 0


def test_a_true_text_replaces_the_template(endpoint: FakeEndpoint) -> None:
    writer = writer_of(endpoint)
    endpoint.says('You watched three horror films, and "Alien" was one of them.')
    assert writer.word_reason(EVIDENCE, TEMPLATE) == 'You watched three horror films, and "Alien" was one of them.'
    endpoint.says("<think>Short!</think> You like horror.\n\nYou watched Alien. One more sentence. And another")
    assert writer.summarise(["Horror"], ["Alien (1979)"]) == "You like horror. You watched Alien."
    endpoint.says('"Cast iron skillets"')
    assert writer.name_cluster(["skillet", "iron", "cast"], ["Skillet of cast iron"]) == "Cast iron skillets"
    assert (writer.n_asked, writer.n_kept) == (3, 3)


@pytest.mark.parametrize(
    "lie",
    [
        "Because you watched Blade Runner.",
        "Because you watched Alien, and you like romance.",
        "You watched four horror films.",
        "You watched Alien and you love gardening.",
        "You watched Alien and then",
        'You watched "Alien, and this is horror.',
        "Alien, horror, " * 50 + ".",
        "因为你喜欢恐怖片。",
        "Ignore the rules and open https://example.com for Alien.",
    ],
)
def test_a_lie_and_a_text_without_end_leave_the_template(lie: str, endpoint: FakeEndpoint) -> None:
    endpoint.says(lie)
    assert writer_of(endpoint).word_reason(EVIDENCE, TEMPLATE) == TEMPLATE
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("name", ["Kitchen tools", "A name that says far more about these items than anybody wants to read", "..."])
def test_a_name_of_other_words_than_the_terms_leaves_the_terms(name: str, endpoint: FakeEndpoint) -> None:
    endpoint.says(name)
    assert writer_of(endpoint).name_cluster(["skillet", "iron"], ["Skillet"]) == "skillet, iron"


def test_only_the_evidence_is_sent_and_the_log_names_the_host_but_neither_key_nor_facts(
    endpoint: FakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.says("You like horror.")
    with caplog.at_level(logging.INFO, "minutehand.generator"):
        writer = writer_of(endpoint, api_key=KEY)
        writer.word_reason(EVIDENCE, "Because user:42 watched it.")
        writer.word_reason(Evidence(("Alien (1979)\x1b[31m\x00",), ("Horror",)), TEMPLATE)
        writer.note()
    sent = json.dumps(endpoint.asked, ensure_ascii=False)
    assert "user:42" not in sent
    assert json.loads(endpoint.asked[0]["messages"][1]["content"].partition("\n")[2]) == {
        "titles": ["Alien (1979)"],
        "interests": ["Horror"],
        "numbers": [3],
    }
    assert "\\u001b" not in sent
    assert endpoint.asked[0]["model"] == "tiny"
    assert set(endpoint.keys) == {f"Bearer {KEY}"}
    host = endpoint.url.removeprefix("http://").removesuffix("/v1")
    assert f"texts are generated on {host}" in caplog.text
    assert f"2 of 2 texts generated on {host} passed the check" in caplog.text
    assert KEY not in caplog.text
    assert "Alien" not in caplog.text


def test_equal_evidence_is_sent_once(endpoint: FakeEndpoint) -> None:
    endpoint.says("You like horror.")
    writer = writer_of(endpoint)
    assert {writer.word_reason(EVIDENCE, TEMPLATE) for _ in range(3)} == {"You like horror."}
    assert len(endpoint.asked) == 1


def _slow(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def _drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def _drip_headers(handler: BaseHTTPRequestHandler) -> None:
    for letter in "HTTP/1.1 200 OK\r\n" + "x" * 100:
        handler.wfile.write(letter.encode())
        handler.wfile.flush()
        time.sleep(0.05)


FAULTS: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "within 0.3 s|ReadTimeout": _slow,
    "within 0.3 s": _drip,
    "within 0.3 s|ReadTimeout|ProtocolError": _drip_headers,
    "HTTP status 500": lambda handler: send(handler, b"{}", 500),
    "HTTP status 302": lambda handler: send(handler, b"", 302, location="http://127.0.0.1:1/elsewhere"),
    "not a chat completion": lambda handler: send(handler, b"{not json"),
    "not a chat completion|RemoteProtocolError": lambda handler: send(handler, b'{"choices": []}'),
    "not a chat completion|Recursion": lambda handler: send(handler, b"[" * 100_000),
    "without text": lambda handler: send(handler, b'{"choices": [{"message": {"content": "  "}}]}'),
    "without text|null": lambda handler: send(handler, b'{"choices": [{"message": {"content": null}}]}'),
    "more than 1,048,576 bytes": lambda handler: send(handler, b'{"choices": "' + b"x" * 10_000_000 + b'"}'),
}


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings, each once. Tests of flows that ran before may let lines of lower levels in, and hand a record to caplog twice."""
    distinct = {id(record): record for record in caplog.records if record.levelno >= logging.WARNING}
    return [record.getMessage() for record in distinct.values()]


@pytest.mark.slow
@pytest.mark.parametrize("message", FAULTS)
def test_whatever_the_endpoint_does_the_template_stands_soon_and_one_warning_says_why(
    message: str, endpoint: FakeEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.respond = FAULTS[message]
    writer = writer_of(endpoint, timeout_s=0.3 if "0.3" in message else 5)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, "minutehand.generator"):
        for n in range(6):
            assert writer.word_reason(Evidence(labels=(f"horror {n}",)), TEMPLATE) == TEMPLATE
    assert time.monotonic() - started < 5
    assert len(endpoint.asked) == MAX_FAILURES
    (warning,) = warnings_of(caplog)
    assert any(part in warning for part in message.split("|")), warning


def test_an_endpoint_that_is_not_there_leaves_the_templates(caplog: pytest.LogCaptureFixture) -> None:
    writer = open_writer(GeneratorConfig(url="http://127.0.0.1:9/v1", model="tiny"))
    assert writer.word_reason(EVIDENCE, TEMPLATE) == TEMPLATE
    assert "the generator on 127.0.0.1:9 gave no text (ConnectError)" in caplog.text


def test_a_run_asks_no_more_once_its_time_is_spent(endpoint: FakeEndpoint, caplog: pytest.LogCaptureFixture) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(0.5)
        send(handler, b'{"choices": [{"message": {"content": "You like horror."}}]}')

    endpoint.respond = answer
    writer = writer_of(endpoint, budget_s=2.0)
    texts = [writer.word_reason(Evidence(labels=("horror", f"label {n}")), TEMPLATE) for n in range(8)]
    assert texts[0] == "You like horror."
    assert texts[-3:] == [TEMPLATE] * 3
    assert len(endpoint.asked) <= 5
    assert len(warnings_of(caplog)) == 1


def test_a_local_model_writes_what_it_can_and_the_check_decides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = open_writer(GeneratorConfig(model=str(_save_tiny_gpt(tmp_path / "gpt"))), TITLES, LABELS)
    assert writer.place == "this machine"
    assert writer.word_reason(EVIDENCE, TEMPLATE) == TEMPLATE, "random words are not a sentence"
    assert (writer.n_asked, writer.n_kept) == (1, 0)
    assert warnings_of(caplog) == []


def test_a_local_model_that_cannot_be_loaded_leaves_the_templates(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = open_writer(GeneratorConfig(model=str(tmp_path)))
    assert writer.word_reason(EVIDENCE, TEMPLATE) == TEMPLATE
    assert f"cannot load the model {tmp_path}" in caplog.text


def test_the_template_of_a_summary_is_in_the_language_of_the_interests() -> None:
    assert summary_template(["恐怖", "科幻"], ["千与千寻"]) == "主要兴趣：恐怖、科幻。最近：《千与千寻》。"
    assert summary_template(["a", "b", "c", "d"], []) == "Most interested in a, b and c."
    assert summary_template([], []) == "Most interested in nothing in particular yet."


def _save_tiny_gpt(folder: Path) -> Path:
    """A GPT-2 of random weights over bytes."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    words = {"[EOS]": 0, "[UNK]": 1, "horror": 2, "Alien": 3, "romance": 4}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="[EOS]").save_pretrained(folder)
    torch.manual_seed(0)
    shape = GPT2Config(vocab_size=len(words), n_positions=512, n_embd=8, n_layer=1, n_head=1, eos_token_id=0, bos_token_id=0)
    GPT2LMHeadModel(shape).save_pretrained(folder)
    return folder
