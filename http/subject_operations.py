"""The rows of operations.py about people's data and the log's wholeness."""

from chatbot_erp.actors import errors as e
from chatbot_erp.http import problems as p
from chatbot_erp.http import subject_payloads as payloads
from chatbot_erp.http.operation import HISTORY, LATER, MANAGE, READ, SUBJECTS, Operation

SUBJECT_OPERATIONS = (
    Operation(
        method="GET",
        path="/audit/verify",
        scope=READ,
        tag=HISTORY,
        summary="Whether the log is whole",
        description="Every event is compared with its hash, the one before it and the signed checkpoints. It runs in a"
        " process of its own, one at a time, and takes some seconds for a million events.",
        answer=payloads.AuditReport,
        problems=(*LATER, p.OF_ERROR[e.AuditRunning]),
    ),
    Operation(
        method="GET",
        path="/subjects/{number}/export",
        scope=READ,
        tag=SUBJECTS,
        summary="What is held of somebody",
        description="Every event that is sealed for them, over all instances, in pages.",
        answer=payloads.SubjectPage,
        parameters=("after", "limit"),
        problems=(*LATER, p.INVALID, p.OF_ERROR[e.BadNumber]),
    ),
    Operation(
        method="DELETE",
        path="/subjects/{number}",
        scope=MANAGE,
        tag=SUBJECTS,
        summary="Forget somebody",
        description="Destroys the key to everything the log holds of them, which cannot be undone, and removes their"
        " files. The events stay, without what was said and by whom, and show `erased`. It can be repeated. Nodes that are"
        " down clean their machines when they are back; one that works and does not makes the answer `erasure-unfinished`.",
        answer=payloads.Erasure,
        problems=(*LATER, p.OF_ERROR[e.ErasureUnfinished], p.OF_ERROR[e.BadNumber]),
    ),
)
