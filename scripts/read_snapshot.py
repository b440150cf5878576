#!/usr/bin/env python3
"""Read snapshots without the package that made them: numpy, pyarrow and numcodecs are enough.

    python read_snapshot.py STORE                      list the versions
    python read_snapshot.py STORE NAME[@V] OUT.parquet|.csv|.feather|.npy     write one
    python read_snapshot.py STORE NAME[@V] FOLDER      ... of a file or a folder

STORE is a project's .mlops/snapshots, or a folder that was pushed to.  The format is described in
docs/file-formats.md.  Pickled cells are never loaded: such columns are left out, and said so.
Sizes and CRC-32 are always checked; content hashes too where the package blake3 is installed.
"""

import base64
import datetime as dt
import decimal
import json
import os
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
from numcodecs import blosc, zstd

try:
    from blake3 import blake3
except ImportError:
    blake3 = None


def same(data, expected, what):
    if blake3 is not None and blake3(data).hexdigest() != expected:
        raise SystemExit(f"{what} does not match its hash {expected[:12]}")


def plain(codec, data, size):
    """The raw bytes of a stored chunk."""
    if codec == "raw":
        return data
    if codec != "coded":
        return bytes({"zstd": zstd, "blosc": blosc}[codec].decompress(data))
    _, item, code, *codecs, length = struct.unpack("<IBBBBI", data[:12])
    items, codes = (
        plain(("raw", "zstd", "blosc")[codec], part, None)
        for codec, part in zip(codecs, (data[12 : 12 + length], data[12 + length :]), strict=True)
    )
    codes = np.frombuffer(codes, f"<u{code}")[: size // item]
    return np.frombuffer(items, f"V{item}")[codes].tobytes()


class Store:
    def __init__(self, folder):
        self.folder, self.where = Path(folder), {}
        for path in sorted((self.folder / "packs").glob("*.pack")):
            with path.open("rb") as file:
                file.seek(-64, os.SEEK_END)
                offset, length, size, digest, end = struct.unpack("<QQQ32s8s", file.read())
                file.seek(offset)
                stored = file.read(length)
            if end != b"MLPKEND1":
                print(f"{path.name} is damaged and left out", file=sys.stderr)
                continue
            same(stored, digest.hex(), path.name)
            at = 8
            for id, length, size, codec, crc in json.loads(zlib.decompress(stored))["chunks"]:
                self.where[id] = (path, at, length, size, codec, crc)
                at += length

    def chunk(self, id):
        if id is None:
            return b""
        if id not in self.where:
            raise SystemExit(f"chunk {id[:12]} is not in {self.folder}: pull it")
        path, at, length, size, codec, crc = self.where[id]
        with path.open("rb") as file:
            file.seek(at)
            data = file.read(length)
        if zlib.crc32(data) != crc:
            raise SystemExit(f"chunk {id[:12]} in {path.name} fails its checksum")
        data = plain(codec, data, size)
        if len(data) != size:
            raise SystemExit(f"chunk {id[:12]} in {path.name} has another length")
        same(data, id, f"chunk {id[:12]}")
        return data

    def versions(self):
        found = []
        for path in sorted((self.folder / "refs").glob("*/*.ref")):
            digest, _, record = path.read_bytes().rstrip(b"\n").partition(b" ")
            same(record, digest.decode(), path)
            if not any(path.with_suffix(s).exists() for s in (".removed", ".gone")):
                found.append(json.loads(record))
        return found

    def tree(self, spec):
        name, _, wanted = spec.partition("@")
        found = [v for v in self.versions() if v["name"] == name]
        if wanted not in ("", "latest"):
            if not re.fullmatch(r"v?\d+", wanted):
                for path in (self.folder / "refs").glob("*/tags/*"):
                    tag = json.loads(path.read_bytes()[65:])
                    if tag["tag"] == wanted and any(
                        json.loads(p.read_bytes()[65:])["name"] == name
                        for p in path.parent.parent.glob("*.ref")
                    ):
                        wanted = str(tag["version"])
            found = [v for v in found if str(v["version"]) == wanted.removeprefix("v")]
        if not found:
            raise SystemExit(f"there is no {spec} in {self.folder}")
        address = found[-1]["manifest"]
        data = (self.folder / "manifests" / address).read_bytes()
        if data[:8] != b"MLMANI1\n":
            raise SystemExit(f"manifest {address[:12]} is damaged")
        text = bytes(zstd.decompress(data[16:-32]))
        same(text, address, "the manifest")
        return json.loads(text)["object"]

    # Streams

    def fixed(self, node):
        dtype = np.dtype(node["type"])
        parts = [np.empty(0, dtype)]
        for entry, part in self.entries(node):
            if isinstance(entry, dict):  # a few values of the chunk ``base`` are others
                values = np.frombuffer(self.chunk(entry["base"]), dtype).copy()
                at = np.frombuffer(self.chunk(entry["at"]), "<u4")
                values[at] = np.frombuffer(self.chunk(entry["to"]), dtype)
            else:
                values = np.frombuffer(self.chunk(entry), dtype)
            parts.append(values[part])
        return np.concatenate(parts, dtype=dtype)  # as it is: NumPy would turn foreign bytes

    def entries(self, node):
        """Each entry of a stream, and which of its rows are wanted."""
        for entry in node["chunks"]:
            if isinstance(entry, dict) and "of" in entry:  # some rows of a chunk
                yield entry["of"], slice(entry["start"], entry["stop"])
            else:
                yield entry, slice(None)

    def text(self, node):
        """The byte strings of a stream, as one Arrow array."""
        parts = []
        for entry, part in self.entries(node):
            lengths, data = (entry["lengths"], entry["bytes"]) if isinstance(entry, dict) else entry
            lengths = np.frombuffer(self.chunk(lengths), "<u4").astype("i8")
            offsets = np.concatenate([np.zeros(1, "i8"), np.cumsum(lengths)])
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(self.chunk(data))]
            words = pa.Array.from_buffers(pa.large_binary(), len(lengths), buffers)
            if isinstance(entry, dict):  # which of the distinct strings each row is
                width = "u1" if len(lengths) <= 256 else "<u2"
                words = words.take(pa.array(np.frombuffer(self.chunk(entry["codes"]), width)))
            parts.append(words[part])
        return pa.chunked_array(parts, pa.large_binary()).combine_chunks()

    # Columns, as the Arrow arrays that say the same

    def column(self, node):
        kind, streams = node["kind"], node["streams"]
        below = {**node.get("aligned", {}), **node.get("parts", {})}
        if kind == "objects":
            return self.objects(node)
        if kind == "range":
            return pa.array(np.arange(node["start"], node["stop"], node["step"]))
        if kind in ("index", "strings", "arrow-backed"):
            return self.column(below["values"])
        if kind == "interval":
            return pa.StructArray.from_arrays(
                [self.column(below[k]) for k in ("left", "right")], ["left", "right"]
            )
        if kind == "sparse":
            dense = np.full(
                node["count"], self.column(below["fill"]).to_pylist()[0], node["subtype"]
            )
            dense[self.column(below["positions"]).to_numpy()] = self.column(
                below["stored"]
            ).to_numpy()
            return pa.array(dense)
        if kind == "arrow":
            return self.arrow(node, below)
        if kind == "category":
            codes = self.fixed(streams["codes"]).astype("i8")
            return self.column(below["categories"]).take(pa.array(codes, mask=codes < 0))
        values = (
            self.fixed(streams["values"]) if "values" in streams else np.empty(node["length"], "V0")
        )
        if kind == "zoned":
            zone = node["zone"]
            name = zone.get("key") or zone.get("pytz") or offset(int(zone["fixed"]))
            return pa.array(values, mask=values == np.iinfo("i8").min).view(
                pa.timestamp(node["unit"], name)
            )
        if kind == "period":
            return pa.array(values, mask=values == np.iinfo("i8").min)
        if kind == "masked":
            return pa.array(
                values, mask=self.fixed(streams["missing"]) if "missing" in streams else None
            )
        if kind == "stamps":
            return pa.array(values.view(node["dtype"]))
        if kind == "numpy":
            return of_numpy(values.view(descr(node["descr"])))
        raise SystemExit(f"columns of kind {kind!r} are not known to this reader")

    def arrow(self, node, below):
        type = schema(node["type"]).field(0).type
        if node["form"] == "ipc":
            parts = self.text(below["batches"]["streams"]["values"]).to_pylist()
            tables = [pa.ipc.open_stream(part).read_all() for part in parts]
            return pa.chunked_array(
                [c for t in tables for c in t.column(0).chunks], type
            ).combine_chunks()
        streams, rows = node["streams"], node["length"]
        valid = (
            self.fixed(streams["valid"]).astype(bool) if "valid" in streams else np.ones(rows, bool)
        )
        bits = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
        if node["form"] == "text":
            found = self.text(streams["values"])
            found = pa.Array.from_buffers(pa.large_binary(), rows, [bits, *found.buffers()[1:]])
            wide = (
                pa.large_string()
                if type in (pa.string(), pa.large_string(), pa.string_view())
                else found.type
            )
            return found.view(wide).cast(type)
        values = self.fixed(streams["values"])
        if node["form"] == "bits":
            values = np.packbits(values.astype(bool), bitorder="little")
        inner = type.index_type if node["form"] == "dictionary" else type
        found = pa.Array.from_buffers(inner, rows, [bits, pa.py_buffer(values)])
        return (
            self.column(below["dictionary"]).take(found) if node["form"] == "dictionary" else found
        )

    def objects(self, node):
        cells = self.text(node["streams"]["cells"]).to_pylist()
        kinds = (
            self.fixed(node["streams"]["kinds"]).tobytes().decode()
            if "kinds" in node["streams"]
            else "s" * len(cells)
        )
        if "K" in kinds:
            raise ValueError("it holds pickled objects")
        values = [CELLS.get(k, as_text)(b) for k, b in zip(kinds, cells, strict=True)]
        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError):  # of several kinds: as text
            return pa.array(
                [None if v is None else str(v).encode("utf-8", "replace").decode() for v in values]
            )

    # Values

    def numbers(self, lineage):
        def stored(node):
            found = self.fixed(node["streams"]["values"]).astype("i8")
            return np.cumsum(found) - 1 if node["steps"] else found

        by, kept = lineage.get("by"), lineage.get("numbers")
        numbers = np.arange(lineage["length"]) if kept is None else stored(kept)
        if by is None:
            return numbers
        keys = self.fixed(by["values"]["streams"]["values"])[numbers]
        if by["descending"]:
            keys = -keys if keys.dtype.kind == "f" else ~keys
        order = np.argsort(keys, kind="stable")
        if "turns" in by:  # the place of each row among those of the same value
            keys = keys[order]
            new = (keys[1:] != keys[:-1]) & (keys[:-1] == keys[:-1])
            firsts = np.flatnonzero(np.append(True, new))
            order = order[
                np.repeat(firsts, np.diff(firsts, append=len(keys))) + stored(by["turns"])
            ]
        return numbers[order]

    def table(self, tree):
        names, arrays = [], []

        def add(name, node):
            try:
                found = self.column(node)
            except ValueError as error:
                print(f"column {name!r} is left out: {error}", file=sys.stderr)
                return
            names.append(str(name))
            arrays.append(
                found.take(pa.array(self.numbers(tree["lineage"]))) if node.get("taken") else found
            )

        index = tree.get("index")
        if index is not None and index["kind"] == "multi":
            for n, name in enumerate(index["names"]):
                codes = self.fixed(index["streams"][f"codes{n}"]).astype("i8")
                level = self.column(index["parts"][f"level{n}"])
                names.append(str(name if name is not None else f"level_{n}"))
                arrays.append(level.take(pa.array(codes, mask=codes < 0)))
        elif index is not None and (
            index["kind"] != "range"
            or index["names"] != [None]
            or index.get("taken")
            or (index["start"], index["step"]) != (0, 1)
        ):
            add("index" if index["names"][0] is None else index["names"][0], index)
        for n, node in enumerate(tree["columns"]):
            add(node["name"] if node.get("name") not in (None, "") else f"column_{n}", node)
        return pa.Table.from_arrays(arrays, names=names)

    def array(self, tree):
        node = tree["columns"][0]
        if node["kind"] != "numpy":
            raise SystemExit("an array of objects cannot be written as .npy")
        dtype, shape = descr(node["descr"]), tree["shape"]
        flat = (
            self.fixed(node["streams"]["values"]).view(dtype)
            if dtype.itemsize
            else np.empty(node["length"], dtype)
        )
        return flat.reshape(shape[::-1]).T if tree["order"] == "F" else flat.reshape(shape)


