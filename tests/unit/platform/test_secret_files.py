"""Secrets are read where a reference points, at the moment of use, and never named in an error."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from trustpack.platform.database import read_or_make_secret
from trustpack.platform.secret_files import SecretFiles, SecretMissing


@dataclass(frozen=True)
class Place:
    """A reference such as a target definition holds."""

    source: str
    name: str


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ORDERS_DSN", "hunter2")

    assert SecretFiles(tmp_path).resolve(Place("env", "ORDERS_DSN")) == "hunter2"


def test_a_secret_is_read_from_a_file_of_the_data_directory_without_its_line_end(tmp_path: Path):
    (tmp_path / "orders-dsn").write_text("hunter2\n")

    assert SecretFiles(tmp_path).resolve(Place("file", "orders-dsn")) == "hunter2"


def test_a_secret_is_read_from_an_absolute_path(tmp_path: Path):
    (tmp_path / "mounted").write_text("hunter2")

    assert SecretFiles(tmp_path / "data").resolve(Place("file", str(tmp_path / "mounted"))) == "hunter2"


def test_a_secret_that_was_replaced_is_read_anew(tmp_path: Path):
    secrets = SecretFiles(tmp_path)
    (tmp_path / "dsn").write_text("old")
    secrets.resolve(Place("file", "dsn"))

    (tmp_path / "dsn").write_text("new")

    assert secrets.resolve(Place("file", "dsn")) == "new"


@pytest.mark.parametrize(
    "place", [Place("env", "NO_SUCH_DSN"), Place("file", "absent"), Place("file", "empty"), Place("file", ".")]
)
def test_a_missing_or_empty_secret_is_a_named_error_that_says_where_it_was_looked_for(tmp_path: Path, place: Place):
    (tmp_path / "empty").write_text("\n")

    with pytest.raises(SecretMissing) as caught:
        SecretFiles(tmp_path).resolve(place)

    assert f"{place.source} secret {place.name}" in caught.value.detail


def test_a_file_that_is_no_text_is_the_same_named_error(tmp_path: Path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00hunter2")

    with pytest.raises(SecretMissing):
        SecretFiles(tmp_path).resolve(Place("file", "binary"))


def test_a_secret_is_made_once_and_then_read(tmp_path: Path):
    path = tmp_path / "deep" / "local-secret"

    first, second = read_or_make_secret(path), read_or_make_secret(path)

    assert first == second
    assert len(first) == 43


def test_a_made_secret_is_readable_by_its_owner_only(tmp_path: Path):
    os.umask(previous := os.umask(0o000))
    path = tmp_path / "local-secret"

    read_or_make_secret(path)

    assert path.stat().st_mode & 0o777 == 0o600
    os.umask(previous)


def test_nothing_is_left_beside_a_made_secret(tmp_path: Path):
    read_or_make_secret(tmp_path / "local-secret")

    assert [entry.name for entry in tmp_path.iterdir()] == ["local-secret"]


def test_processes_that_start_at_once_read_the_same_secret(tmp_path: Path):
    program = (
        "import sys, pathlib\nfrom trustpack.platform.database import read_or_make_secret\n"
        "print('ready', flush=True); sys.stdin.readline(); print(read_or_make_secret(pathlib.Path(sys.argv[1])))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "local-secret")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()

    found = [process.communicate("go\n", timeout=60)[0] for process in started]

    assert len(set(found)) == 1
    assert found[0].strip() == (tmp_path / "local-secret").read_text()


def test_threads_of_one_process_read_the_same_secret(tmp_path: Path):
    for attempt in range(50):
        path = tmp_path / f"secret-{attempt}"
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(read_or_make_secret, [path] * 8))

        assert set(found) == {path.read_text()}
