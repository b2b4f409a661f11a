"""What each code means, in both languages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stopcast.api.answers import Reply
from stopcast.api.meanings import (
    HTTP,
    NO_ACCOUNT,
    NO_ANSWER,
    NO_CONNECTION,
    NO_TASK,
    NOT_ENDED,
    NOT_SENT,
    explain,
    meanings,
)
from stopcast.api.verdict import CODES, Verdict, judge
from stopcast.i18n import Language

REASONS = {NO_ACCOUNT, NO_ANSWER, NO_CONNECTION, NOT_SENT, NO_TASK, NOT_ENDED}


def test_every_code_of_the_table_and_every_verdict_has_texts_in_both_languages() -> None:
    for code in (*CODES, "FlowLimitExceeded.QPSOverLimit", "AccountFlowLimitExceeded", *REASONS, f"{HTTP}502"):
        english, chinese = explain(code, into=Language.EN), explain(code, into=Language.ZH)
        assert all(text and text.isascii() for text in english)
        assert all(any("\u4e00" <= character <= "\u9fff" for character in text) for text in chinese)
    assert meanings().verdicts.keys() == set(Verdict)


def test_the_texts_name_no_code_that_the_table_does_not_know() -> None:
    assert meanings().codes.keys() - REASONS <= CODES.keys()
    # The only codes of their verdicts, which explain them.
    assert CODES.keys() - meanings().codes.keys() == {"InvalidParameter.ErrorActiveTaskNotFound", "InvalidTimestamp"}


def test_a_code_without_an_advice_of_its_own_has_that_of_its_verdict() -> None:
    assert explain("InternalError", into=Language.EN)[1] == meanings().verdicts[Verdict.TRANSIENT].advice.en
    assert explain("InvalidAccessKey", into=Language.ZH)[1] == meanings().verdicts[Verdict.ACCOUNT].advice.zh


@pytest.mark.parametrize(
    ("code", "http_status", "like"),
    [
        ("InvalidParameter.Something.New", 400, "InvalidParameter"),
        ("AccessDenied.SomethingNew", 403, "AccessDenied"),
        ("FlowLimitExceeded.New", 200, "AccountFlowLimitExceeded"),
        ("InternalErrorOfANewKind", 500, "SomethingElse"),
    ],
)
def test_a_code_without_an_entry_is_explained_by_its_family_or_its_verdict(
    code: str, http_status: int, like: str
) -> None:
    assert explain(code, http_status=http_status, into=Language.EN) == explain(like, into=Language.EN)


@pytest.mark.parametrize("http_status", [200, 400, 401, 403, 503])
def test_an_unknown_code_is_explained_by_its_http_status(http_status: int) -> None:
    verdict = judge(Reply(http_status, code="NeverHeardOf"))
    assert (
        explain("NeverHeardOf", http_status=http_status, into=Language.EN)[0] == meanings().verdicts[verdict].meaning.en
    )


def test_an_http_status_without_a_code_is_named_in_the_text() -> None:
    assert explain(f"{HTTP}502", into=Language.EN)[0].startswith("HTTP status 502 without a code")


def test_the_advice_names_the_report() -> None:
    assert "stopcast run night.jsonl -o" in explain("InternalError", report="night.jsonl", into=Language.EN)[1]


def test_the_texts_are_not_read_before_a_code_is_explained() -> None:
    code = "import sys, stopcast.api.meanings; print('tomllib' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
