"""The command line speaks one language at a time, and has every word of it in the catalogue."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from renzheng.common import words
from renzheng.common.words import in_language, language, message, say
from renzheng.deploy import command
from renzheng.deploy import help as helps

ROOT = Path(__file__).parents[3]
PACKAGES = ("contracts", "common", "models", "rules", "edge", "central", "bench", "deploy")
CATALOGUE = json.loads(words.CATALOGUE.read_text(encoding="utf-8"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
OF_THE_LIBRARY = {
    "No such option: {0}", "No such option: {0} (Possible options: {1})",
    "No such option: {0} Did you mean {1}?", "No such command {0}.", "No such command {0}. Did you mean {1}?",
    "Missing command.", "Missing option {0}.", "Missing option {0}. Choose from:\n\t{1}",
    "Missing argument {0}.", "Missing parameter: {0}", "Invalid value: {0}", "Invalid value for {0}: {1}",
    "Invalid value for {0}: Value error, {1} does not match the formats {2}.",
    "Option {0} requires an argument.", "Option {0} requires {1} arguments.",
    "Option {0} does not take a value.", "Got unexpected extra argument(s) ({0})",
}  # fmt: skip
"""What the library for command lines says of wrong calls; found by making them."""
PLAIN = {
    "ValueError",
    "TypeError",
    "RuntimeError",
    "KeyError",
    "OSError",
    "ModuleNotFoundError",
    "AssertionError",
    "FileExistsError",
}


@pytest.fixture
def chinese(monkeypatch):
    monkeypatch.setenv(words.LANGUAGE, "zh")


@cache
def texts_of_help():
    texts = {helps.HELP, helps.USAGE, *helps.words_around().values()}
    for part in command.PARTS:
        for one in helps.each(get_command(command.assemble(part))):
            texts.update(helps.texts_of(one))
    return texts


def template(node):
    """An f-string with its values as {0}, {1} ...; None for what is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    values = iter(range(len(node.values)))
    return "".join(
        part.value if isinstance(part, ast.Constant) else f"{{{next(values)}}}" for part in node.values
    )


@cache
def parsed():
    """Every module of the product: path, text and each call in it."""
    found = []
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        made = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        found.append((path, text, made))
    return found


@cache
def calls():
    """Calls of the product that make an error or say something by the catalogue."""
    found = []
    for path, text, made in parsed():
        says = "renzheng.common.words import" in text
        shows = re.search(r"common\.terminal import .*\btable\b", text)
        for node in made:
            if isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if (
                    name.endswith(("Error", "Finding"))
                    or (says and name == "say")
                    or (shows and name == "table")
                ):
                    found.append((path, name, node))
    return found


def texts_of_errors():
    """What errors say, where it is written beside the error; single words are codes."""
    for path, name, node in calls():
        if name in {"say", "table"}:
            continue
        named = [one for one in node.keywords if one.arg in ("why", "do")]
        if name in PLAIN and not named:
            continue
        for part in (*node.args[:1], *(one.value for one in named)):
            text = template(part)
            if text and " " in text:
                yield path, text


