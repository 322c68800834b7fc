#!/usr/bin/env python3
"""Hold every answer that the scenarios got against docs/openapi.yaml.

usage: tests/validate_openapi.py BUILT-FOLDER

Reads transcript/*.ndjson there, which tests/run_scenarios.c and tests/e2e_scenarios.py write. Strict: status, media
type, headers and body must be named by the operation, and nothing else may be there. A problem's code must be among
the examples of the response that it comes as. At the end each operation must have been answered with each success that
it promises."""
import glob
import json
import os
import re
import sys
import urllib.parse
import warnings

import jsonschema
import yaml

warnings.filterwarnings("ignore", category=DeprecationWarning)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
METHODS = ("get", "post", "put", "patch", "delete")


class Interface:
    def __init__(self):
        with open(os.path.join(ROOT, "src/home/openapi.json"), encoding="utf-8") as file:
            self.api = json.load(file)
        self.validators = {}
        self.always = {}
        for name in self.api["x-always"]:
            response = self.resolve(self.api["components"]["responses"][name])
            self.always.setdefault(self.status_of(response), []).append(response)
        self.successes = {}  # (operationId, status) -> was seen
        for item in self.api["paths"].values():
            for method in METHODS:
                for status in item.get(method, {}).get("responses", {}):
                    if status < "300":
                        self.successes[item[method]["operationId"], status] = False

    def resolve(self, node):
        """A copy without any $ref. No schema of ours refers to itself."""
        if isinstance(node, list):
            return [self.resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            target = self.api
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return {key: self.resolve(value) for key, value in node.items()}

    @staticmethod
    def status_of(response):
        examples = response["content"]["application/problem+json"]["examples"]
        return str(next(iter(examples.values()))["value"]["status"])

    def operation(self, method, path):
        segments = [urllib.parse.unquote(segment) for segment in path.split("/")]
        for template, item in self.api["paths"].items():
            names = template.split("/")
            fits = len(names) == len(segments) and all(
                segment and (name == segment or name.startswith("{")) or not name and not segment
                for name, segment in zip(names, segments))
            if fits and method.lower() in item:
                return item[method.lower()]
        return None

    def validator(self, schema):
        key = json.dumps(schema, sort_keys=True)
        if key not in self.validators:
            self.validators[key] = jsonschema.Draft202012Validator(schema)
        return self.validators[key]

    def complaints(self, schema, value):
        for error in self.validator(schema).iter_errors(value):
            place = "/".join(str(part) for part in error.absolute_path)
            yield f"/{place}: {error.message[:300]}"

    def check_headers(self, response, headers):
        named = response.get("headers", {})
        for name, header in named.items():
            if header.get("required") and name not in headers:
                yield f"header {name} is missing"
        for name, value in headers.items():
            if name == "content-type":
                continue
            if name not in named:
                yield f"header {name} is not named"
            else:
                yield from (f"header {name}{text}" for text in self.complaints(named[name]["schema"], value))

    def check_body(self, response, media_type, body):
        content = response.get("content", {})
        if media_type not in content:
            yield f"media type {media_type} is not named"
            return
        if media_type.startswith("text/"):
            return
        value = json.loads(body)
        yield from self.complaints(content[media_type]["schema"], value)
        if media_type == "application/problem+json":
            codes = {example["value"]["code"] for example in content[media_type]["examples"].values()}
            if value.get("code") not in codes:
                yield f"code {value.get('code')} is not among the examples: {', '.join(sorted(codes))}"

    def check(self, answer):
        """What is wrong with one line of a transcript."""
        status = str(answer["status"])
        operation = self.operation(answer["method"], answer["target"].split("?")[0])
        candidates = list(self.always.get(status, []))
        if operation and status in operation["responses"]:
            candidates.insert(0, self.resolve(operation["responses"][status]))
            if status < "300":
                self.successes[operation["operationId"], status] = True
        if not candidates:
            return [f"status {status} is not named"]
        headers = answer["headers"]
        media_type = headers.get("content-type", "").split(";")[0].strip()
        found = []
        for response in candidates:  # the operation's own first; one that fits is enough
            found = list(self.check_headers(response, headers))
            found += self.check_body(response, media_type, answer["body"])
            if not found:
                return []
        return found


def check_examples(interface):
    """Examples must be what the schemas say."""
    def walk(node, place):
        if isinstance(node, list):
            for index, item in enumerate(node):
                yield from walk(item, f"{place}/{index}")
        elif isinstance(node, dict):
            if "schema" in node and "examples" in node:
                for name, example in node["examples"].items():
                    value = interface.resolve(example)["value"]
                    for text in interface.complaints(interface.resolve(node["schema"]), value):
                        yield f"docs/openapi.yaml: {place}/examples/{name}{text}"
            for key, item in node.items():
                yield from walk(item, f"{place}/{key}")
    yield from walk(interface.api["paths"], "paths")
    yield from walk(interface.api["components"]["responses"], "responses")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    interface = Interface()
    passed, failed = 0, 0
    for text in check_examples(interface):
        print(text)
        failed += 1
    scenarios = {name[:-4] for name in os.listdir(os.path.join(ROOT, "tests/scenarios")) if name.endswith(".txt")}
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "transcript", "*.ndjson"))):
        name = re.sub(r"^server,", "", os.path.basename(path).removesuffix(".ndjson"))
        if name not in scenarios:
            os.remove(path)  # of a story that was taken out
            continue
        with open(path, encoding="utf-8") as file:
            for line in file:
                answer = json.loads(line)
                found = interface.check(answer)
                passed, failed = passed + (not found), failed + bool(found)
                for text in found:
                    print(f"tests/scenarios/{name}.txt:{answer['line']}: {answer['method']} {answer['target']} "
                          f"{answer['status']}: {text}")
    for (operation_id, status), seen in sorted(interface.successes.items()):
        passed, failed = passed + seen, failed + (not seen)
        if not seen:
            print(f"{operation_id}: no scenario was answered with {status}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
