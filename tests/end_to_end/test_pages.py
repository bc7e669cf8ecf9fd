"""Every page that a model's life leaves is walked as a browser reads it: data make no element."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from place import enter
from tiny import Live, applications, tiny_text, train

from riskwright.case.usecase import parse_usecase
from riskwright.home import Home
from riskwright.systems.credit.monitoring import monitor_batch
from riskwright.systems.credit.quality_report import write_quality_report

SIGN = "data-hit"  # no page of ours, nor of a library, has such an attribute
END = "</script></style></textarea></title></svg></text>-->"
HOSTILE = {
    "element": f"{END}<x-hit {SIGN}=1 onerror=hit()>",
    "double quote": f'x" {SIGN}="1" onmouseover="hit()',
    "single quote": f"x' {SIGN}='1' onmouseover='hit()",
    "code": f"'+hit('{SIGN}')+'",
    "template": f"`${{hit('{SIGN}')}}{{{{ 1 }}}}",
}


class Page(HTMLParser):
    """What a page holds: its elements' attributes and the code that runs."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[str] = []
        self.words: list[str] = []
        self._in: str = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        (self.code if self._in in ("script", "style") else self.words).append(data)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A life whose texts are hostile: titles, codes, the batch's name and its cells."""
    folder = tmp_path_factory.mktemp("pages")
    home = Home(folder / "home").create()
    plain = yaml.safe_load(tiny_text())
    texts = list(HOSTILE.values())
    codes = dict(zip("12345", texts, strict=True))
    plain |= {"title": texts[0], "question": texts[1]}
    plain["columns"]["EDUCATION"]["values"] = {text: text for text in texts}
    plain["columns"]["EDUCATION"]["label"] = texts[2]
    plain["source"] = {"location": str(folder / "cases.csv")}

    def cases(count: int, seed: int, **more: Any) -> pd.DataFrame:
        frame = applications(count, seed=seed, **more)
        frame["EDUCATION"] = [codes.get(str(v), texts[0]) for v in frame["EDUCATION"]]
        return frame

    cases(1200, 3).to_csv(folder / "cases.csv", index=False)
    path = home.folder("usecases") / "tiny.yaml"
    path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    usecase = parse_usecase(path.read_text(encoding="utf-8"), where=str(path))
    with pytest.MonkeyPatch.context() as patch:
        enter(home, patch)
        done = train(home, usecase)
        live = Live(home, usecase, path, done["version"])
        assert Path(write_quality_report(usecase, done["data"]["clean"], home)).is_file()
        batch = folder / f"batch {texts[1].replace('/', '|')}.csv"
        frame = cases(400, 12, scenario="new_channel")
        frame.loc[:60, "EDUCATION"] = f"new {texts[0]}"
        frame.to_csv(batch, index=False)
        monitor_batch(usecase, home, live.ledger, input=str(batch), labels=None)
    return sorted(home.root.rglob("*.html"))


@pytest.mark.slow
def test_no_element_and_no_attribute_of_any_page_comes_from_data(pages: list[Path]) -> None:
    kinds = {path.name.partition("-")[0].removesuffix(".html") for path in pages}
    assert {"quality", "report"} <= kinds
    shown = 0
    for path in pages:
        page = Page(path.read_text(encoding="utf-8"))
        assert [t for t in page.tags if t[0] == "x-hit" or SIGN in t[1]] == [], path
        links = [v or "" for _, a in page.tags for n, v in a.items() if n in ("href", "src")]
        assert [v for v in links if v.strip().lower().startswith("javascript:")] == []
        handlers = [v or "" for _, a in page.tags for n, v in a.items() if n.startswith("on")]
        assert [v for v in handlers if SIGN in v] == []
        for code in page.code:
            for text in HOSTILE.values():
                assert text not in code, path
                assert json.dumps(text)[1:-1] not in code, path
        shown += sum(SIGN in word for word in page.words)
    assert shown, "no hostile text reached a page: nothing was tested"
