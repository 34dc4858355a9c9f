"""Reader of offline records through W&B's own viewer."""

import json
import subprocess
from pathlib import Path
from typing import Any


class LoggedRecord:
    """An offline record, read back by `wandb leet inspect --json`.

    That is a command of wandb-core's, and wandb would be imported for each record only to start it; tests of the README
    give the whole command.
    """

    def __init__(self, folder: Path) -> None:
        from wandb.util import get_core_path

        (run_file,) = folder.glob("*.wandb")
        inspect = [get_core_path(), "leet", "inspect", "--no-observability", "--json"]
        command = [*inspect, "--run-file", str(run_file), str(folder.parent)]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.folder = folder
        self.records = [json.loads(line) for line in output.splitlines() if line.strip()]
        # A live run has a second one, with its tags at the end.
        *_, self.run = self.records_of("run")
        self.config = {key: value for key, value in self.run["config"]["update"].items() if key != "_wandb"}
        rows = [
            {key: value for key, value in record["item"].items() if not key.startswith("_")}
            for record in self.records_of("history")
        ]
        self.rows = [row for row in rows if not media(row)]
        self.media: dict[str, dict[str, Any]] = {}
        for row in rows:
            self.media |= media(row)
        self.summary: dict[str, Any] = {}
        for record in self.records_of("summary"):
            self.summary |= record.get("update", {})
        self.media |= {
            key: value for key, value in self.summary.items() if isinstance(value, dict) and "_type" in value
        }
        self.metrics = {record["name"]: record for record in self.records_of("metric") if "name" in record}

    def records_of(self, kind: str) -> list[dict[str, Any]]:
        """Returns all records of a kind."""
        return [record[kind] for record in self.records if record["type"] == kind]

    def file(self, name: str) -> Path:
        """Returns the file of a table, an image or a page."""
        return Path(self.folder, "files", self.media[name]["path"])

    def table(self, name: str) -> list[dict[str, Any]]:
        """Returns the rows of a table by column."""
        plain = json.loads(self.file(name).read_text())
        return [dict(zip(plain["columns"], row, strict=True)) for row in plain["data"]]

    @property
    def names(self) -> set[str]:
        """Every name under which something was logged."""
        summary = {key for key in self.summary if not key.startswith("_")}
        return summary | {key for row in self.rows for key in row} | {*self.media}


def media(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the media of a row, whose nested keys W&B's viewer joins by dots."""
    names = [key.removesuffix("._type") for key in row if key.endswith("._type")]
    return {
        name: {key.removeprefix(f"{name}."): value for key, value in row.items() if key.startswith(f"{name}.")}
        for name in names
    }
