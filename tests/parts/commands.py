"""The commands that documents, units and screens name, held against the command line itself."""

import re
import shlex
from functools import cache

import typer

from renzheng.deploy.command import PARTS, assemble

AS_CODE = re.compile(r"`([^`]+)`")
BEFORE = re.compile(r"^(sudo (-u \S+ )?)?(\S*/)?renzheng ")
BEHIND = re.compile(r"\s#.*|\s{2,}.*|；.*")
"""What follows a command on its line: a comment, or a description in a column of its own."""
FILLERS = ("...", "…")


def commands_of_page(text):
    """Every command of a Markdown page: lines of code, and code spans, that begin with ``renzheng``.

    A span that begins with a part's name and goes on with a word (`edge enrol`) is one too.
    """
    fenced = False
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.strip()
        if bare.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            if BEFORE.match(bare):
                yield BEHIND.sub("", BEFORE.sub("renzheng ", bare))
        else:
            yield from _spans(line)


def _spans(line):
    for span in AS_CODE.findall(line):
        if BEFORE.match(span):
            yield BEFORE.sub("renzheng ", span)
        elif span.split()[0] in PARTS and re.match(r"[a-z-]+ [a-z]", span):
            yield f"renzheng {span}"


@cache
def _part(name):
    return typer.main.get_command(assemble(name)).commands[name]


def wrong_with(command):
    """What keeps `command` from being one of the command line, or an empty text.

    `a | b` are alternatives: options of the same command, or its neighbours.
    """
    words = shlex.split(re.sub(r"[\[\]]", "", command))[1:]
    path = ()
    try:
        for run in _alternatives(words):
            path, rest = (path, run) if run[0].startswith("-") else _resolved(path[:-1], run)
            _check(path, rest)
    except LookupError as error:
        return error.args[0]
    return ""


def wrong_in_sentence(text):
    """What is wrong with the commands inside a screen's sentence, which goes on behind them."""
    for found in re.finditer(r"renzheng ([^，。；：（）;()]+)", text):
        words = [word.rstrip(".,:") for word in found[1].split()]
        path = ()
        while words and words[0] in (known := _commands(path)):
            path, words = (*path, _part(words[0]) if not path else known[words[0]]), words[1:]
        if not path or _commands(path):
            yield f"{found[0].strip()}: no whole command"
            continue
        unknown = [word for word in words if word.startswith("--") and word not in _options(path[-1])]
        yield from (f"{found[0].strip()}: {word}" for word in unknown)


def _options(command):
    return {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}


def _alternatives(words):
    text = "\0".join(words).split("\0|\0")
    return [run.split("\0") for run in text]


def _resolved(path, words):
    """Follow sub-commands as far as they go; the command with what stands above it, and the words behind."""
    while words and not words[0].startswith("-") and words[0] not in FILLERS:
        known = _commands(path)
        if not known:
            break
        if words[0] not in known:
            raise LookupError(f"there is no {' '.join([*(one.name for one in path), words[0]])}")
        path, words = (*path, _part(words[0]) if not path else known[words[0]]), words[1:]
    return path, words


def _commands(path):
    return getattr(path[-1], "commands", {}) if path else PARTS


def _check(path, words):
    """Every option is the command's, every other word an option's value or one of its arguments."""
    words = [word for word in words if word not in FILLERS]
    if not path:
        if words not in ([], ["--help"], ["--version"]):
            raise LookupError(f"renzheng knows no {words[0]}")
        return
    command = path[-1]
    options = _options(command)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    room = sum(99 if one.nargs < 0 else one.nargs for one in arguments)
    while words:
        word, *words = words
        name, _, value = word.partition("=")
        if name == "--help":
            continue
        if name in options:
            if not value and not options[name].is_flag and words and not words[0].startswith("-"):
                words.pop(0)
        elif word.startswith("-"):
            raise LookupError(f"{command.name} has no option {word}")
        elif (room := room - 1) < 0:
            raise LookupError(f"{command.name} takes no {word}")
