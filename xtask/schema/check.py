"""Holds the schemas against the verdicts of the readers, with the validator `jsonschema` of PyPI."""

import collections
import importlib.metadata
import json
import sys

import jsonschema


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        dump = json.load(file)
    validators = {}
    for name, schema in dump["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        validators[name] = jsonschema.Draft202012Validator(schema)
        print(f"{name}: a schema by the meta-schema of {schema['$schema']}")
    counts = collections.Counter()
    reasons = collections.Counter()
    wrong = []
    for case in dump["cases"]:
        validator = validators[case["schema"]]
        valid = all(validator.is_valid(value) for value in case["values"])
        if case["unseen"]:
            reasons[case["unseen"]] += 1
            agrees = valid
        else:
            verdict = "taken" if case["taken"] else "refused"
            counts[case["schema"], verdict] += 1
            agrees = valid == case["taken"]
        if not agrees:
            wrong.append(f"{case['name']}: the schema says {valid}: {case['values']}")
    version = importlib.metadata.version("jsonschema")
    print(f"jsonschema {version}, {len(dump['cases'])} cases:")
    for (schema, verdict), count in sorted(counts.items()):
        print(f"{count:4} {schema}: {verdict} by the reader and by the schema")
    for reason, count in sorted(reasons.items()):
        print(f"{count:4} refused by the reader alone: {reason}")
    print(f"{len(wrong):4} disagree")
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
