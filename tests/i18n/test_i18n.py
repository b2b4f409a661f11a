"""The catalogue of Chinese messages, and how a command chooses its language."""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message

from stopcast.i18n import Language, gettext, language, ngettext, speaking, translate
from support import catalogue
from support.command import run_in_process
from support.processes import Shell

#: A mark of English punctuation beside a Chinese character.
MIXED_PUNCTUATION = re.compile(r"[\u4e00-\u9fff][,;:?!()]|[,;:?!()][\u4e00-\u9fff]")


def messages(catalog: Catalog) -> dict[tuple[str, ...], Message]:
    return {texts_of(message.id): message for message in catalog if message.id}


def texts_of(texts: str | Iterable[str] | None) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts or ("",))


def fields_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)[^{}]*\}", lambda field: values[field[1]], text).replace("{{", "{").replace("}}", "}")


TRANSLATED = messages(catalogue.translated())


def test_the_catalogue_holds_the_messages_of_the_code_and_no_others() -> None:
    in_code = set(messages(catalogue.extracted()))
    assert in_code == set(TRANSLATED), "run tests/support/catalogue.py, and translate what it prints"
    assert not catalogue.translated().obsolete


@pytest.mark.parametrize("message", TRANSLATED.values(), ids=lambda message: texts_of(message.id)[0])
def test_each_message_is_translated_with_its_placeholders_and_with_chinese_punctuation(message: Message) -> None:
    assert not message.fuzzy
    (chinese,) = texts_of(message.string)
    assert chinese, "not translated"
    assert fields_of(chinese) == fields_of(texts_of(message.id)[-1])
    assert not MIXED_PUNCTUATION.search(chinese)


def test_no_text_is_put_together_from_parts() -> None:
    assert catalogue.glued() == []


@pytest.mark.parametrize("text", catalogue.shown_texts())
def test_each_text_of_the_code_is_recognised_with_its_values_and_shown_in_chinese(text: str) -> None:
    numbers = re.findall(r"\{(\w+):[^{}]*[,dfg]\}", text)
    values = {
        name: str(number) if name in numbers else f"<{number}>" for number, name in enumerate(sorted(fields_of(text)))
    }
    chinese = next(texts_of(message.string)[0] for ids, message in TRANSLATED.items() if text in ids)
    with speaking(Language.ZH):
        assert translate(filled(text, values)) == filled(chinese, values)


def test_an_error_is_translated_together_with_the_reasons_in_it() -> None:
    with speaking(Language.ZH):
        assert translate("--accounts a.toml: account a: config_file goes with profile").isascii() is False
        assert translate("Redis refuses access to the queue report: no such file") == filled(
            gettext("Redis refuses access to the queue {queue}: {error}"), {"queue": "report", "error": "文件不存在"}
        )
        assert translate("stopped: of the API") == "stopped: of the API"
        assert translate(
            "AppId is a rounded number; a spreadsheet has replaced the id, so export it as text: '1e+05'"
        ) == ("AppId 是被舍入的数字；电子表格改写了该 ID，请以文本格式导出：'1e+05'")
    assert translate("no such file") == "no such file"


def test_the_catalogue_is_compiled_as_it_is_written() -> None:
    compiled = messages(catalogue.compiled())
    assert {key: texts_of(message.string) for key, message in compiled.items()} == {
        key: texts_of(message.string) for key, message in TRANSLATED.items()
    }, "run tests/support/catalogue.py"


def test_a_message_has_the_language_of_the_block_around_it_and_its_fields() -> None:
    with speaking(Language.ZH):
        assert gettext("{seconds} s", seconds=3) == "3 秒"
        assert ngettext("1 row: {counts}", "{number:,} rows: {counts}", 2000, counts="-") == "2,000 行：-"
    assert language() is Language.EN
    assert gettext("{seconds} s", seconds=3) == "3 s"
    assert ngettext("1 row: {counts}", "{number:,} rows: {counts}", 1, counts="-") == "1 row: -"


@pytest.mark.parametrize(
    ("arguments", "variables", "chosen"),
    [
        ((), {}, "en"),
        ((), {"LANG": "zh_CN.UTF-8"}, "zh"),
        ((), {"LC_ALL": "", "LC_MESSAGES": "zh_TW", "LANG": "C"}, "zh"),
        ((), {"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ((), {"LC_ALL": "zh_CN.UTF-8", "STOPCAST_LANG": "en"}, "en"),
        (("--lang", "zh"), {"LC_ALL": "C", "STOPCAST_LANG": "en"}, "zh"),
        (("run", "x.csv", "--lang=zh"), {}, "zh"),
        (("run", "x.csv", "--lang"), {}, "en"),
        (("--lang", "fr"), {"LANG": "zh_CN"}, "zh"),
    ],
)
def test_the_language_is_that_of_the_option_the_variable_or_the_locale(
    arguments: tuple[str, ...], variables: dict[str, str], chosen: str
) -> None:
    assert Language.chosen(arguments, variables) == chosen


@pytest.mark.parametrize("command", ["run", "verify", "doctor", "worker", "status", "summary", "sandbox"])
def test_every_command_refuses_a_language_that_it_does_not_speak(shell: Shell, command: str) -> None:
    ended = shell.run(command, "--lang", "fr")
    assert ended.status == 2
    assert "'fr' is not one of 'en', 'zh'" in ended.err


def test_the_language_of_a_command_ends_with_it(shell: Shell) -> None:
    ended = run_in_process("help", "LackPolicy", "--lang", "zh", directory=shell.directory, environment={})
    assert "权限" in ended.out
    assert language() is Language.EN


def test_json_is_the_same_in_every_language(shell: Shell, at: tuple[str, ...]) -> None:
    logs = []
    for name in Language:
        shell.variables["STOPCAST_LANG"] = name
        logs.append(
            shell.run(
                "run", "-", *at, "-o", "r.jsonl", "--log-format", "json", given=b"AppId,RoomId,TaskId\na,r,\n"
            ).err
        )
        (shell / "r.jsonl").rename(shell / f"{name}.jsonl")
    assert all(log.isascii() for log in logs)
    assert all("invalid" in log for log in logs)
    assert (
        shell.run("summary", "en.jsonl", "--json", "--lang", "en").out
        == shell.run("summary", "en.jsonl", "--json", "--lang", "zh").out
    )
