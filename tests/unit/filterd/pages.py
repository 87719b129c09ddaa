"""HTML through the opener, as the parse worker does it, without a message around it."""

import time

from filterd.config.inspection import Bounds
from filterd.parse.harvest import Content, Harvest
from filterd.parse.html import open_html
from filterd.parse.html_tree import read_page
from filterd.stages import CONTENT

RULES = {rule.id: (stage.id, rule) for stage in CONTENT for rule in stage.rules}
# Never whole in a file: virus scanners eat checkouts.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


class Opened:
    """What became of one document: ``contents`` (all layers of HTML in it), ``rules``, ``seconds``."""

    def __init__(self, html: str | bytes, charset: str = "utf-8") -> None:
        self.harvest = Harvest(Bounds(), RULES, lambda _: None)
        self.contents: list[Content] = []
        read_page.cache_clear()
        begun = time.process_time()
        data = html if isinstance(html, bytes) else html.encode("utf-8")
        self._open(Content(data=data, path="1", charset=charset, claimed="text/html", kind="html"))
        self.seconds = time.process_time() - begun

    def _open(self, content: Content) -> None:
        for inner in open_html(content, self.harvest):
            self.contents.append(inner)
            if inner.claimed == "text/html" and inner.depth < 5:
                self._open(inner)

    @property
    def rules(self) -> set[str]:
        return {finding.rule for finding in self.harvest.findings}

    @property
    def refused(self) -> set[str]:
        """The rules that count."""
        return {rule for rule in self.rules if RULES[rule][1].mode == "on"}

    def holds(self, data: bytes) -> bool:
        return any(content.data == data for content in self.contents)
