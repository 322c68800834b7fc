#!/usr/bin/env python3
"""What README and docs tell people to type works: `make run` and what it prints, the blocks of the README, `make demo`; and
every command, option, file and target that they name exists.

Usage: e2e_readme.py BUILT_FOLDER [PART-OF-A-NAME...]. The last line is `N passed, N failed`."""

import glob
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

import runner

BUILT = os.path.abspath(sys.argv[1])
WANTED = sys.argv[2:]
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("HOURBELL", "MAKE", "MFLAGS"))}
CLEAN["BUILT"] = BUILT
PAGES = ["README.md", "CONTRIBUTING.md", "docs/operations.md", "docs/architecture.md", "docs/decisions.md"]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def page(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def blocks(name):
    """With the lines that go on behind a backslash as one."""
    return [block.replace("\\\n", " ") for block in re.findall(r"^```sh\n(.*?)^```", page(name), re.M | re.S)]


def commands():
    return re.findall(r'\{\.name = "([a-z -]+)", ?', page("src/home/main_hourbell.c"))


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


STARTED = []  # of process groups: main and a signal end what a test has left behind


def start(words, env, out):
    """In a process group of its own; a shell cannot trap what it was started to ignore, as background jobs are."""
    process = subprocess.Popen(words, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    STARTED.append(process)
    return process


def stop_what_is_left():
    """In order, as Ctrl-C does: a script that is killed leaves its servers running."""
    for process in STARTED:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in STARTED:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    STARTED.clear()


def run_script(name, timeout=300, **more):
    """A script to its end. out: exit code and what it said"""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        process = start([os.path.join(ROOT, name)], {**CLEAN, **more}, out)
        code = process.wait(timeout)
        out.seek(0)
        return code, out.read()


class Run:
    """script/run with data and ports of its own, until close."""

    def __init__(self, folder, window="5s", **more):
        self.data, self.port, self.sap_port = os.path.join(folder, "data"), free_port(), free_port()
        self.more = {"DATA": self.data, "PORT": str(self.port), "SAP_PORT": str(self.sap_port), "WINDOW": window, **more}
        self.out = os.path.join(folder, "out")
        self.folder = folder

    def start(self):
        with open(self.out, "wb") as out:
            self.process = start([os.path.join(ROOT, "script/run")], {**CLEAN, **self.more}, out)
        until = time.monotonic() + 400
        while "Ctrl-C stops both" not in self.said():
            assert self.process.poll() is None and time.monotonic() < until, self.said()
            time.sleep(0.05)
        return self

    def said(self):
        return open(self.out, encoding="utf-8").read()

    def shell(self, text, own_path=True):
        """Type it into a shell, in the folder that holds data/."""
        env = {**CLEAN, "PATH": BUILT + ":" + CLEAN["PATH"], "HOURBELL_URL": f"http://127.0.0.1:{self.port}"} if own_path else CLEAN
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], env=env, cwd=self.folder, capture_output=True,
                              text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self, how=signal.SIGINT):
        """As Ctrl-C does: everybody in the process group."""
        os.killpg(self.process.pid, how)
        assert self.process.wait(60) == 0, self.said()
        for port in (self.port, self.sap_port):
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0, "something is left running"


# what of the README a test of its own runs, and which
ELSEWHERE = {"git clone <this repository> hourbell && cd hourbell": None,  # it is this clone
             "make run": "what_make_run_prints_can_be_typed_and_a_second_start_has_everything", "make demo": "the_demonstration_is_true",
             "make run WINDOW=1h": "another_window_is_said", "make demo-import": "the_real_input_in_small_is_true",
             "make test": None,  # it runs this file
             "make run-aws": None}  # it needs the rig: tests/aws/test_run_aws.py


