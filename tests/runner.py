"""Runs the tests of one file of Python, each in a folder of its own."""
import os
import tempfile
import time
import traceback


def show_logs(folder, logs):
    for path in (os.path.join(folder, name) for name in logs):
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                print("    " + file.read()[-1500:].replace("\n", "\n    "), flush=True)


def run_tests(tests, wanted, prefix, logs=(), after=lambda: None):
    """wanted: parts of names, none = all. logs: files of the folder whose end is shown if its test fails. after: called when a test has
    ended, whatever became of it, before its folder goes. The last line: N passed, N failed. True if one failed or none ran."""
    passed = failed = 0
    for function in tests:
        if wanted and not any(word in function.__name__ for word in wanted):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
            try:
                function(folder)
                passed += 1
            except Exception as wrong:  # each test says its own
                failed += 1
                line = traceback.extract_tb(wrong.__traceback__)[1].lineno
                print(f"FAILED  {function.__name__}, line {line}: {type(wrong).__name__}: {wrong}", flush=True)
                show_logs(folder, logs)
            finally:
                after()
        if time.monotonic() - began > 20:
            print(f"slow    {function.__name__} ({time.monotonic() - began:.1f} s)")
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0
