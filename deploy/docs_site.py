"""A hook of mkdocs (`mkdocs.yml`): brings the pages that lie beside ``docs/`` into the site, and bends links.

In the repository a page links to whatever it speaks of by its path. The site holds pages and pictures only:
links to them are bent to their place in it, links to code lead to `repo_url`, and where the site names none
the text stays without its link.
"""

import importlib
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs/"
BESIDE = (
    "README.md",
    "README.zh.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "DEVELOPERS.md",
    "GLOSSARY.md",
    "SECURITY.md",
    "edge/README.md",
    "models/README.md",
)
"""Pages outside of ``docs/``; their place in the site is their path."""
IN_SITE = (".md", ".png", ".json")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Mapping[str, Any]) -> Any:
    """Add the pages that lie beside ``docs/``."""
    generated = importlib.import_module("mkdocs.structure.files").File.generated
    for path in BESIDE:
        files.append(generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Mapping[str, Any], **_: Any) -> str:
    """Bend the links of one page."""
    return bent(markdown, source_of(page.file.src_uri), config.get("repo_url") or "")


def source_of(uri: str) -> str:
    """Return the path in the repository of a page of the site."""
    return uri if uri in BESIDE else DOCS + uri


def uri_of(path: str) -> str | None:
    """Return the place in the site of a file of the repository; None when it is not there."""
    if path in BESIDE:
        return path
    if path.startswith(DOCS) and path.endswith(IN_SITE):
        return path.removeprefix(DOCS)
    return None


def bent(markdown: str, source: str, repository: str) -> str:
    """Return a page's text with every relative link as it must be in the site.

    Args:
        markdown: the page.
        source: its path in the repository.
        repository: address of the repository's pages, or empty.
    """
    here = posixpath.dirname(uri_of(source) or "") or "."

    def bend(found: re.Match[str]) -> str:
        mark, text, target, anchor = found[1], found[2], found[3], found[4] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        uri = uri_of(path)
        if uri is None and path in ("docs", "docs/zh", "docs/decisions"):
            return text
        if uri is not None:
            return f"{mark}[{text}]({posixpath.relpath(uri, here)}{anchor})"
        return f"[{text}]({repository.rstrip('/')}/blob/main/{path}{anchor})" if repository else text

    return LINK.sub(bend, markdown)
