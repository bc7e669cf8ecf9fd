"""What every test stands on: a quiet environment, homes in temporary folders, no way out."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
OFFLINE = REPOSITORY / "tests" / "offline"

# The environment comes first: libraries read it when they are imported.
_session = tempfile.TemporaryDirectory(prefix="riskwright-tests-", ignore_cleanup_errors=True)
_outbound_log = Path(_session.name) / "outbound.txt"
_outbound_log.touch()


def _prepare_environment() -> None:
    """Forget the user's own settings, then set ours for this process and those it starts."""
    kept = {"RISKWRIGHT_SHARED", "RISKWRIGHT_REQUIRE"}
    for name in [n for n in os.environ if n.startswith(("RISKWRIGHT_", "PREFECT_", "MLFLOW_"))]:
        if name not in kept:
            del os.environ[name]
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ.pop(name, None)
        os.environ.pop(name.upper(), None)
    # Absolute, since tests start processes in other folders.
    path = [str(OFFLINE), str(REPOSITORY / "src"), str(REPOSITORY / "flows")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    sys.path[:0] = [p for p in path if p not in sys.path]
    os.environ["RISKWRIGHT_TEST_OUTBOUND"] = str(_outbound_log)
    os.environ["RISKWRIGHT_HOME"] = str(Path(_session.name) / "home")

    import no_outbound

    no_outbound.install()

    from riskwright.home import Home, quiet_environment

    quiet_environment(Home().create())


_prepare_environment()

import hypothesis  # noqa: E402

hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one is no fault
hypothesis.settings.load_profile("any machine")

# Prefect closes all logging handlers when it is imported, and absl's (which TensorFlow brings)
# closes its stream with it: pytest's own stderr, if that happens while a test redirects it.
import prefect.main  # noqa: E402, F401
from needed import lacking  # noqa: E402
from place import enter  # noqa: E402

from riskwright.account import Account  # noqa: E402
from riskwright.home import Home  # noqa: E402


class Outbound:
    """The attempts to leave this machine, by this process or one that it started."""

    def __init__(self) -> None:
        self._seen = _outbound_log.stat().st_size

    def take(self) -> list[str]:
        """Return the attempts since the last call; a test that provokes one calls this."""
        with _outbound_log.open(encoding="utf-8") as log:
            log.seek(self._seen)
            lines = log.read().splitlines()
        self._seen = _outbound_log.stat().st_size
        return lines


@pytest.fixture(autouse=True)
def outbound() -> Iterator[Outbound]:
    """Fail any test in which something tried to leave this machine."""
    watch = Outbound()
    yield watch
    attempts = watch.take()
    assert not attempts, f"tried to leave this machine: {attempts}"


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Account]:
    """Make this process act as another person: what the kernel says is replaced, no variable."""

    def _become(name: str) -> Account:
        account = Account(name, 50_000 + sum(name.encode()), socket.gethostname(), "os-account")
        monkeypatch.setattr("riskwright.account.who", lambda: account)
        return account

    return _become


@pytest.fixture(autouse=True)
def tester(become: Callable[[str], Account]) -> Account:
    """Act as a person in every test: a suite that root runs would approve nothing."""
    return become("tester")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of real data sets, or skip: they are not part of the repository."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("RISKWRIGHT_SHARED", default))
    if not folder.is_dir():
        lacking("data", f"no real data at {folder}; RISKWRIGHT_SHARED names another folder")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Give a fresh home; the processes that the test starts use it too."""
    fresh = Home(tmp_path / "home").create()
    enter(fresh, monkeypatch)
    return fresh


@pytest.fixture
def free_port() -> int:
    """Give a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is quick first, servers and whole journeys last: a mistake shows early."""

    def rank(item: pytest.Item) -> int:
        room = item.path.relative_to(REPOSITORY / "tests").parts[0]
        late = {"test_house.py": 1, "smoke": 2, "flows": 3, "faults": 4, "end_to_end": 5}
        return late.get(room, 0) + 10 * bool(item.get_closest_marker("server"))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def shared_live(tmp_path_factory: pytest.TempPathFactory):
    """Train a tiny use case once; what the tests of a session only read."""
    from tiny import make_live

    return make_live(tmp_path_factory.mktemp("live") / "home")


@pytest.fixture
def live(shared_live, monkeypatch: pytest.MonkeyPatch):
    """Give the home with a champion of the tiny use case, set as this test's home."""
    enter(shared_live.home, monkeypatch)
    return shared_live


@pytest.fixture(scope="session")
def shared_book(tmp_path_factory: pytest.TempPathFactory):
    """Train a small loan book once."""
    from tiny import make_book

    return make_book(tmp_path_factory.mktemp("book") / "home")


@pytest.fixture
def lender(shared_book, monkeypatch: pytest.MonkeyPatch):
    """Give the home with a champion of the small loan book, set as this test's home."""
    enter(shared_book.home, monkeypatch)
    return shared_book


@pytest.fixture(scope="session")
def shared_market(tmp_path_factory: pytest.TempPathFactory):
    """Retrain a small market forecast once, on months in which the ensemble has skill."""
    from tiny_market import make_market

    return make_market(tmp_path_factory.mktemp("market"), planted=True)


@pytest.fixture
def market(shared_market, monkeypatch: pytest.MonkeyPatch):
    """Give the home with a champion of the small market forecast, set as this test's home."""
    enter(shared_market.home, monkeypatch)
    return shared_market


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory):
    """Train the tiny use case once, in a home that tests may add use cases to."""
    from world import make_world

    return make_world(tmp_path_factory.mktemp("world") / "a home")  # a blank, as macOS has it


@pytest.fixture
def world(shared_world, monkeypatch: pytest.MonkeyPatch):
    """Give the shared world, set as this test's home; each test names its own use cases."""
    enter(shared_world.home, monkeypatch)
    return shared_world
