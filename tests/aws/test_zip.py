#!/usr/bin/env python3
"""The zip as `make lambda` makes it: deterministic, with its exec bit, needing nothing of the system, running on both architectures.
No emulator notices a missing exec bit or a symbol that Amazon Linux does not have.

usage: test_zip.py [PART-OF-A-NAME...]"""
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT = os.path.join(ROOT, os.environ.get("HOURBELL_BUILT", "build/dev"))
WORDS = sys.argv[1:]
sys.argv = [sys.argv[0], BUILT]
sys.path.insert(0, os.path.join(ROOT, "tests"))
import e2e_lambda  # noqa: E402
import runner  # noqa: E402

MACHINES = {"x86_64": 62, "arm64": 183}  # ELF's e_machine


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, **more).stdout


def path_of(arch):
    return os.path.join(ROOT, f"build/lambda/hourbell-{arch}.zip")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def built_again_in_another_folder_it_has_the_same_bytes(folder):
    """Our own code is built anew. The libraries take minutes, so both use the same ones; the test before this one looks at those."""
    for name in ("src", "script", "deploy"):
        shutil.copytree(os.path.join(ROOT, name), f"{folder}/{name}")
    for name in ("Makefile", "downstream.json"):
        shutil.copy(os.path.join(ROOT, name), folder)
    os.mkdir(f"{folder}/build")
    for name in ("deps", "deps-lambda"):
        os.symlink(os.path.realpath(os.path.join(ROOT, "build", name)), f"{folder}/build/{name}")
    run(f"{folder}/script/lambda")
    for arch in MACHINES:
        assert digest(path_of(arch)) == digest(f"{folder}/build/lambda/hourbell-{arch}.zip"), arch


def the_libraries_hold_nothing_of_the_folder_they_were_built_in(folder):
    top = os.path.realpath(os.path.join(ROOT, "build/deps-lambda"))
    for cpu in ("x86_64", "aarch64"):
        files = [f"{top}/{cpu}/{name}" for name in os.listdir(f"{top}/{cpu}") if name.endswith(".o")]
        files += [f"{top}/{cpu}/root/lib/lib{name}.a" for name in ("curl", "ssl", "crypto")]
        assert len(files) == 6, files
        for path in files:
            with open(path, "rb") as file:
                assert top.encode() not in file.read(), path


