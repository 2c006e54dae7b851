"""What schemathesis can't know of the coordinator that it asks: names that exist there.

It never changes what a case is about; about two in three names become ones that exist, by the name itself, so that a seed gives
the same cases. Without this nearly every case would end at "there is no such saga".
"""

import zlib

import schemathesis

KNOWN = {
    "sagaId": ["order-1", "order-2", "poor-1", "waiting-1", "waiting-2", "waiting-3"],
    "step": ["reserve-stock", "hold-funds", "charge"],
    "participant": ["payment", "inventory"],
    "definition": ["checkout"],
    "namespace": ["default"],
    "node": ["node-0"],
}
NAMES = {"/definitions/": ["checkout"], "/participants/": ["payment", "inventory", "account"]}
INPUT = {"order_id": "fuzz", "sku": "apple", "quantity": 1, "account_id": "ada", "amount_minor": 100}


def chosen(name, known):
    number = zlib.crc32(str(name).encode(errors="replace")) % (3 * len(known))
    return known[number % len(known)] if number < 2 * len(known) else name


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters:
        for key, value in path_parameters.items():
            known = KNOWN.get(key)
            for part, names in NAMES.items():
                if key == "name" and part in context.operation.path:
                    known = names
            if known:
                path_parameters[key] = chosen(value, known)
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict):
        if isinstance(body.get("definition"), str) and "input" in body:
            # Small amounts of known goods, so that most are accepted.
            body["definition"] = chosen(body["definition"], KNOWN["definition"])
            body["input"] = chosen(str(body["input"]), [INPUT])
        for key in ("step", "namespace"):
            if isinstance(body.get(key), str):
                body[key] = chosen(body[key], KNOWN[key])
    return body


@schemathesis.hook
def map_query(context, query):
    # A long poll would only wait.
    if context.operation.path.endswith(":watch"):
        query = {**(query or {}), "wait": "0s"}
    return query