def texts_said():
    said = {template(node.args[0]) for _, name, node in calls() if name == "say"}
    return said | {
        head for _, name, node in calls() if name == "table" for head in map(template, node.args) if head
    }


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "RENZHENG_LANG": "en"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "RENZHENG_LANG": ""}, "zh"),
        ({"RENZHENG_LANG": "zh-CN"}, "zh"),
        ({"RENZHENG_LANG": "ZH"}, "zh"),
        ({"RENZHENG_LANG": "zha"}, "en"),
        ({"RENZHENG_LANG": "fr", "LANG": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_the_language_is_what_was_chosen_else_that_of_the_locale_else_english(environment, expected):
    assert language(environment) == expected


def test_every_help_text_is_english_in_the_code_and_has_its_chinese_in_the_catalogue():
    texts = texts_of_help()
    assert len(texts) > 300
    assert [text for text in texts if CHINESE.search(text)] == []
    assert [text for text in texts if not CHINESE.search(CATALOGUE.get(text, ""))] == [], "see words.py"


def test_every_error_that_is_written_out_has_its_chinese_in_the_catalogue():
    found = list(texts_of_errors())
    assert len(found) > 900
    missing = {f"{path.relative_to(ROOT)}: {text}" for path, text in found if text not in CATALOGUE}
    assert missing == set(), f"add it to {words.CATALOGUE.relative_to(words.CATALOGUE.parents[2])}"


def test_the_catalogue_has_nothing_that_nobody_says():
    used = texts_of_help() | {text for _, text in texts_of_errors()} | texts_said() | OF_THE_LIBRARY
    assert set(CATALOGUE) - used == set()
    assert used - set(CATALOGUE) == set()


def test_what_a_command_prints_is_said_in_the_users_language():
    """Progress on the error stream and figures of benchmarks apart; the demo speaks both languages."""
    plain = []
    for path, _, made in parsed():
        if path.relative_to(ROOT).parts[0] in {"bench", "deploy"}:
            continue
        for node in made:
            if not (isinstance(node.func, ast.Attribute) and node.args):
                continue
            text = template(node.args[0]) if node.func.attr in {"print", "echo"} else None
            if text and len(re.findall(r"(?<![.\w])[A-Za-z]{3,}", text.partition("renzheng device")[0])) > 1:
                plain.append(f"{path.relative_to(ROOT)}: {text}")
    assert plain == []


def places(text):
    return sorted(set(re.findall(r"\{\d*\}", text)))


def test_each_text_has_the_same_places_in_both_languages():
    assert {text for text, other in CATALOGUE.items() if places(text) != places(other)} == set()


@pytest.mark.usefixtures("chinese")
def test_each_message_is_found_again_by_what_it_looks_like_with_its_values_in_it():
    filling = [f"<{number} [x] {{0}}>" for number in range(9)]
    for text, other in CATALOGUE.items():
        filled = re.sub(r"\{(\d+)\}", lambda place: filling[int(place[1])], text)
        expected = re.sub(r"\{(\d+)\}", lambda place: filling[int(place[1])], other)
        assert message(filled) == expected, text


@pytest.mark.usefixtures("chinese")
def test_a_long_foreign_text_is_walked_through_once():
    names = "a, b: c. d " * 200_000
    assert message(f"{names} cannot be read: {names}.") == f"{names} 无法读取：{names}。"
    assert message(names) == names
    assert message("cannot be read: .") == "cannot be read: ."


def test_in_english_nothing_is_changed(monkeypatch):
    monkeypatch.setenv(words.LANGUAGE, "en")
    assert message("Give its path with --config.") == "Give its path with --config."
    assert in_language("Options") == "Options"
    assert say("{0} region(s)", 3) == "3 region(s)"


@pytest.mark.usefixtures("chinese")
def test_what_the_catalogue_does_not_know_stays_as_it_is():
    assert message("somebody's own words") == "somebody's own words"
    assert in_language("somebody's own words") == "somebody's own words"
    assert say("{0} region(s)", "{0}") == "{0} 个地区"


WRONG_CALLS = {
    "draw verify --nope": "没有选项：--nope",
    "draw verify --ky x y": "没有选项：--ky",
    "draw nope": "没有命令 'nope'。",
    "nope": "没有命令 'nope'。",
    "draw verify": "缺少参数",
    "draw verify a b": "多出的参数（b）",
    "draw verify a --key": "选项 '--key' 需要取值。",
    "draw verify /nowhere.json": "/nowhere.json 无法读取：No such file or directory。",
    "simulate county --out x --days many": "'--days' 的取值无效",
    "audit run --tables x --from 2026 --to 2026-03-02 --out x": "'--from' 的取值无效：'2026' 不符合格式",
    "audit run --tables x --from 2026-03-02 --to 2026-03-01 --out x": "--from 2026-03-02 晚于",
}


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(("call", "says"), WRONG_CALLS.items())
def test_what_is_wrong_with_a_call_is_said_in_the_users_language(monkeypatch, capsys, call, says):
    monkeypatch.setattr("sys.argv", ["renzheng", *call.split()])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code in (1, 2)
    shown = capsys.readouterr()
    assert shown.err.strip().startswith(says)
    assert shown.out == ""


@pytest.mark.parametrize(
    ("chosen", "there", "not_there"),
    [
        ("zh", ("用法：renzheng draw verify", "选项", "参数", "显示此说明后退出。", "重算整个抽取"), "Usage"),
        ("en", ("Usage: renzheng draw verify", "Options", "Show this message and exit."), "用法"),
    ],
)
def test_the_help_speaks_one_language_at_a_time(monkeypatch, capsys, chosen, there, not_there):
    monkeypatch.setenv(words.LANGUAGE, chosen)
    monkeypatch.setattr("sys.argv", ["renzheng", "draw", "verify", "--help"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert [text for text in there if text not in shown] == []
    assert not_there not in shown
    assert bool(CHINESE.search(shown)) == (chosen == "zh")


def test_no_command_returns_what_would_be_taken_for_an_exit_status():
    def callbacks(app):
        yield from (one.callback for one in app.registered_commands)
        for group in app.registered_groups:
            yield from callbacks(group.typer_instance)

    found = [one for part in command.PARTS for one in callbacks(command.load(part))]
    assert len(found) > 50
    assert {one.__qualname__ for one in found if one.__annotations__.get("return") is not None} == set()


def test_a_command_that_is_broken_off_says_so(monkeypatch, capsys):
    app = typer.Typer()

    @app.command()
    def one() -> None:
        raise typer.Abort

    @app.command()
    def two() -> None:
        raise typer.Exit(7)

    monkeypatch.setattr(command, "assemble", lambda _: app)
    for name, status in (("one", 1), ("two", 7)):
        monkeypatch.setattr("sys.argv", ["renzheng", name])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == status
    assert capsys.readouterr().err == "The command was broken off.\n"
