"""A session token that a server sends back is in no text of the reply."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stopcast.api.actions import GET_WEBCAST_TASK
from stopcast.api.answers import hide, read_answer
from support.replies import error_body

#: Each of these characters is escaped by some server.
TOKEN = "STS/abc+def==&<x>~0123456789"
ESCAPES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: text.replace("/", "\\/"),
    "JSON in ASCII": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "JSON for HTML": lambda text: text.replace("<", "\\u003C").replace("&", "\\u0026").replace("+", "\\u002B"),
    "JSON inside JSON": lambda text: text.replace("/", "\\\\\\/").replace("&", "\\\\u0026"),
    "URL": lambda text: "".join(f"%{ord(c):02X}" if c in "/+=&<>" else c for c in text),
    "HTML": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("+", "&#43;"),
}


@pytest.mark.parametrize("escaped", [escape(TOKEN) for escape in ESCAPES.values()], ids=ESCAPES.keys())
@pytest.mark.parametrize(
    "body",
    [
        '{"ResponseMetadata":{"RequestId":"@","Error":{"Code":"X.@","Message":"you sent @ and @"}}}',
        '{"ResponseMetadata":{"RequestId":"@"},"Result":"@"}',
        '{"ResponseMetadata":{},"Result":{"WebCastTask":{"Status":3,"StopReason":"@"}}}',
        '{"headers":{"X-Security-Token":"@"}}',
        "<html>you sent @</html>",
        "@@@@",
    ],
)
def test_a_token_that_a_server_returns_is_in_no_text_of_the_reply(body: str, escaped: str) -> None:
    answer = body.replace("@", escaped).encode()

    reply = read_answer(200, {}, answer, state_of=GET_WEBCAST_TASK.state_of, secret=TOKEN)

    shown = repr(reply)
    assert "***" in shown
    assert TOKEN not in shown
    assert not any(TOKEN[place : place + 6] in shown for place in range(len(TOKEN) - 5))


def test_a_text_is_cut_after_the_token_is_hidden() -> None:
    body = error_body(Code="X", Message=" " * 1990 + TOKEN)
    assert read_answer(400, {}, body, secret=TOKEN).message == " " * 1990 + "***"
    assert "STS" not in str(read_answer(502, {}, b" " * 70 + TOKEN.encode(), secret=TOKEN).message)


def test_a_text_without_the_secret_stays_as_it_is() -> None:
    for text in ("", "a\\/b %41 &amp;", TOKEN[:-1], "x" * 100):
        assert hide(text, TOKEN) == hide(text, "") == text
