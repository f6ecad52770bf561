"""Hooks of mkdocs.yml: pages from outside docs/, links between pages, and two languages.

The pages are written to be read in the repository. Links between them are relative to where
they lie there; this module makes them lead to the same page of the site.
"""

import copy
import html
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

# Pages of the site that lie outside docs/.
ROOT = Path(__file__).parent.parent
OUTSIDE = {
    "README.md": "index.md",
    "examples/README.md": "examples/index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "vulnerabilities.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
}
for readme in sorted(ROOT.glob("examples/*/README.md")):
    OUTSIDE[readme.relative_to(ROOT).as_posix()] = f"examples/{readme.parent.name}.md"
REPOSITORY_PATHS = {page: path for path, page in OUTSIDE.items()}
RUSSIAN = "По-русски"

ITEM = re.compile(r"(?:[-*]|\d+\.) +")
ROW = re.compile(r"^\|.*", re.MULTILINE)
PIPE = re.compile(r"`([^`\n]*\\\|[^`\n]*)`")
# A block of code, code in a line, or what this module changes: a link.
LINK = re.compile(
    r"^ *```.*?^ *```|`[^`\n]*`|\[((?:[^\[\]`]|`[^`]*`|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)", re.MULTILINE | re.DOTALL
)


def on_files(files, config):
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text()))
    files.append(File.generated(config, "assets/site.css", abs_src_path=str(ROOT / "packaging/site.css")))
    return files


def page_of(path, files):
    """Return the name within the site of a file of the repository, or None."""
    if path.startswith("docs/"):
        path = path[len("docs/") :]
        return path if files.get_file_from_path(path) else None
    # examples/ stands for its README.md.
    return OUTSIDE.get(path) or OUTSIDE.get(posixpath.join(path, "README.md"))


def on_page_markdown(markdown, page, config, files):
    source = page.file.src_uri
    directory = posixpath.dirname(REPOSITORY_PATHS.get(source, "docs/" + source))

    def rewrite(match):
        text, target = match[1], match[2]
        if target is None or re.match(r"[a-z]+:|#", target):
            return match[0]
        path, mark, fragment = target.partition("#")
        path = posixpath.normpath(posixpath.join(directory, path))
        name = page_of(path, files)
        if name:
            return f"[{text}]({posixpath.relpath(name, posixpath.dirname(source) or '.')}{mark}{fragment})"
        if not (ROOT / path).exists():
            return match[0]  # mkdocs warns of it
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{path})"
        return text

    # Python-Markdown would show the backslash of code with a pipe in a table.
    markdown = LINK.sub(rewrite, markdown)
    markdown = ROW.sub(lambda row: PIPE.sub(code_in_html, row[0]), markdown)
    return four_columns(markdown)


def code_in_html(match):
    return "<code>" + html.escape(match[1]).replace("\\|", "&#124;") + "</code>"


def four_columns(markdown):
    """Return the page with its lists as Python-Markdown wants them: after an empty line, and
    with what belongs to an item indented by four columns for each level, where Markdown
    elsewhere asks for as many as the mark of the item takes.
    """
    out = []
    offsets = []  # the column at which the text of an item begins, for each level
    fence = False
    for line in markdown.split("\n"):
        text = line.lstrip(" ")
        column = len(line) - len(text)
        before = out[-1].strip() if out else ""
        item = not fence and ITEM.match(text)
        if text and not fence and (item or not before):
            while offsets and column < offsets[-1]:
                offsets.pop()
        if not text:
            out.append("")
            continue
        inner = offsets[-1] if offsets else 0
        if item and column - inner >= 4:
            item = None  # it is code
        if item and not offsets and before:
            out.append("")
        out.append(" " * (4 * len(offsets) + max(0, column - inner)) + text)
        if item:
            offsets.append(column + len(item[0]))
        if text.startswith("```"):
            fence = not fence
    return "\n".join(out)


def in_russian(page):
    return page.file.src_uri.startswith("ru/")


def translation(uri, russian):
    """Return what a page's file is called in the other language."""
    if russian:
        return "index.md" if uri == "ru/README.md" else uri[len("ru/") :]
    return "ru/README.md" if uri == "index.md" else "ru/" + uri


def on_page_context(context, page, config, nav):
    """Give a page the texts of the theme and the navigation in its own language, and a link to
    the other one. Pages are rendered one after the other.
    """
    russian = in_russian(page)
    config.theme["language"] = "ru" if russian else "en"
    own = copy.copy(nav)
    own.items = [item for item in nav.items if (item.title == RUSSIAN) == russian]
    if russian:
        own.items = own.items[0].children
    if page in own.items:
        page.meta["hide"] = ["navigation"]  # it would have the tab's page alone
    own.homepage = next(p for p in nav.pages if p.file.src_uri == ("ru/README.md" if russian else "index.md"))
    context["nav"] = own
    for neighbour in ("previous_page", "next_page"):
        other = getattr(page, neighbour)
        if other and in_russian(other) != russian:
            setattr(page, neighbour, None)

    pages = {p.file.src_uri: p for p in nav.pages}
    other = pages.get(translation(page.file.src_uri, russian))
    english_page, russian_page = (other, page) if russian else (page, other)
    config.extra["alternate"] = [
        {"name": "English", "lang": "en", "link": (english_page or pages["index.md"]).url or "."},
        {"name": "Русский", "lang": "ru", "link": (russian_page or pages["ru/README.md"]).url},
    ]
    return context
