from __future__ import annotations

import json
from pathlib import Path

from jupyter_mlops.serving.access_log import AccessLog


def test_lines_are_whole_and_files_are_few(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log", limit=200, keep=2)
    for number in range(20):
        log.write(id=str(number), path="/a\nb\u2028c\x1b[0m")
    log.close()
    files = sorted(p.name for p in tmp_path.iterdir())
    assert files == ["access.log", "access.log.1", "access.log.2"]
    found = []
    for name in reversed(files):
        data = (tmp_path / name).read_bytes()
        assert len(data) <= 200
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        found += [json.loads(line)["id"] for line in data.decode().split("\n") if line]
    assert found == [str(n) for n in range(20 - len(found), 20)]
    assert len(found) > 6


def test_an_existing_file_is_continued(tmp_path: Path) -> None:
    for number in range(2):
        log = AccessLog(tmp_path / "access.log")
        log.write(id=number)
        log.close()
    assert len((tmp_path / "access.log").read_text().splitlines()) == 2


def test_a_lost_folder_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    log = AccessLog(folder / "access.log", limit=10)
    (folder / "access.log").unlink()
    log.write(id=1)
    log.write(id=2)
    log.close()
