"""What schemathesis must not ask of the stack that it asks: to end.

A request for it that is right becomes another one; one that is wrong must be refused, and stays.
"""

import schemathesis
from schemathesis.generation.modes import GenerationMode


@schemathesis.hook
def before_call(context, case, kwargs):
    meta = case.meta
    wrong = meta is not None and meta.generation.mode == GenerationMode.NEGATIVE
    if not wrong and "unit" in (case.path_parameters or {}):
        case.path_parameters["unit"] = "db"
    body = case.body
    if not wrong and isinstance(body, dict) and body.get("command") == "shutdown":
        case.body = {"command": "attend", "on": False}
