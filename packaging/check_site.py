"""Check what mkdocs has made, as a browser would find it: links, languages, left-over Markdown.

Usage: check_site.py DIRECTORY
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What no page shows outside of code: links, fences, marks of lists and tables that were not
# understood.
LEFT_OVER = re.compile(r"\]\(|```|\\\||^\s*\|.*\||[.:;]\s+\d\. |\*\*")


class Page(HTMLParser):
    """The links, names and prose of a page."""

    def __init__(self, path):
        super().__init__()
        self.language = None
        self.links = []
        self.names = {""}
        self.prose = []
        self.code = self.cell = 0
        self.article = False
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.names.update(values[name] for name in ("id", "name") if values.get(name))
        self.links += [values[name] for name in ("href", "src") if values.get(name)]
        if tag == "html":
            self.language = values.get("lang")
        self.article = self.article or tag == "article"
        self.code += tag in ("code", "script", "style")
        self.cell += tag == "td"

    def handle_endtag(self, tag):
        self.article = self.article and tag != "article"
        self.code -= tag in ("code", "script", "style")
        self.cell -= tag == "td"

    def handle_data(self, data):
        # In a table the pipes of code are escaped.
        if self.article and (not self.code or (self.cell and "\\|" in data)):
            self.prose.append(data)


def check(site):
    """Yield what is wrong."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    for path, page in pages.items():
        name = path.relative_to(site)
        if page.language != ("ru" if name.parts[0] == "ru" else "en"):
            yield f"{name}: its language is {page.language}"
        for piece in page.prose:
            if LEFT_OVER.search(piece):
                yield f"{name}: {piece.strip()!r}"
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                yield f"{name}: {link} is not there"
            elif target in pages and unquote(parts.fragment) not in pages[target].names:
                yield f"{name}: {link} has no such place"
    if len(pages) < 30:
        yield f"{len(pages)} pages"


def main():
    faults = list(check(Path(sys.argv[1]).resolve()))
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


main()
