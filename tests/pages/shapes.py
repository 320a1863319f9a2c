"""What the server says that it sends: the schemas of its `/openapi.json`. Recorded answers are held against them, so that they cannot drift from it."""

import copy

from jsonschema import Draft202012Validator

# Where an answer that is recorded comes from.
PATHS = {"overview": "/v1/admin/overview", "stuck": "/v1/admin/orders/stuck", "jobs": "/v1/admin/jobs", "actor": "/v1/admin/actors/{kind}/{id}",
         "history": "/v1/admin/actors/{kind}/{id}/versions"}
# These leave nothing out: what is not known is null.
WHOLE = ("overview",)


class Shapes:
    """The answers' schemas of a server."""

    def __init__(self, openapi):
        self.openapi = openapi

    def named(self, reference):
        found = self.openapi
        for part in reference.removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def closed(self, schema, whole):
        """The schema without references, where an object has no field that is not named and, if it is whole, each that is."""
        if isinstance(schema, list):
            return [self.closed(one, whole) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self.closed(self.named(schema["$ref"]), whole)
        if "allOf" in schema:
            parts = [self.closed(part, whole) for part in schema["allOf"]]
            properties = {name: one for part in parts for name, one in part.get("properties", {}).items()}
            required = sorted({name for part in parts for name in part.get("required", [])})
            return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        made = {name: self.closed(one, whole) for name, one in schema.items() if name not in ("properties", "example", "examples")}
        if "properties" in schema:
            made["properties"] = {name: self.closed(one, whole) for name, one in schema["properties"].items()}
            made["additionalProperties"] = False
            if whole:
                made["required"] = sorted(made["properties"])
        return made

    def schema(self, what):
        answer = self.openapi["paths"][PATHS[what]]["get"]["responses"]["200"]["content"]
        return self.closed(answer["application/json"]["schema"], what in WHOLE)

    def faults(self, what, value):
        """Where a value is not as the server would send it."""
        validator = Draft202012Validator(self.schema(what))
        return [f"{what}{one.json_path.removeprefix('$')}: {one.message[:200]}" for one in validator.iter_errors(value)]

    def unknown(self, what, value):
        """The value with everything null that may be, and how many fields that are."""
        found = 0

        def without(schema, value):
            nonlocal found
            if "null" in schema.get("type", []) or any(one.get("type") == "null" for one in schema.get("oneOf", schema.get("anyOf", []))):
                found += 1
                return None
            if isinstance(value, dict):
                return {name: without(schema.get("properties", {}).get(name, {}), one) for name, one in value.items()}
            if isinstance(value, list):
                return [without(schema.get("items", {}), one) for one in value]
            return value

        return without(self.schema(what), copy.deepcopy(value)), found
