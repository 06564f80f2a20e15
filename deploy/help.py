"""The help of the command line in the user's language: one at a time, words from the catalogue."""

import sys
from functools import cache
from typing import Any

import typer

from renzheng.common.words import in_language, language

_AROUND = "typer.rich_utils"
"""Where the library keeps the words around a help; loaded once a help or an error asks for it."""
_WORDS = (
    "ARGUMENTS_PANEL_TITLE",
    "OPTIONS_PANEL_TITLE",
    "COMMANDS_PANEL_TITLE",
    "DEFAULT_STRING",
    "REQUIRED_LONG_STRING",
)
USAGE, HELP = "Usage: ", "Show this message and exit."


@cache
def words_around() -> dict[str, str]:
    """Return the words around a help as the library has them, in English, by their names."""
    from typer import rich_utils

    return {name: str(getattr(rich_utils, name)) for name in _WORDS}


def speaking(command: Any) -> Any:
    """Put the help of a built command, and of all below it, into the user's language."""
    if language() == "zh" or _AROUND in sys.modules:
        for name, text in words_around().items():
            setattr(sys.modules[_AROUND], name, in_language(text))
    if language() == "zh":
        for one in each(command):
            _put(one)
    return command


def each(command: Any) -> list[Any]:
    """Return a command and all that are below it."""
    return [command, *(one for below in getattr(command, "commands", {}).values() for one in each(below))]


def texts_of(command: Any) -> list[str]:
    """Return what the help of one command says, in English."""
    helps = (command.help, command.short_help, *(getattr(one, "help", None) for one in command.params))
    return [text for text in helps if text]


def _put(command: Any) -> None:
    command.help = in_language(command.help or "")
    command.short_help = in_language(command.short_help or "") or None
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = in_language(parameter.help)
    asked_for_help = command.get_help_option(typer.Context(command))
    if asked_for_help is not None:
        asked_for_help.help = in_language(HELP)
    usual = command.get_usage
    command.get_usage = lambda context: usual(context).replace(USAGE, in_language(USAGE), 1)
