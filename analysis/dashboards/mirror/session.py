"""W&B's session in this process: its settings are those of the user and of the environment, never of a folder."""

import os
import threading
from pathlib import Path
from typing import Any

_LOCK = threading.Lock()


def load_session() -> Any:
    """Returns W&B's session, with its settings loaded.

    W&B also reads `wandb/settings` in the current folder, and believes it more than the user's own settings. In a
    folder of results that file may come from anybody, and name a server, which would get the user's key. It is left
    out, unless the program that called had loaded the session before.
    """
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib.settings_file import SettingsFiles
    from wandb.sdk.wandb_settings import Settings

    def read_user_settings(settings: Any) -> SettingsFiles:
        user = settings.settings_system
        return SettingsFiles(global_settings=Path(user) if user else None, local_settings=Path(os.devnull))

    # The session loads its settings only once, and has no argument for it.
    with _LOCK:
        read_all = Settings.read_system_settings
        Settings.read_system_settings = read_user_settings
        try:
            session = wandb_setup.singleton()
            _ = session.settings
        finally:
            Settings.read_system_settings = read_all
    return session
