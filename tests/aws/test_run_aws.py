#!/usr/bin/env python3
"""`make run-aws` as a newcomer sees it: it starts, the three commands that it prints work, the minute's end carries the device to
SAP, and Ctrl-C leaves nothing behind. HOURBELL_BUILT: the programs' folder."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

from home import ROOT, Wrong, run_tests, wait_for

PORT = int(os.environ.get("RIG_PORT", "19000")) + 50
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_three_commands_and_ctrl_c():
    with tempfile.TemporaryDirectory(prefix="hourbell-run-aws-") as data:
        environment = {**os.environ, "BUILT": BUILT, "DATA": data, "RIG_PORT": str(PORT), "SAP_PORT": str(PORT + 9), "RIG_FAULTS": "0"}
        with open(f"{data}/said", "w+", encoding="utf-8") as said:
            process = subprocess.Popen([os.path.join(ROOT, "script/run-aws")], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said,
                                       stderr=said, env=environment, start_new_session=True,
                                       # tests started in the background have SIGINT ignored, which no shell below could trap
                                       preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

            def text():
                with open(said.name, encoding="utf-8") as file:
                    return file.read()

            def started():
                if process.poll() is not None:
                    raise Wrong(text())
                return "Ctrl-C stops everything" in text()
            try:
                wait_for("the home", started, 120)
                commands = re.findall(r"^  ((?:\. |hourbell ).*?)(?:  +#.*)?$", text(), re.M)
                if len(commands) != 3:
                    raise Wrong(f"{len(commands)} commands: {text()}")
                for command in commands:
                    if not command.startswith(". "):
                        command = f". {data}/env && {command}"
                    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
                    if done.returncode != 0:
                        raise Wrong(f"{command}: {done.returncode} {done.stdout} {done.stderr}")

                def delivered():
                    done = subprocess.run(["sh", "-c", f". {data}/env && hourbell log Pump-7"], capture_output=True, text=True, check=False)
                    return "delivered" in done.stdout
                wait_for("the delivery", delivered, 150, 2)
                os.killpg(process.pid, signal.SIGINT)
                process.wait(30)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait(30)
        wait_for("free ports", lambda: is_free(PORT) and is_free(PORT + 9), 10)


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
