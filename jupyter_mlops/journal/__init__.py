"""The journal: what tracked cells did, on disk before anything else happens to it.

``.mlops/journal/<session>.journal`` is append-only, one checksummed record a line;
``.mlops/journal/blobs/<blake3>`` holds what is too large for a line until it has been delivered.
"""

from .blobs import BlobStore
from .format import Damage, decode_line, encode_record, scan
from .process import ProcessIdentity, boot_id, process_identity, this_process
from .reader import SessionFile, list_sessions, read_session
from .redaction import REDACTED, Redactor, default_redactor, is_secret_name, redact_text
from .signing import sign, verify
from .writer import SessionJournal

__all__ = [
    "REDACTED",
    "BlobStore",
    "Damage",
    "ProcessIdentity",
    "Redactor",
    "SessionFile",
    "SessionJournal",
    "boot_id",
    "decode_line",
    "default_redactor",
    "encode_record",
    "is_secret_name",
    "list_sessions",
    "process_identity",
    "read_session",
    "redact_text",
    "scan",
    "sign",
    "this_process",
    "verify",
]
