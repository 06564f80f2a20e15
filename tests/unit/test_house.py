"""The house keeps its walls: who may import whom, and what each extra must bring."""

import ast
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from parts.commands import commands_of_page, wrong_in_sentence, wrong_with

from renzheng.deploy import architecture, docs_site

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "contracts": set(),
    "common": {"contracts"},
    "models": {"contracts", "common"},
    "rules": {"contracts", "common"},
    "edge": {"contracts", "common", "models"},
    "central": {"contracts", "common", "models", "rules"},
    "bench": {"contracts", "common", "models", "rules", "edge", "central"},
    "deploy": {"contracts", "common", "models", "rules", "edge", "central", "bench"},
}
IMPORTED_AS = {
    "argon2": "argon2-cffi", "python_calamine": "python-calamine", "zxingcpp": "zxing-cpp",
    "cv2": "opencv-python-headless", "dlib": "dlib-bin", "paho": "paho-mqtt", "PIL": "pillow",
    "yaml": "pyyaml", "sqlite_utils": "sqlite-utils", "uuid_utils": "uuid-utils", "psycopg": "psycopg",
    "multipart": "python-multipart", "starlette": "fastapi", "anyio": "fastapi",
    "annotated_types": "pydantic",
    "face_recognition": "face-recognition", "pydantic_core": "pydantic", "websockets": "uvicorn",
    "chinese_calendar": "chinesecalendar", "click": "typer", "prometheus_client": "prometheus-client",
    "markupsafe": "jinja2", "docx": "python-docx", "fontTools": "fonttools", "fpdf": "fpdf2",
}  # fmt: skip


def sources(package):
    return sorted((ROOT / package).rglob("*.py"))


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_whom_it_may(package):
    allowed = MAY_IMPORT[package] | {package}
    broken = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(package)
        for name in imports(path)
        if name.startswith("renzheng.") and name.split(".")[1] not in allowed
    ]
    assert broken == []


def declared(*extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    return {re.match(r"[A-Za-z0-9_-]+", line).group(0).lower() for line in wanted}


SERVING = "common/serving.py"


@pytest.mark.parametrize("extra", ["edge", "central"])
def test_what_serves_pages_is_in_both_extras(extra):
    wanted = {name.split(".")[0] for name in imports(ROOT / SERVING, top_level_only=True)}
    assert wanted - set(sys.stdlib_module_names) - {"renzheng"} <= declared(extra)


def test_every_web_application_is_limited_and_served_in_one_way():
    paths = [path for package in MAY_IMPORT for path in sources(package)]
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    applications = {name for name, text in texts.items() if re.search(r"\bFastAPI\(|\bStarlette\(", text)}
    assert len(applications) == 6, "kiosk, bedside, ward, counter, console, door"
    unlimited = {name for name in applications if "add_middleware(RequestLimits," not in texts[name]}
    assert unlimited == set(), "use renzheng.common.limits"
    serving = {name for name, text in texts.items() if re.search(r"\bimport uvicorn|http\.server", text)}
    assert serving == {SERVING}, "use renzheng.common.serving, which bounds connections"


@pytest.mark.parametrize(
    ("package", "extras"), [("contracts", ()), ("common", ()), ("edge", ("edge",)), ("central", ("central",))]
)
def test_what_a_package_needs_to_start_is_in_its_extra(package, extras):
    known = declared(*extras)
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(package)
        for name in imports(path, top_level_only=True)
        if (first := name.split(".")[0]) not in sys.stdlib_module_names
        and first not in ("renzheng", "pyspark", "py4j", "pandas")
        and str(path.relative_to(ROOT)) != SERVING
        and IMPORTED_AS.get(first, first).lower() not in known
    }
    assert missing == set()


def test_nothing_of_this_machine_or_its_registries_is_named():
    lock = (ROOT / "requirements.lock").read_text() + (ROOT / "requirements-dev.lock").read_text()
    assert not re.search(r"(?m)https?://|--(extra-)?index-url|--find-links|file:", lock)
    assert not re.search(r"(?m)^dlib==", lock), "dlib compiles for a quarter of an hour"
    assert "dlib-bin==" in lock


DECODERS = {
    "imdecode", "imdecodemulti", "imdecodeanimation", "imread", "imreadmulti", "imreadanimation",
    "load_rgb_image", "load_grayscale_image", "load_image_file", "VideoCapture",
}  # fmt: skip
ONLY_HERE = {
    "models/images.py": {"imdecode", "PIL"},
    "models/evaluation/library.py": {"PIL"},  # undoes what face_recognition does to Pillow
    "edge/kiosk/camera.py": {"VideoCapture"},  # cameras and test videos; sides are looked at when opened
    "models/evaluation/presentations.py": {"VideoCapture"},  # data sets on the maker's own machine
}


