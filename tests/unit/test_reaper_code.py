"""What Lambda is given is the reaper's own code, whole, and the template grants what the table of rights says."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

from annex_core.account.code import reaper_key, reaper_zip
from annex_core.account.components import REAPER
from annex_core.account.policies import policy


def test_the_zip_starts_by_itself(tmp_path: Path) -> None:
    """With none of our other modules in reach, whose import would fail in Lambda."""
    zipfile.ZipFile(io.BytesIO(reaper_zip())).extractall(tmp_path)
    shown = "import annex_core.reaper.handler as it, sys; print(it.__file__, callable(it.handler))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", shown], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == f"{tmp_path}/annex_core/reaper/handler.py True", done.stderr


def test_nothing_is_packed_that_is_not_imported(tmp_path: Path) -> None:
    zipfile.ZipFile(io.BytesIO(reaper_zip())).extractall(tmp_path)
    shown = (
        "import annex_core.reaper.handler, sys;"
        " print(*sorted(m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == 'annex_core'))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    loaded = subprocess.run(
        [sys.executable, "-c", shown], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == sorted(str(each) for each in tmp_path.rglob("*.py"))


def test_the_same_modules_make_the_same_bytes() -> None:
    first = reaper_zip()
    reaper_zip.cache_clear()
    assert reaper_zip() == first
    assert reaper_key() == reaper_key()


def resources() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(REAPER.template())["Resources"]
    return loaded


def plain(value: Any) -> Any:
    """Without Fn::Sub, and what is one or many as many."""
    if isinstance(value, dict):
        return value["Fn::Sub"] if set(value) == {"Fn::Sub"} else {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def test_its_role_has_the_policy_that_the_table_says() -> None:
    [inline] = resources()["Role"]["Properties"]["Policies"]
    wanted = policy("reaper", partition="${AWS::Partition}", account="${AWS::AccountId}", pool="")
    assert json.loads(json.dumps(plain(inline["PolicyDocument"]))) == wanted


def test_it_may_not_make_its_log_anew_after_a_teardown() -> None:
    [inline] = resources()["Role"]["Properties"]["Policies"]
    assert "logs:CreateLogGroup" not in json.dumps(inline)
