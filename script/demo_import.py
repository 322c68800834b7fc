#!/usr/bin/env python3
"""The parts of `make demo-import` that count and compare; script/demo-import calls them in order.

    refused DEVICES RESULTS            what was refused, by rule; is each refusal right?
    updates DEVICES RESULTS SEED       three updates of every device that is there, all in random order
    compare DEVICES RESULTS UPDATES EXPORT SAP_URL WINDOW_S
                                       is what hourbell and SAP hold what was asked, and was each device told once?
"""
import collections
import json
import random
import sys
import unicodedata
import urllib.request


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def fold(name):
    """The key of a name, worked out here a second time."""
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def rule_broken(name):
    """Which rule of names does it break? None if none."""
    name = name.strip()
    for character in name:
        if unicodedata.category(character)[0] not in "LM" and unicodedata.category(character) != "Nd" \
                and character not in " -_.:+()[],&'@=#!*":
            return "name_invalid"
    if len(name) > 128:
        return "name_too_long"
    if not name or unicodedata.category(name[0])[0] != "L" and unicodedata.category(name[0]) != "Nd":
        return "name_invalid"
    return None


def merge(document, patch):
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    document = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            document.pop(name, None)
        else:
            document[name] = merge(document.get(name), value)
    return document


def accepted(devices, results):
    """{folded name: (name, document)} of what import says was created; asserts that each line has one result."""
    assert len(devices) == len(results), f"{len(devices)} lines, {len(results)} results"
    there = {}
    for number, (device, result) in enumerate(zip(devices, results), 1):
        assert result["line"] == number, f"line {number}: its result speaks of line {result['line']}"
        if result["result"] == "created":
            assert fold(device["device_name"]) not in there, f"line {number}: created twice"
            there[fold(device["device_name"])] = (device["device_name"], device["attributes"])
    return there


def refused(devices_path, results_path):
    devices, results = lines(devices_path), lines(results_path)
    there, wrong, samples = accepted(devices, results), [], collections.defaultdict(list)
    counts = collections.Counter(result["result"] for result in results)
    for number, (device, result) in enumerate(zip(devices, results), 1):
        name, code = device["device_name"], result.get("code")
        rule = rule_broken(name)
        if result["result"] == "refused":
            samples[code].append(f"line {number}: {name}")
            right = code == rule if rule else code == "device_exists" and fold(name) in there
        else:
            right = rule is None and (result["result"] == "created" or there[fold(name)][1] == device["attributes"])
        if not right:
            wrong.append(f"line {number}: {name!r}: {result}")
    print(f"{len(devices)} lines: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    meaning = {"device_exists": "another product has this name, but for case or spelling forms",
               "name_invalid": "a character that no name may have (/ ; ? \" < > % and others)",
               "name_too_long": "more than 128 characters"}
    for code, names in sorted(samples.items()):
        print(f"  {len(names)} {code}: {meaning.get(code, '')}")
        for name in names[:3]:
            print(f"      {name}")
    assert not wrong, "results that are not what the rules say:\n" + "\n".join(wrong[:10])
    print("Each refusal is what the rules say, and nothing else was refused.")


def updates(devices_path, results_path, seed):
    there, chance, out = accepted(lines(devices_path), lines(results_path)), random.Random(int(seed)), []
    for number, (name, _) in enumerate(there.values()):
        spellings = [name, name.upper(), name.lower()]
        patches = [{"room": f"R{number % 1000}", "note": f"geprüft & für gut befunden, {number}"},
                   {"location": {"building": f"H{number % 90}", "floor": number % 7}, "serial": f"sn-{number}"},
                   {"note": None, "weight_kg": number % 100 + 0.25, "location": {"floor": None}}]
        for patch in patches:
            spelling = chance.choice(spellings)
            if fold(spelling) != fold(name):
                spelling = name  # ß and the like: upper case is another name
            out.append({"device_name": spelling, "attributes": patch, "op": "update"})
    chance.shuffle(out)
    for line in out:
        print(json.dumps(line, ensure_ascii=False))


def pages(url, count_of):
    """All NDJSON lines of a control path of the mock."""
    after, found = 0, []
    while True:
        with urllib.request.urlopen(f"{url}?after={after}") as answer:
            page = [json.loads(line) for line in answer.read().decode().splitlines()]
        if not page:
            return found
        found += page
        after = count_of(found)


def expected_row(key, document):
    """What the demonstration's downstream.json makes of a document."""
    row = {"YY1_DEVICE_NAME": key, "EquipmentCategory": "M"}
    for member, field in (("vendor", "YY1_DEVICE_VENDOR"), ("product", "YY1_DEVICE_PRODUCT"), ("note", "YY1_DEVICE_NOTE"),
                          ("room", "AssetRoom")):
        row[field] = document.get(member, "")
    row["ManufacturerSerialNumber"] = document.get("serial", "").upper()
    row["AssetLocation"] = document.get("location", {}).get("building", "")
    row["GrossWeight"] = f"{document.get('weight_kg', 0):.3f}"
    return row


def compare(devices_path, results_path, updates_path, export_path, sap_url, window_s):
    there = accepted(lines(devices_path), lines(results_path))
    documents = {key: document for key, (_, document) in there.items()}
    for update in lines(updates_path):
        key = fold(update["device_name"])
        documents[key] = merge(documents[key], update["attributes"])

    exported = lines(export_path)
    held = {fold(device["device_name"]): device["attributes"] for device in exported}
    assert len(held) == len(exported), "two exported devices have one name"
    assert held == documents, f"hourbell holds other documents: {[k for k in documents if held.get(k) != documents[k]][:5]}"
    print(f"hourbell holds {len(held)} devices, each with exactly the document that was asked for.")

    rows = {row["YY1_DEVICE_NAME"]: row for row in pages(sap_url + "/_mock/rows", len)}
    assert set(rows) == set(documents), f"SAP lacks or has too many: {list(set(rows) ^ set(documents))[:5]}"
    for key, document in documents.items():
        for field, value in expected_row(key, document).items():
            assert rows[key].get(field, "") == value, f"{key}: {field} is {rows[key].get(field)!r}, asked was {value!r}"
    print(f"SAP holds {len(rows)} devices, each mapped field as it was asked for.")

    log = pages(sap_url + "/_mock/log", lambda found: found[-1]["no"])
    effects = [line for line in log if line["effect"]]
    per_window = collections.Counter((line["name"], line["at_ms"] // (1000 * int(window_s))) for line in effects)
    twice = [what for what, count in per_window.items() if count > 1]
    assert not twice, f"two effects in one window: {twice[:5]}"
    windows = {window for _, window in per_window}
    spread = (max(line["at_ms"] for line in effects) - min(line["at_ms"] for line in effects)) / 1000
    print(f"SAP saw {len(effects)} effective calls for {3 * len(documents)} updates, in {spread:.0f} s and "
          f"{len(windows)} window{'s' if len(windows) > 1 else ''}; none for a device twice in a window.")
    assert len(effects) == len(documents), "not one call per device"


if __name__ == "__main__":
    try:
        {"refused": refused, "updates": updates, "compare": compare}[sys.argv[1]](*sys.argv[2:])
    except AssertionError as wrong:
        sys.exit(f"NOT TRUE: {wrong}")
