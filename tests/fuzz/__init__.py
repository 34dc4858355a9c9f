"""Seeded fuzzers: command lines, files, values of options, and operands of kernels that nobody would think of.

    python -m tests.fuzz.command_lines --seed 17
    python -m tests.fuzz.option_values --seed 17
    python -m tests.fuzz.kernel_cases --seed 17

repeat a single case, and show what it was; `--first 0 --count 2000` runs many. What has to hold for all of them: no
traceback, no hang, no line over 300 characters, no control character, nothing written elsewhere, no connection.
"""