@test
def what_the_readme_says_to_type_works(folder):
    """P7"""
    run = Run(folder).start()
    said = run.said()
    assert "Keys, shown this once" in said and "Three commands to try" in said, said
    for block in blocks("README.md"):
        if not block.startswith("git clone"):
            # as a newcomer: nothing is set but what the block sets; a terminal keeps it for the next block
            run.shell((". data/env\n" if "data/env" not in block else "") + block.replace("127.0.0.1:8080", f"127.0.0.1:{run.port}"),
                      own_path=False)
    typed = [line.split("  #")[0].strip() for block in blocks("README.md") if block.startswith("git clone")
             for line in block.strip().splitlines()]
    typed += re.findall(r"`(make [^`]*)`", page("README.md"))
    for line in typed:
        assert line in ELSEWHERE, f"nobody runs {line!r}"
        assert not ELSEWHERE[line] or ELSEWHERE[line] in [function.__name__ for function in TESTS], line
    for line in re.findall(r"`(help [^`]*)`", page("README.md")):
        run.shell(f". data/env; hourbell {line}", own_path=False)
    assert "hourbell update Pump-7" in page("README.md") and "curl -H @" in page("README.md")
    until = time.monotonic() + 30
    while "\tdelivered\t" not in run.shell("HOURBELL_KEY_FILE=data/customer.key hourbell log Pump-7"):
        assert time.monotonic() < until, run.shell("HOURBELL_KEY_FILE=data/customer.key hourbell log Pump-7")
        time.sleep(0.2)
    assert "B3" in run.shell("HOURBELL_KEY_FILE=data/customer.key hourbell show Pump-7")
    assert '"result":"created"' in open(os.path.join(folder, "results"), encoding="utf-8").read()
    run.close()


@test
def no_secret_is_written_into_an_argument(folder):
    """P9"""
    for name in PAGES + ["docs/sap.md", "SECURITY.md", "docs/promises.md", "script/run", "script/demo", "script/demo-import"]:
        for line in page(name).splitlines():
            assert not re.search(r"(-H|--header|-u|--user)[ =]*['\"]?\S*(x-api-key|authorization|\.key)", line, re.I) or "@" in line, f"{name}: {line}"


@test
def what_make_run_prints_can_be_typed_and_a_second_start_has_everything(folder):
    """P1"""
    run = Run(folder).start()
    lines = [line.strip() for line in run.said().splitlines() if line.startswith(("  hourbell", "  . "))]
    assert len(lines) == 3, lines
    assert "Pump-7" in run.shell("\n".join(lines))
    assert "WINDOW OF ONE MINUTE" not in run.said()
    log = open(os.path.join(run.data, "server.log"), encoding="utf-8").read()
    assert "hb_live_" not in log
    for name in ("operator.key", "customer.key"):
        assert os.stat(os.path.join(run.data, name)).st_mode & 0o777 == 0o600
    run.close()
    again = Run(folder)
    again.start()
    assert "Keys, shown" not in again.said() and "hb_live_" not in again.said()
    assert "Pump-7" in again.shell("HOURBELL_KEY_FILE=data/customer.key hourbell show")
    # Pump-7 is there: what is printed now works all the same
    lines = [line.strip() for line in again.said().splitlines() if line.startswith(("  hourbell", "  . "))]
    assert len(lines) == 3 and "Pump-8" in again.shell("\n".join(lines)), lines
    again.close()