def schema(text):
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def offset(seconds):
    return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 3600:02}:{abs(seconds) // 60 % 60:02}"


def descr(found):
    def plain(item):
        if isinstance(item, dict):
            ((kind, items),) = item.items()
            return list(map(plain, items)) if kind == "list" else tuple(map(plain, items))
        return item

    return np.lib.format.descr_to_dtype(plain(found))


def of_numpy(values):
    if values.dtype.kind == "c":
        return pa.StructArray.from_arrays(
            [pa.array(values.real), pa.array(values.imag)], ["real", "imag"]
        )
    if values.dtype.kind == "V":
        return pa.array([v.tobytes() for v in values], pa.binary())
    return pa.array(values.tolist() if values.dtype.kind in "SU" else values)


def as_text(data):
    return data.decode("utf-8", "replace")


CELLS = {
    "s": lambda b: b.decode("utf-8", "surrogatepass").encode("utf-8", "replace").decode(),
    "0": lambda b: None, "N": lambda b: None, "Z": lambda b: None,
    "?": lambda b: b != b"\0",
    "i": lambda b: int.from_bytes(b, "little", signed=True),
    "f": lambda b: struct.unpack("<d", b)[0],
    "b": lambda b: b,
    "d": lambda b: decimal.Decimal(b.decode()),
    "n": lambda b: np.frombuffer(b.partition(b"|")[2], b.partition(b"|")[0].decode())[0].item(),
    "D": lambda b: dt.date.fromisoformat(b.decode()),
}  # fmt: skip


def main(arguments):
    if len(arguments) not in (1, 3):
        raise SystemExit(__doc__)
    store = Store(arguments[0])
    if len(arguments) == 1:
        for v in store.versions():
            created = dt.datetime.fromtimestamp(v["created"]).isoformat(" ", "seconds")
            shape = "" if v["rows"] is None else f"{v['rows']} x {v['columns']}"
            print(
                f"{v['name']}@{v['version']}",
                v["kind"],
                shape,
                created,
                v["message"] or "",
                sep="\t",
            )
        return
    tree, out = store.tree(arguments[1]), Path(arguments[2])
    if tree["kind"] in ("file", "folder"):
        for entry in tree["entries"]:
            parts = [p if isinstance(p, str) else bytes.fromhex(p["hex"]) for p in entry["path"]]
            parts = [os.fsdecode(p) for p in parts]
            if any(p in ("", ".", "..") or "/" in p or "\\" in p or ":" in p for p in parts):
                raise SystemExit(f"the path {parts} leads out of the folder")
            target = out.joinpath(*parts)
            if entry["type"] == "folder":
                target.mkdir(parents=True, exist_ok=True)
            elif entry["type"] == "file":  # links are not made: they may lead anywhere
                target.parent.mkdir(parents=True, exist_ok=True)
                data = b"".join(store.chunk(id)[at : at + n] for id, at, n in entry["pieces"])
                target.write_bytes(data)
        return
    if out.suffix == ".npy":
        np.save(out, store.array(tree), allow_pickle=False)
        return
    if "columns" not in tree:
        raise SystemExit(f"a snapshot of kind {tree['kind']!r} has no one table or array")
    table = store.table(tree)
    if out.suffix == ".csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(table, out)
    elif out.suffix == ".feather":
        import pyarrow.feather

        pyarrow.feather.write_feather(table, out)
    else:
        import pyarrow.parquet

        pyarrow.parquet.write_table(table, out)


if __name__ == "__main__":
    main(sys.argv[1:])