def it_holds_the_program_with_its_exec_bit_and_the_mapping(folder):
    for arch in MACHINES:
        with zipfile.ZipFile(path_of(arch)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            assert list(infos) == ["bootstrap", "downstream.json"], list(infos)
            assert infos["bootstrap"].external_attr >> 16 == 0o100755, oct(infos["bootstrap"].external_attr >> 16)
            assert infos["downstream.json"].external_attr >> 16 == 0o100644
            assert {info.create_system for info in infos.values()} == {3}, "3 is Unix: else the mode means nothing"
            assert {info.date_time for info in infos.values()} == {(1980, 1, 1, 0, 0, 0)}
            json.loads(archive.read("downstream.json"))


def it_is_static_for_its_architecture_and_carries_no_sqlite(folder):
    for arch, machine in MACHINES.items():
        with zipfile.ZipFile(path_of(arch)) as archive:
            elf = archive.read("bootstrap")
        assert elf[:4] == b"\x7fELF" and int.from_bytes(elf[18:20], "little") == machine, arch
        path = os.path.join(folder, "bootstrap")
        with open(path, "wb") as file:
            file.write(elf)
        assert "NEEDED" not in run("objdump", "-p", path), "it needs a library of the system"
        assert b"GLIBC_" not in elf and b"ld-linux" not in elf and b"ld-musl" not in elf, arch
        assert b"sqlite" not in elf.lower() and b"uv_loop" not in elf, arch


def unpacked(arch, folder):
    """A folder with what is in the zip, and how to start its program on this machine."""
    here = tempfile.mkdtemp(dir=folder)
    with zipfile.ZipFile(path_of(arch)) as archive:
        archive.extract("bootstrap", here)
        archive.extract("downstream.json", here)
    os.chmod(f"{here}/bootstrap", 0o755)
    if arch == {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine):
        return here, f"{here}/bootstrap"
    with open(f"{here}/emulated", "w", encoding="utf-8") as file:
        cpu = "aarch64" if arch == "arm64" else arch
        file.write(f'#!/bin/sh\nexec qemu-{cpu}-static "{here}/bootstrap" "$@"\n')
    os.chmod(f"{here}/emulated", 0o755)
    return here, f"{here}/emulated"


def both_run_and_answer(folder):
    for arch in MACHINES:
        here, program = unpacked(arch, folder)
        more = {"program": program, "environment": {"LAMBDA_TASK_ROOT": here}}
        with e2e_lambda.tick(here, [e2e_lambda.Event(e2e_lambda.HOUR), e2e_lambda.Event({"scheduled_time": "x"})], **more) as f:
            f.api.wait(2, 60)
            assert json.loads(f.api.posts[0].body)["started"] is True, f.api.posts
            assert f.aws.calls[0][1]["Authorization"].startswith("AWS4-HMAC-SHA256 "), "unsigned"
            assert f.api.posts[1].path.endswith("/error"), f.api.posts
        with e2e_lambda.Function(here, "api", [e2e_lambda.Event(e2e_lambda.proxy())], **more) as f:
            f.api.wait(1, 60)
            assert json.loads(f.api.posts[0].body)["statusCode"] == 401, f.api.posts


FIELDS = [{"field": name.upper(), "from": f"attributes.{name}", **rule} for name, rule in (
    ("serial", {"pattern": "[A-Z]{2}-?[0-9]{3,5}"}), ("words", {"pattern": "[[:alpha:]]+( [[:alpha:]]+)*"}), ("either", {"pattern": "a|bc*|[]^x]"}),
    ("mode", {"enum": ["on", "off"]}), ("seen", {"type": "datetime"}), ("day", {"type": "date"}),
    ("weight", {"type": "decimal", "max": 6, "scale": 2}), ("text", {"max": 3}), ("ready", {"type": "boolean"}), ("count", {"type": "integer", "max": 4}))]
RIGHT = {"serial": "AB-1234", "words": "ab Cd", "either": "bcc", "mode": "on", "seen": "2026-11-23T05:00:00Z", "day": "2026-11-23",
         "weight": "1234.50", "text": "äöü", "ready": True, "count": 9999}
WRONG = {"serial": "AB-12", "words": "ab  cd", "either": "cb", "mode": "of", "seen": "2026-11-23 05:00", "day": "2026-02-30",
         "weight": "12345.5", "text": "äöüß", "ready": "yes", "count": 10000}


def both_judge_values_as_the_server_home_does(folder):
    """Another libc: its regular expressions are others."""
    with open(os.path.join(ROOT, "downstream.json"), encoding="utf-8") as file:
        mapping = json.load(file)
    mapping["fields"] = mapping["fields"][:2] + FIELDS  # the name and the category
    said = []
    for program, here in [(e2e_lambda.BOOTSTRAP, folder)] + [unpacked(arch, folder)[::-1] for arch in MACHINES]:
        with open(f"{here}/downstream.json", "w", encoding="utf-8") as file:
            json.dump(mapping, file)
        events = [e2e_lambda.Event(e2e_lambda.asked("POST", "/create-device", {"device_name": "Pump-7", "attributes": attributes}))
                  for attributes in (RIGHT, WRONG)]
        with e2e_lambda.Function(here, "api", events, program=program, environment={"LAMBDA_TASK_ROOT": here}) as f:
            f.api.wait(2, 60)
            answers = [json.loads(post.body) for post in f.api.posts]
        assert [answer["statusCode"] for answer in answers] == [201, 400], (program, answers)
        problem = json.loads(answers[1]["body"])
        assert sorted(item["pointer"] for item in problem["errors"]) == sorted(f"/attributes/{name}" for name in WRONG), problem
        said.append({**problem, "request_id": ""})
    assert said[0] == said[1] == said[2], said


def it_speaks_tls_and_believes_amazons_roots_alone(folder):
    """Nobody but Amazon can make a certificate that it takes, so this shows the refusal: after a handshake, with the roots read."""
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", f"{folder}/key", "-out", f"{folder}/crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/crt", f"{folder}/key")
    seen = []

    def serve(listener):
        while True:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as peer:
                    seen.append(peer.recv(100))
            except (ssl.SSLError, OSError) as wrong:
                seen.append(str(wrong))
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    with zipfile.ZipFile(path_of("x86_64")) as archive:
        archive.extract("bootstrap", folder)
    os.chmod(f"{folder}/bootstrap", 0o755)
    url = f"https://localhost:{listener.getsockname()[1]}"
    with e2e_lambda.tick(folder, [e2e_lambda.Event(e2e_lambda.HOUR, deadline_s=4)], program=f"{folder}/bootstrap",
                         environment={"AWS_ENDPOINT_URL": url}) as f:
        f.api.wait(1)
        said = json.loads(f.api.posts[0].body)["errorMessage"]
        assert "certificate" in said.lower(), said
    assert seen and not any(isinstance(what, bytes) and what for what in seen), "it sent something to whom it must not believe"
    assert any("alert" in str(what).lower() for what in seen), seen


def main():
    run("script/lambda")
    return runner.run_tests([the_libraries_hold_nothing_of_the_folder_they_were_built_in,
                             it_holds_the_program_with_its_exec_bit_and_the_mapping,
                             it_is_static_for_its_architecture_and_carries_no_sqlite,
                             both_run_and_answer, both_judge_values_as_the_server_home_does, it_speaks_tls_and_believes_amazons_roots_alone,
                             built_again_in_another_folder_it_has_the_same_bytes],
                                WORDS, "hourbell-zip-", ())


if __name__ == "__main__":
    sys.exit(main())