@test
def keys_given_by_a_file_of_secrets_are_taken(folder):
    """P9"""
    first = Run(folder).start()
    keys = {who: open(os.path.join(first.data, who + ".key"), encoding="utf-8").read().strip()
            for who in ("operator", "customer")}
    first.close()
    secrets = os.path.join(folder, "secrets")
    with open(os.open(secrets, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(f"operator_key={keys['operator']}\ncustomer_key={keys['customer']}\n")
    second = os.path.join(folder, "second")
    os.mkdir(second)
    run = Run(second, SECRETS=secrets).start()
    assert "hb_live_" not in run.said()
    assert "k_" in run.shell("HOURBELL_KEY_FILE=data/operator.key hourbell keys list")
    run.close()


@test
def a_busy_port_is_said_with_the_way_out(folder):
    """P11"""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        run = Run(folder)
        for name, env in (("PORT", {"PORT": str(port)}), ("SAP_PORT", {"SAP_PORT": str(port)})):
            code, said = run_script("script/run", **{**run.more, **env})
            assert code == 1 and f"make run {name}=" in said, said


@test
def the_demonstration_is_true(folder):
    """P2 P4 P7"""
    code, said = run_script("script/demo", WINDOW="6s")
    assert code == 0 and said.rstrip().endswith("All of it is true."), said
    assert said.count("✓") >= 14, said


@test
def the_real_input_in_small_is_true(folder):
    """P2 P3 P4 P5"""
    usb, pci = os.path.join(folder, "usb.ids"), os.path.join(folder, "pci.ids")
    with open(usb, "w", encoding="utf-8") as file:
        file.write("# x\n0001  Fry's Electronics\n\t7778  Flash drive [Kingston]\n\t7779  FLASH DRIVE [kingston]\n\t777a  a / b\n")
    with open(pci, "w", encoding="utf-8") as file:
        file.write("0002  Ingram & Söhne\n\t0001  Straße\n\t0002  Straße\n\t0003  Ok (a), [b]\n0003  " + "x" * 129 + "\nC 00  Class\n")
    code, said = run_script("script/demo-import", IDS=f"{usb} {pci}", WINDOW_S="5", DATA=os.path.join(folder, "data"))
    assert "at http://127.0.0.1:8080" not in said and "at http://127.0.0.1:8181" not in said, said  # it stands beside a `make run`
    assert code == 0 and "9 lines: 5 created, 4 refused" in said and "SAP saw 5 effective calls for 15 updates" in said, said


@test
def another_window_is_said(folder):
    run = Run(folder, window="1h").start()
    assert "with a window of 1h." in run.said() and "DEMONSTRATION" not in run.said()
    for said in ("program: ", "start: a mock SAP at", "start: hourbell at"):
        assert said in run.said(), run.said()
    run.close()


@test
def what_is_stopped_in_the_middle_leaves_nothing_running(folder):
    """P11"""
    run = Run(folder).start()
    run.close(signal.SIGTERM)
    # this file itself, ended in the middle of a test
    own = subprocess.Popen([sys.executable, os.path.abspath(__file__), BUILT, "another_window_is_said"], env={**CLEAN, "TMPDIR": folder},
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    STARTED.append(own)
    until = time.monotonic() + 60
    while not glob.glob(os.path.join(folder, "hourbell-readme-*/data/server.log")):
        assert time.monotonic() < until and own.poll() is None
        time.sleep(0.01)
    own.terminate()
    assert own.wait(60) == 143
    left = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = open(path, "rb").read().decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile
        left += [words] if f"{folder}/hourbell-readme-" in words else []
    assert not left, left
    assert not glob.glob(os.path.join(folder, "hourbell-readme-*"))


@test
def every_command_and_option_that_is_named_exists(folder):
    program, helps = os.path.join(BUILT, "hourbell"), {}
    table = commands()
    lines = []
    for name in PAGES + ["docs/sap.md", "SECURITY.md"]:
        if os.path.exists(os.path.join(ROOT, name)):
            text = page(name)
            for block in blocks(name):
                lines += re.findall(r"^(hourbell [^\n#|>]*)", block, re.M)
            lines += re.findall(r"`(hourbell [a-z][^`]*)`", text)
    assert len(lines) > 20, lines
    for line in lines:
        words = shlex.split(line.replace("...", ""))
        command = words[1:3] if " ".join(words[1:3]) in table else words[1:2]
        if command[0] == "help" or " | " in line or command == ["keys"]:
            continue
        key = " ".join(command)
        if key not in helps:
            done = subprocess.run([program, "help", *command], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: there is no such command"
            helps[key] = done.stdout
        for word in words:
            option = re.match(r"--[a-z-]+", word)
            assert not option or re.search(re.escape(option.group()) + r"\b", helps[key]), f"{line}: no {word}"


@test
def every_command_that_is_shown_is_whole(folder):
    """The examples of the help and the lines of the docs as they stand, but for the server: nobody is there. What is missing in
    one (an operand, a --reason) would be told by exit code 2."""
    program = os.path.join(BUILT, "hourbell")
    table = commands()
    lines = []
    for name in table:
        said = subprocess.run([program, "help", *name.split()], capture_output=True, text=True, check=True).stdout
        lines += re.findall(r"^  ((?!#).*\bhourbell .*)$", said.split("\nexamples:\n")[1].split("\n\n")[0], re.M) if "\nexamples:\n" in said else []
    assert len(lines) > 20 and any("keys generate)" in line for line in lines), lines
    for name in PAGES + ["docs/sap.md", "docs/aws.md", "SECURITY.md"]:
        for block in blocks(name):
            lines += re.findall(r"^(hourbell .*)$", block, re.M)
        # in a sentence a command may be meant as such: only with words behind it has it been written out
        lines += [line for line in re.findall(r"`(hourbell [a-z][^`]*)`", page(name)) if line[9:] not in table and "[" not in line]
    with open(os.path.join(folder, "devices.ndjson"), "w", encoding="utf-8") as file:
        file.write('{"device_name": "Pump-8"}\n')
    # serve and mock-sap shall not start, an import need not wait for a server; where an option is given twice, the line was read until there
    shell = 'hourbell() { case $1 in serve) command hourbell "$@" --set bind=nowhere ;; mock-sap) command hourbell "$@" --bind nowhere ;; ' \
        'import) command hourbell "$@" --dry-run ;; *) command hourbell "$@" ;; esac }\n'
    env = {**CLEAN, "PATH": BUILT + ":" + CLEAN["PATH"], "HOURBELL_URL": "unix:" + os.path.join(folder, "nobody"),
           "HOURBELL_KEY": "k_abcdefghijk." + "hb_live_" + "a" * 33}
    for line in lines:
        if re.match(r"hourbell (help|keys$)", line):
            continue
        done = subprocess.run(["bash", "-o", "pipefail", "-c", shell + line], env=env, cwd=folder, capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode != 2 and "usage" not in done.stderr, f"{line}: {done.stderr}"
        assert done.returncode != 127, f"{line}: {done.stderr}"


def constants(path):
    """Every #define of a file that is a number."""
    text = re.sub(r"/\*.*?\*/", "", page(path), flags=re.S).replace("\\\n", " ")
    return {name: re.sub(r"\(size_t\)", "", value.strip()) for name, value in re.findall(r"^#define ([A-Z]\w*)[ \t]+(.+)$", text, re.M)}


def as_number(text):
    """"64 KiB" in bytes, "10 s" in ms, "1,000" """
    scale = {"KiB": 1024, "MiB": 1 << 20, "s": 1000, "min": 60000, "h": 3600000, "days": 86400000}
    at = re.match(r"\D*?(\d[\d,]*) ?([A-Za-z]*)", text.replace("no limit", "0"))
    return int(at.group(1).replace(",", "")) * scale.get(at.group(2), 1)


@test
def the_tables_of_limits_are_those_of_the_code(folder):
    """P10"""
    defined = {}
    for path in glob.glob(os.path.join(ROOT, "src/*/*.h")) + [os.path.join(ROOT, name) for name in (
            "src/core/api_request.c", "src/core/api_update.c", "src/core/update.c", "src/core/deliver.c", "src/home/import.c")]:
        defined.update(constants(os.path.relpath(path, ROOT)))
    settings = {name: int(value) for name, value in re.findall(r"^ +(?:MS|INT|BYTES)\((\w+), (\d+),", page("src/core/settings.h"), re.M)}
    settings["history_days"] *= 86400000

    def value_of(name):
        text = defined[name]
        for _ in range(5):
            text = re.sub(r"[A-Z]\w+", lambda at: "(" + defined[at.group()] + ")", text)
        assert re.fullmatch(r"[\d\s()+*<>-]+", text), f"{name}: {text}"
        return eval(text)  # numbers and operators only

    section = page("docs/operations.md").split("\n## Limits\n")[1].split("\n## ")[0]
    named = set()
    for row in re.findall(r"^\| (?!---)(.*) \|$", section, re.M):
        cells = [cell.strip() for cell in row.split("|")]
        assert len(cells) == 4, row
        if cells[3] == "name":
            continue
        names, shown = re.findall(r"`(\w+)`", cells[3]), re.split(", ", cells[1])
        assert len(names) == len(shown) > 0, row
        for name, text in zip(names, shown):
            want = settings[name] if name in settings else value_of(name)
            assert as_number(text) == want, f"{name} is {want}: {row}"
            named.add(name)
        for code in re.findall(r"\d{3} `(\w+)`", cells[2]):
            assert f"X({code}, " in page("src/core/model.h"), row
    assert {name for name in settings if name.startswith("max_") or name.endswith("_timeout")} <= named


@test
def every_file_and_target_that_is_named_exists(folder):
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.M))
    for name in PAGES:
        text = page(name)
        for link, part in re.findall(r"\]\(([^)#]*)(#[^)]+)?\)", text):
            if not link.startswith("http"):
                path = os.path.normpath(os.path.join(ROOT, os.path.dirname(name), link)) if link else os.path.join(ROOT, name)
                assert os.path.exists(path), f"{name}: {link}"
                heads = re.findall(r"^#+ (.*)$", open(path, encoding="utf-8").read(), re.M) if part else []
                assert not part or part[1:] in [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads], f"{name}: {part}"
        for path in re.findall(r"`((?:src|tests|docs|deploy|bench|script)/[\w./*-]+)`", text):
            assert glob.glob(os.path.join(ROOT, path)), f"{name}: {path}"
        for target in re.findall(r"(?:^|`|\s)make ([a-z][a-z-]+)", text, re.M):
            if f"make {target}" in text and (f"`make {target}" in text or re.search(rf"^make {target}", text, re.M)):
                assert target in targets, f"{name}: make {target}"
    assert len(page("README.md").splitlines()) <= 120


def main():
    def stop(number, _):
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)  # the test in hand is cleared away as any other

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return runner.run_tests(TESTS, WANTED, "hourbell-readme-", after=stop_what_is_left)


if __name__ == "__main__":
    sys.exit(main())
