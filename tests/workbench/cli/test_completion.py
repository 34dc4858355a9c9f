"""Completion: the script is asked as a shell asks it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from workbench.cli.completion import SHELLS, whole_parser
from workbench.cli.main import COMMANDS, main


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script for bash, in a folder with another folder and a file."""
    import shtab

    folder = tmp_path_factory.mktemp("shell")
    (folder / "results").mkdir()
    (folder / "file.yaml").write_text("")
    (folder / "workbench.bash").write_text(shtab.complete(whole_parser(), "bash"))
    return folder / "workbench.bash"


def complete(script: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    ask = f"source {script}; COMP_WORDS=({' '.join(words)!s} ''); COMP_WORDS=(\"${{COMP_WORDS[@]:0:{len(words)}}}\")"
    ask += f'; COMP_CWORD={len(words) - 1}; COMP_LINE="${{COMP_WORDS[*]}}"; COMP_POINT=${{#COMP_LINE}}'
    ask += '; _shtab_workbench 2>/dev/null; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, cwd=script.parent)
    assert done.returncode == 0, done.stderr
    return {line.strip() for line in done.stdout.splitlines()} - {""}


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_values(script: Path) -> None:
    assert complete(script, "workbench", "comp") == {"compare", "completion"}
    assert complete(script, "workbench", "sweep", "st") == {"status"}
    assert complete(script, "workbench", "dashboard", "p") == {"push"}
    assert complete(script, "workbench", "compare", "--wandb-p") == {"--wandb-project"}
    assert complete(script, "workbench", "compare", "--device", "c") == {"cpu", "cuda"}
    assert complete(script, "workbench", "train", "--architecture", "rd") == {"rda", "rda-exp-tanh", "rda-sigmoid-id"}
    assert complete(script, "workbench", "train", "--task", "mn") == {"mnist", "mnist-permuted"}
    assert "results" in complete(script, "workbench", "report", "res")
    assert complete(script, "workbench", "completion", "z") == {"zsh"}


def test_every_command_and_every_shell_has_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        said = capsys.readouterr().out
        assert [name for name in COMMANDS if name not in said] == []


def test_an_unknown_shell_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "powershell"]) == 2
    assert "known: bash, zsh, tcsh" in capsys.readouterr().err
    assert main(["completion"]) == 2
    assert "name a shell" in capsys.readouterr().err


def test_without_shtab_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("workbench.cli.completion.find_spec", lambda name: None)
    assert main(["completion", "bash"]) == 2
    assert "sequence-workbench[completion]" in capsys.readouterr().err
