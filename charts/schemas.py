#!/usr/bin/env python3
"""Writes the JSON schemas that kubeconform checks the charts with, so that the check needs no network.

usage: schemas.py SWAGGER OUT <CRDS

SWAGGER is Kubernetes' api/openapi-spec/swagger.json; CRDS are CustomResourceDefinitions as JSON documents. The script writes
one schema for each kind to OUT, with the file name that kubeconform expects. The schemas refuse unknown fields.
"""

import json
import pathlib
import sys

INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
# The swagger file declares these as strings, but manifests may contain numbers.
LOOSE = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"anyOf": [{"type": "number"}, {"type": "string"}]},
}
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# The OpenAPI keywords that JSON Schema has too.
KEPT = ("type", "required", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
        "minProperties", "maxProperties", "uniqueItems", "$ref")
PREFIX = "#/definitions/"


def strict(schema):
    """Converts an OpenAPI schema to a JSON schema that refuses unknown fields."""
    if schema.get("x-kubernetes-int-or-string"):
        return {**INT_OR_STRING, **{word: schema[word] for word in KEPT if word in schema and word != "type"}}
    out = {word: schema[word] for word in KEPT if word in schema}
    if "items" in schema:
        out["items"] = strict(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        out["additionalProperties"] = strict(schema["additionalProperties"])
    if "properties" in schema:
        out["properties"] = {name: strict(field) for name, field in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            out["additionalProperties"] = False
    if schema.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def references(schema):
    """The definitions that a JSON schema points to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(PREFIX)
        for part in schema.values():
            yield from references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from references(part)


def documents(text):
    """The JSON values of a text that contains several, one after the other."""
    decoder, text = json.JSONDecoder(), text.lstrip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip()


def main(swagger, out):
    definitions = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    stricts = {name: LOOSE.get(name) or strict(schema) for name, schema in definitions.items()}
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)

    def write(group, version, kind, schema):
        needed, found = {}, list(references(schema))
        while found:
            name = found.pop()
            if name not in needed:
                needed[name] = stricts[name]
                found += references(stricts[name])
        # Not just any object: kubeconform chose this schema by these two.
        whole = {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "definitions": needed}
        whole["required"] = sorted({*schema.get("required", []), "apiVersion", "kind", "metadata"})
        words = [kind, group.split(".")[0], version]
        name = "-".join(word for word in words if word).lower()
        (out / f"{name}.json").write_text(json.dumps(whole))

    for name, schema in definitions.items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        # Kinds of several groups (DeleteOptions, ...) are not manifests.
        if len(kinds) == 1 and "metadata" in schema.get("properties", {}):
            write(kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"], stricts[name])
    for crd in documents(sys.stdin.read()):
        for version in crd["spec"]["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {
                "apiVersion": {"const": f"{crd['spec']['group']}/{version['name']}"},
                "kind": {"const": crd["spec"]["names"]["kind"]},
                "metadata": {"$ref": PREFIX + OBJECT_META},
            }
            write(crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"], schema)


if __name__ == "__main__":
    main(*sys.argv[1:])
