"""The seal of a bundle: any altered byte, any file more or less, is refused."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riskwright.errors import IntegrityError
from riskwright.store.manifest import MANIFEST, folder_digest, seal, verify

FILES = {"bundle.json": b'{"version": 1}', "ensemble/weights.npz": bytes(range(256)), "e": b""}


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    seal(folder)
    return folder


def test_sealed_bundle_verifies_and_the_digest_repeats(sealed: Path) -> None:
    assert verify(sealed) == verify(sealed, verify(sealed)) == seal(sealed)


@pytest.mark.parametrize("name", [*(n for n, c in FILES.items() if c), MANIFEST])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_altered_byte_is_refused(sealed: Path, name: str, data: st.DataObject) -> None:
    path = sealed / name
    before = path.read_bytes()
    place = data.draw(st.integers(0, len(before) - 1))
    flip = data.draw(st.integers(1, 255))
    path.write_bytes(before[:place] + bytes([before[place] ^ flip]) + before[place + 1 :])
    try:
        with pytest.raises(IntegrityError, match="altered"):
            verify(sealed)
    finally:
        path.write_bytes(before)
    verify(sealed)


def test_file_added_removed_or_manifest_gone_is_refused(sealed: Path) -> None:
    (sealed / "new").write_bytes(b"x")
    with pytest.raises(IntegrityError, match="new is not in the manifest"):
        verify(sealed)
    (sealed / "new").unlink()
    (sealed / "bundle.json").unlink()
    with pytest.raises(IntegrityError, match=r"bundle\.json is missing"):
        verify(sealed)
    (sealed / MANIFEST).unlink()
    with pytest.raises(IntegrityError, match="no manifest"):
        verify(sealed)


def test_another_bundle_with_a_valid_seal_is_refused_by_the_ledgers_digest(sealed: Path) -> None:
    registered = verify(sealed)
    (sealed / "bundle.json").write_bytes(b'{"version": 2}')
    seal(sealed)
    verify(sealed)
    with pytest.raises(IntegrityError, match="the ledger holds"):
        verify(sealed, registered)


def test_folder_digest_sees_names_and_contents(sealed: Path) -> None:
    before = folder_digest(sealed)
    (sealed / "bundle.json").rename(sealed / "other.json")
    renamed = folder_digest(sealed)
    (sealed / "other.json").write_bytes(b"{}")
    assert len({before, renamed, folder_digest(sealed)}) == 3
