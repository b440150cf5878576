"""Erasing columns and rows: nothing of them stays on disk, and all else is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.errors import ConflictError, NotFoundError, UntrustedError, UsageError
from jupyter_mlops.snapshots import purging
from jupyter_mlops.snapshots.digest import digest
from jupyter_mlops.snapshots.encoding import decode, encode
from jupyter_mlops.snapshots.manifests import manifest_json
from jupyter_mlops.snapshots.packs import read_entry, read_footer
from jupyter_mlops.snapshots.purging import Column, Rows, purge_part
from jupyter_mlops.snapshots.store import SnapshotStore

from .test_reader import take

NAME = "Rosalind Quisling"
MAIL = "rosalind@nowhere.example"
CARD = 8_675_309_123_456_789
PLANTED = (NAME.encode(), MAIL.encode(), CARD.to_bytes(8, "little"), str(CARD).encode())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SnapshotStore]:
    store = SnapshotStore(tmp_path / "snapshots")
    yield store
    store.index.close()


def everything(store: SnapshotStore) -> Iterator[tuple[str, bytes]]:
    """All bytes of a store: of files as they are, of manifests and chunks also unpacked."""
    for path in sorted(p for p in store.folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        yield str(path), data
        if path.parent == store.manifests:
            yield f"{path} unpacked", manifest_json(data, path.name, path.name)
        if path.suffix == ".pack":
            with path.open("rb") as file:
                for entry in read_footer(path):
                    yield f"{path} {entry.id}", bytes(read_entry(file.fileno(), path, entry))


def traces(store: SnapshotStore, *planted: bytes) -> list[str]:
    store.index.refresh()
    return [where for where, data in everything(store) for word in planted if word in data]


def load(store: SnapshotStore, spec: str) -> Any:
    return decode(store.manifest(store.resolve(spec).manifest).object, store.read)


def people(rows: int = 3000, seed: int = 1) -> pd.DataFrame:
    """A frame with one person in it who is to be forgotten, in columns of many kinds."""
    generator = np.random.default_rng(seed)
    names = [f"person {n}" for n in range(rows)]
    mails = [f"p{n}@example.org" for n in range(rows)]
    cards = generator.integers(10**15, 10**16, rows)
    names[rows // 2], mails[rows // 2], cards[rows // 2] = NAME, MAIL, CARD
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "name": names,
            "mail": pd.Series(mails, dtype=object),
            "card": cards,
            "first": pd.Categorical(np.where(np.arange(rows) == rows // 2, NAME, "other")),
            "amount": generator.normal(size=rows),
        }
    )


def versions(store: SnapshotStore, frame: pd.DataFrame, name: str = "people") -> int:
    """Versions as they come about: edited in place, filtered, sorted; return whose id to erase."""
    take(store, name, frame, message="first", tags=("raw",))
    edited = frame.assign(amount=frame["amount"].where(frame.index != 7, 1.5))
    take(store, name, edited)
    gone = frame["id"][len(frame) // 2]
    # Does not show the row, and is made of chunks that hold it.
    take(store, name, edited[edited["id"] != gone])
    take(store, name, edited.sort_values("amount"))
    hidden = edited.copy()
    for column, cell in (("name", "x"), ("mail", "y"), ("card", 1)):
        hidden.loc[hidden["id"] == gone, column] = cell
    hidden["first"] = "other"
    take(store, name, hidden[["id", "name", "mail", "card", "amount"]])
    return int(gone)


def test_rows_are_gone_to_the_last_byte(store: SnapshotStore) -> None:
    frame = people()
    gone = versions(store, frame)
    take(store, "copy", frame)
    take(store, "unrelated", frame[["amount"]].head(500))
    before = {v.spec: (load(store, v.spec), v) for v in store.versions()}
    store.remove("people@2")
    assert traces(store, PLANTED[0])
    loss = Rows("id", [str(gone), "-5", "not a number"])
    plan = purge_part(store, "people", loss)
    assert plan.dry_run
    assert {c.spec: c.rows for c in plan.changes} == {
        "copy@1": 1, "people@1": 1, "people@2": 1, "people@3": 0, "people@4": 1, "people@5": 1,
    }  # fmt: skip
    # It has no such row, but knows of the category.
    assert [c.words for c in plan.changes if not c.rows] == [1]
    assert traces(store, PLANTED[0])
    done = purge_part(store, "people", loss, dry_run=False, reason="asked for")
    assert [c.spec for c in done.changes] == [c.spec for c in plan.changes]
    assert done.chunks > 0
    assert done.freed > 0
    assert traces(store, *PLANTED) == []
    store.restore_removed("people@2")
    for spec, (value, version) in before.items():
        expected = value[value["id"] != gone] if "id" in value else value
        if "first" in expected:
            expected = expected.assign(first=expected["first"].cat.remove_unused_categories())
        found, now = load(store, spec), store.resolve(spec)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        assert now.digest == digest(expected).id
        same = ("version", "created", "message", "tags")
        assert [getattr(now, key) for key in same] == [getattr(version, key) for key in same]
        if "id" in value:
            assert now.rows == len(expected)
        notes = now.meta.get("erased", [])
        assert [note["digest"] for note in notes] == ([version.digest] if "id" in value else [])
        assert all(note["reason"] == "asked for" for note in notes)
        change = {c.spec: (c.before, c.after) for c in done.changes}.get(spec)
        assert change in (None, (version.digest, now.digest))
    assert store.verify().ok
    # Once more completes what there might be left, and finds nothing.
    assert purge_part(store, "people", loss, dry_run=False).changes == []


def test_a_column_is_gone_to_the_last_byte(store: SnapshotStore) -> None:
    frame = people(6000)
    versions(store, frame)
    take(store, "copy", frame[["id", "mail"]])
    plain = frame.drop(columns=["mail"])
    take(store, "plain", plain)
    before = {v.spec: load(store, v.spec) for v in store.versions()}
    size = store.bytes_on_disk()
    done = purge_part(store, "people", Column("mail"), dry_run=False)
    assert {c.spec for c in done.changes} == {*(f"people@{n}" for n in range(1, 6)), "copy@1"}
    assert all((c.rows, c.columns) == (0, 1) for c in done.changes)
    assert traces(store, MAIL.encode(), b"@example.org") == []
    assert traces(store, NAME.encode())
    for spec, value in before.items():
        expected = value.drop(columns=["mail"], errors="ignore")
        pd.testing.assert_frame_equal(load(store, spec), expected, check_exact=True)
        assert store.resolve(spec).digest == digest(expected).id
    # All the others stay in the chunks that they were in.
    assert store.bytes_on_disk() < size
    assert store.verify().ok
    with pytest.raises(NotFoundError, match="no version of plain has a column 'mail'"):
        purge_part(store, "plain", Column("mail"))


@pytest.mark.parametrize("library", ["polars", "arrow", "batch", "nested", "index", "levels"])
def test_other_values_lose_rows_too(store: SnapshotStore, library: str) -> None:
    frame = people(400)
    gone = str(frame["id"][200])
    key = "id"
    value: Any
    expected: Any
    kept = frame[frame["id"] != 200].assign(first=pd.Categorical(["other"] * 399))
    if library == "polars":
        value, expected = pl.from_pandas(frame), pl.from_pandas(kept)
    elif library == "arrow":
        value = pa.Table.from_pandas(frame, preserve_index=False)
        expected = pa.Table.from_pandas(kept, preserve_index=False)
        expected = expected.replace_schema_metadata(value.schema.metadata)
    elif library == "batch":
        value = pa.RecordBatch.from_pandas(frame[["id", "name"]], preserve_index=False)
        expected = pa.RecordBatch.from_pandas(kept[["id", "name"]], preserve_index=False)
        expected = expected.replace_schema_metadata(value.schema.metadata)
    elif library == "nested":
        value = {"all": [frame, 5], "none": frame.head(10)}
        # The first rows never had it, and know of the category.
        few = frame.head(10).assign(first=pd.Categorical(["other"] * 10))
        expected = {"all": [kept, 5], "none": few}
    elif library == "index":
        value, expected = frame.set_index("name")["card"], kept.set_index("name")["card"]
        key, gone = "name", NAME
    else:
        value, expected = frame.set_index(["name", "mail"]), kept.set_index(["name", "mail"])
        key, gone = "mail", MAIL
    take(store, "v", value)
    take(store, "v", value if library in ("nested", "index") else value[: len(frame) - 10])
    done = purge_part(store, "v", Rows(key, [gone]), dry_run=False)
    assert len(done.changes) == len(store.versions("v"))
    assert traces(store, *PLANTED) == []
    assert store.resolve("v@1").digest == digest(expected).id


def test_what_cannot_be_looked_into_is_named(store: SnapshotStore, tmp_path: Path) -> None:
    frame = people(300)
    take(store, "people", frame)
    take(store, "mails", frame["mail"])
    take(store, "others", people(300, seed=2).drop(columns=["first"]).sort_values("card"))
    path = tmp_path / "people.csv"
    frame.to_csv(path)
    take(store, "people.csv", path)
    done = purge_part(store, "people", Rows("name", [NAME]), dry_run=False)
    assert [c.spec for c in done.changes] == ["people@1"]
    assert (done.shared, done.also, done.unread) == (["mails@1"], ["others@1"], ["people.csv@1"])
    assert len(load(store, "mails")) == 300


def test_bad_input_is_named(store: SnapshotStore) -> None:
    take(store, "people", people(50))
    with pytest.raises(NotFoundError, match="no version of people has a row with id = 99, zz"):
        purge_part(store, "people", Rows("id", ["99", "zz"]))
    with pytest.raises(NotFoundError, match="no version of people has a column 'x'") as caught:
        purge_part(store, "people", Column("x"))
    assert "id, name" in (caught.value.hint or "")
    with pytest.raises(NotFoundError, match="no snapshot is called 'no'"):
        purge_part(store, "no", Column("x"))
    with pytest.raises(UsageError, match="no values"):
        Rows("id", [])


def test_what_somebody_else_has_pickled_is_not_loaded(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = people(100)
    frame["object"] = pd.Series([{1, n} if n % 2 else slice(n) for n in range(100)], dtype=object)
    take(store, "people", frame)
    monkeypatch.setattr("jupyter_mlops.journal.signing.verify", lambda *_: False)
    before = traces(store, NAME.encode())
    with pytest.raises(UntrustedError, match="people@1 cannot be looked into") as caught:
        purge_part(store, "people", Rows("name", [NAME]), dry_run=False)
    assert "snapshots purge people@1" in (caught.value.hint or "")
    assert traces(store, NAME.encode()) == before
    store.purge("people@1")
    assert traces(store, *PLANTED) == []


def test_garbage_and_what_a_crash_left_go_as_well(store: SnapshotStore) -> None:
    frame = people()
    take(store, "old", frame)
    store.remove("old")
    take(store, "people", frame.drop(columns=["name"]))
    store.gc(dry_run=False, grace=0)  # Leaves a pack of which half is live.
    (store.packs / ".01HZZZZZZZZZZZZZZZZZZZZZZZ.pack.tmp").write_bytes(NAME.encode())
    assert traces(store, NAME.encode())
    purge_part(store, "people", Rows("mail", [MAIL]), dry_run=False)
    assert traces(store, *PLANTED) == []


def test_interrupted_it_is_completed_by_the_next_call(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(versions(store, people()))
    real, calls = encode, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(purging, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        purge_part(store, "people", Rows("id", [gone]), dry_run=False)
    assert traces(store, NAME.encode())
    with store.lease("reader"), pytest.raises(ConflictError, match="nothing was erased"):
        purge_part(store, "people", Rows("id", [gone]), dry_run=False, wait=0.05)
    assert traces(store, NAME.encode())
    assert purge_part(store, "people", Rows("id", [gone]), dry_run=False).changes == []
    assert traces(store, *PLANTED) == []
    assert store.verify().ok


def test_what_is_committed_meanwhile_loses_them_too(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = people()
    take(store, "people", frame)
    real, calls = purging._Plan.carry_out, []

    def meanwhile(plan: Any, note: Any) -> Any:
        done = real(plan, note)
        calls.append(1)
        if len(calls) == 1:
            take(store, "people", frame.assign(amount=0.0))
        return done

    monkeypatch.setattr(purging._Plan, "carry_out", meanwhile)
    done = purge_part(store, "people", Rows("name", [NAME]), dry_run=False)
    assert [c.spec for c in done.changes] == ["people@1", "people@2"]
    assert traces(store, *PLANTED) == []


def test_a_version_whose_changes_others_are_is_erased_whole(
    store: SnapshotStore, tmp_path: Path
) -> None:
    frame = people()
    take(store, "people", frame)
    hidden = frame.drop(columns=["first"])
    hidden.loc[1500, "name"], hidden.loc[1500, "mail"], hidden.loc[1500, "card"] = "x", "y", 1
    take(store, "people", hidden)
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(f"the file {name}")
    (folder / "secret").write_text(NAME)
    take(store, "folder", folder)
    (folder / "secret").unlink()
    second = take(store, "folder", folder)
    report = store.purge("people@1", reason="asked for")
    assert report.apart == ["people@2"]
    pd.testing.assert_frame_equal(load(store, "people@2"), hidden, check_exact=True)
    assert traces(store, *PLANTED[1:]) == []
    report = store.purge("folder@1")
    assert report.apart == ["folder@2"]
    assert traces(store, *PLANTED) == []
    assert store.resolve("folder").digest == second.digest
    assert load(store, "folder").read("b") == b"the file b"
    assert store.resolve("folder").meta["erased"][0]["kept"]
    assert store.verify().ok


@settings(max_examples=5, deadline=None)
@given(st.data())
def test_any_history(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Random edits, filters, sorts, new columns: what is left is the rest, and no byte more."""
    store = SnapshotStore(tmp_path_factory.mktemp("any") / "snapshots")
    frame = people(1500)
    taken = []
    for number in range(data.draw(st.integers(2, 5))):
        edit = data.draw(st.sampled_from(["cell", "filter", "sort", "append", "column", "drop"]))
        places = np.random.default_rng(number).permutation(len(frame))
        if edit == "cell":
            frame = frame.copy()
            frame.loc[frame.index[places[:3]], "card"] = number
        elif edit == "filter":
            frame = frame[frame["amount"] > frame["amount"].quantile(0.1)]
        elif edit == "sort":
            frame = frame.iloc[places]
        elif edit == "append":
            frame = pd.concat([frame, people(200, seed=number)], ignore_index=True)
            frame["first"] = frame["first"].astype("category")
        elif edit == "column":
            frame = frame.assign(**{f"new {number}": frame["name"] + str(number)})
        elif len(frame.columns) > 4 and "amount" in frame:
            frame = frame.drop(columns=[c for c in frame.columns if c.startswith("new")])
        name = data.draw(st.sampled_from(["people", "people", "other"]))
        taken.append((take(store, name, frame).spec, frame))
    if not any(spec.startswith("people") for spec, _ in taken):
        taken.append((take(store, "people", frame).spec, frame))
    names = {str(name) for _, f in taken for name in f["name"] if name == NAME}
    if not names:
        return
    done = [c.spec for name in ("people", "other") if any(s.startswith(name) for s, _ in taken)
            for c in _purged(store, name)]  # fmt: skip
    assert done
    assert traces(store, NAME.encode(), MAIL.encode()) == []
    for spec, value in taken:
        expected = value[value["name"] != NAME]
        expected = (
            expected.assign(first=expected["first"].cat.remove_categories([NAME]))
            if NAME in value["first"].cat.categories
            else expected
        )
        pd.testing.assert_frame_equal(load(store, spec), expected, check_exact=True)
    assert store.verify().ok
    store.index.close()


def _purged(store: SnapshotStore, name: str) -> list[Any]:
    try:
        return purge_part(store, name, Rows("name", [NAME]), dry_run=False).changes
    except NotFoundError:
        return []
