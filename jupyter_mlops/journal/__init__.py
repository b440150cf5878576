"""The journal: what tracked cells did, on disk before anything else happens to it.

``.mlops/journal/<session>.journal`` is append-only, one checksummed record a line;
``.mlops/journal/blobs/<blake3>`` holds what is too large for a line until it has been delivered.
"""

from .blobs import BlobStore
from .format import Damage, decode_line, encode_record, scan
from .process import ProcessIdentity, boot_id, process_identity, this_process
from .reader import SessionFile, list_sessions, read_session
from .signing import sign, verify
from .writer import SessionJournal

__all__ = [
    "BlobStore",
    "Damage",
    "ProcessIdentity",
    "SessionFile",
    "SessionJournal",
    "boot_id",
    "decode_line",
    "encode_record",
    "list_sessions",
    "process_identity",
    "read_session",
    "scan",
    "sign",
    "this_process",
    "verify",
]