def decoders(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module.split(".")[0], *(alias.name for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)


def test_no_page_or_text_holds_both_sides_of_a_merge():
    folders = [*(ROOT / package for package in MAY_IMPORT), ROOT / "docs"]
    texts = [one for folder in folders for one in folder.rglob("*.*") if one.suffix in _TEXTS]
    texts += ROOT.glob("*.md")
    marked = re.compile(r"(?m)^(<{7} |>{7} |={7}$)")
    assert [str(one) for one in texts if marked.search(one.read_text(encoding="utf-8"))] == []


_TEXTS = {".md", ".html", ".json", ".js", ".css", ".sql", ".yaml", ".svg"}


def test_pictures_are_decoded_in_one_place():
    found = {
        f"{name} decodes by {what}"
        for package in MAY_IMPORT
        for path in sources(package)
        for what in decoders(path)
        if what in DECODERS | {"PIL", "imageio", "skimage"}
        and what not in ONLY_HERE.get(name := str(path.relative_to(ROOT)), ())
    }
    assert found == set(), "use renzheng.models.images, which reads a picture's sides first"


AS_MARKUP = re.compile(
    r"\bConsole\(|\bfrom_markup\(|\bTextColumn\(|markup=True|\brich import print\b|rich\.print\("
)


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_nothing_foreign_is_printed_as_markup(package):
    found = {
        name
        for path in sources(package)
        if AS_MARKUP.search(path.read_text(encoding="utf-8"))
        and (name := str(path.relative_to(ROOT))) != "common/terminal.py"
    }
    assert found == set(), "use renzheng.common.terminal: a file may be called x[/bold]y"


MOVES_BY_ITSELF = {
    "common/files.py": "the functions themselves",
    "rules/syntax.py": "replaces parts of a parsed query, no file",
    "central/backup/folders.py": "puts aside what a restore replaces, and back; nothing is written",
}
_IN_PATH = {"replace", "rename"}


def own_ways_of_writing(path):
    """Calls that give a file its final name, bring it onto the disk, or make it exclusively."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in {"fsync", "fdatasync", "O_EXCL", "renames"}:
            yield node.attr
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        module = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        if module in {"os", "shutil"} and node.func.attr in {*_IN_PATH, "move"}:
            yield f"{module}.{node.func.attr}"
        elif node.func.attr in _IN_PATH and len(node.args) == 1 and not node.keywords:
            yield f"Path.{node.func.attr}"  # of a text it takes two, of a date and a frame keywords


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_file_is_written_whole_in_one_way(package):
    found = {
        f"{name}: {what}"
        for path in sources(package)
        for what in own_ways_of_writing(path)
        if (name := str(path.relative_to(ROOT))) not in MOVES_BY_ITSELF
    }
    assert found == set(), "use write_whole, write_new or put of renzheng.common.files"


@pytest.mark.parametrize("name", MOVES_BY_ITSELF)
def test_what_may_move_files_by_itself_still_does(name):
    assert list(own_ways_of_writing(ROOT / name)) != []


SHORT_LIVED = {
    "central/audit/limits.py": "the time limit of one rule, in a process of the audit",
    "edge/ward/decoder.py": "lives as long as one connection, whose camera thread watches it",
    "common/supervised.py": "the worker itself",
}


@pytest.mark.parametrize("package", ["contracts", "common", "models", "edge", "central"])
def test_every_thread_of_a_service_is_a_supervised_worker(package):
    starting = re.compile(r"\bthreading\.Thread\(|\bloop_start\(|\b_thread\.start_new|\bThread\(target")
    found = {
        name
        for path in sources(package)
        if starting.search(path.read_text(encoding="utf-8"))
        and (name := str(path.relative_to(ROOT))) not in SHORT_LIVED
    }
    assert found == set(), "use renzheng.common.supervised.Worker: it catches, logs, counts and is seen"


def test_what_the_page_on_security_names_is_there():
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"\]\(\.\./([^)]+)\)", text)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).is_file()] == []
    assert re.findall(r"(?m)^\| V(\d+) ", text) == [str(number) for number in range(1, 18)]


def test_the_drawing_of_the_floors_is_that_of_the_code():
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert architecture.renewed(page) == page, "run: make architecture"


def test_every_link_between_documents_leads_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "edge").glob("*.md")]
    dead = {
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    }
    assert dead == set()


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "zh").glob("*.md")]
PAGES += [ROOT / "edge" / "README.md", ROOT / "models" / "README.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_document_is_one(page):
    named = list(commands_of_page(page.read_text(encoding="utf-8")))
    wrong = {command: why for command in named if (why := wrong_with(command))}
    assert wrong == {}


def test_the_commands_of_the_documents_are_found():
    found = {
        page.relative_to(ROOT).as_posix(): list(commands_of_page(page.read_text(encoding="utf-8")))
        for page in PAGES
    }
    assert sum(map(len, found.values())) > 200
    assert (
        "renzheng edge backup --config edge.toml --passphrase-file WORDS people.sealed"
        in found["edge/README.md"]
    )


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("renzheng edge enroll", "there is no edge enroll"),
        ("renzheng central move --hosts NEW", "move has no option --hosts"),
        ("renzheng central draw publish | lists", "there is no central draw lists"),
        ("renzheng central night [--day D [--till D]]", "night has no option --till"),
        ("renzheng device revoke D1", "revoke takes no D1"),
        ("renzheng --versio", "renzheng knows no --versio"),
    ],
)
def test_a_command_that_is_none_is_named(command, why):
    assert wrong_with(command) == why


def test_every_command_that_a_unit_starts_is_one():
    units = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "systemd").glob("*.service")]
    started = [
        found for text in units for found in re.findall(r"(?m)^ExecStart=\S+/bin/(renzheng .+)$", text)
    ]
    assert len(started) == 8
    assert [command for command in started if wrong_with(command.replace("%i", "0"))] == []


SCREENS = {
    path.relative_to(ROOT): json.loads(path.read_text(encoding="utf-8"))
    for path in [
        *(ROOT / "central" / "catalogues").glob("*.json"),
        *ROOT.glob("central/*/templates/*.json"),
        *ROOT.glob("edge/*/page/catalogue/*.json"),
    ]
}


def test_every_command_that_a_screen_names_is_one():
    texts = [text for catalogue in SCREENS.values() for text in catalogue.values()]
    assert sum("renzheng " in text for text in texts) > 40
    assert [wrong for text in texts for wrong in wrong_in_sentence(text)] == []


def test_every_make_target_of_a_document_is_one():
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    named = {
        (str(page.relative_to(ROOT)), target)
        for page, text in texts.items()
        for target in re.findall(r"(?m)(?:^    |`)make ([a-z]+)\b", text)
    }
    assert len(named) > 5
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_words_of_a_screen_are_quoted_by_the_manuals_as_the_screen_has_them():
    shown = {text for path, texts in SCREENS.items() if path.stem.endswith("zh") for text in texts.values()}
    manuals = {page.name: page.read_text("utf-8") for page in (ROOT / "docs" / "zh").glob("*.md")}
    quoted = [(name, words) for name, text in manuals.items() for words in re.findall("「([^」]+)」", text)]
    assert len(quoted) > 100
    assert [(name, words) for name, words in quoted if words not in shown] == []


def test_every_document_is_in_the_navigation_of_the_site():
    named = set(re.findall(r"(?m)^ +- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    inside = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert named == inside | set(docs_site.BESIDE)
    assert {path.name for path in ROOT.glob("*.md")} <= set(docs_site.BESIDE)


@pytest.mark.parametrize(
    ("source", "written", "bent"),
    [
        ("README.md", "[a](docs/kiosk.md#asleep)", "[a](kiosk.md#asleep)"),
        ("README.md", "![a](docs/images/kiosk.png)", "![a](images/kiosk.png)"),
        ("README.md", "[docs/](docs/)", "docs/"),
        ("docs/kiosk.md", "[a](../edge/README.md), [b](ward.md)", "[a](edge/README.md), [b](ward.md)"),
        ("docs/zh/nurse.md", "[a](../../GLOSSARY.md)", "[a](../GLOSSARY.md)"),
        ("edge/README.md", "[a](../docs/ward.md)", "[a](../ward.md)"),
        ("docs/kiosk.md", "[a](https://example.org/x)", "[a](https://example.org/x)"),
        ("docs/kiosk.md", "[a](../edge/kiosk/app.py)", "a"),
    ],
)
def test_links_lead_to_where_a_page_lies_in_the_site(source, written, bent):
    assert docs_site.bent(written, source, "") == bent


def test_links_to_code_lead_to_the_repository_that_the_site_names():
    bent = docs_site.bent("[a](../edge/kiosk/app.py)", "docs/kiosk.md", "https://forge.example/renzheng/")
    assert bent == "[a](https://forge.example/renzheng/blob/main/edge/kiosk/app.py)"


def test_hooks_before_a_commit_are_the_recipes_of_make_check():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    check = re.search(r"(?m)^check: (.+?)  ##", (ROOT / "Makefile").read_text(encoding="utf-8"))[1]
    assert re.findall(r"(?m)^ +entry: make --silent (\w+)$", hooks) == check.split()
    assert re.findall(r"(?m)^ *- repo: (.+)$", hooks) == ["local"]


def test_the_public_forge_runs_make_test_and_nothing_else():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^ +-? ?run: (.+)$", workflow) == ["make test"]
