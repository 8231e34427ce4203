"""Who signs what setup, check-setup and teardown ask: as the withdrawn tool took it, on the local cloud."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug import Request, Response

from rehearsal.cloud.serving import Server
from tests.aws.conftest import Run

SECRET = "Planted/Secret+That/Nobody/May/Ever/See00"


@pytest.fixture
def key_files(tmp_path: Path) -> tuple[str, str]:
    files = tmp_path / "publicKeyFile", tmp_path / "privateKeyFile"
    for file, text in zip(files, ("AKIAOFALICE", SECRET), strict=True):
        file.write_text(text + "\n")
        file.chmod(0o600)
    return str(files[0]), str(files[1])


@pytest.fixture
def nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has no credentials; whoever looks there finds none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")


def instance_metadata(request: Request) -> Response:
    """IMDSv2, as far as credentials go."""
    if request.method == "PUT":
        return Response("token")
    if request.path.endswith("/security-credentials/"):
        return Response("operators")
    return Response(
        json.dumps(
            {
                "Code": "Success",
                "AccessKeyId": "ASIAOFTHEINSTANCE",
                "SecretAccessKey": SECRET,
                "Token": "session",
                "Expiration": "2099-01-01T00:00:00Z",
            }
        )
    )


@pytest.fixture
def on_an_instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = Server("127.0.0.1", 0, Request.application(instance_metadata))
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    yield
    server.stop()


@pytest.mark.usefixtures("nothing_else")
def test_two_key_files_sign(run: Run, key_files: tuple[str, str]) -> None:
    status, text = run("-setup", "-yes", *key_files)
    assert (status, SECRET in text) == (0, False)
    assert run("-check-setup", *key_files)[0] == 0
    assert run("-teardown", "-yes", *key_files)[0] == 0


@pytest.mark.usefixtures("nothing_else")
def test_the_region_is_that_of_cloudformation_s_url(run: Run, key_files: tuple[str, str]) -> None:
    status, text = run("-setup", "-dry-run", *key_files, "https://cloudformation.eu-west-1.amazonaws.com")
    assert (status, text.splitlines()[3]) == (0, "eu-west-1")


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_key_files_that_others_may_read_are_refused(run: Run, key_files: tuple[str, str], mode: int) -> None:
    Path(key_files[1]).chmod(mode)
    status, text = run("-setup", "-yes", *key_files)
    assert (status, f"{key_files[1]} may be read by others; run: chmod 600" in text) == (1, True)


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"x" * 300], ids=["empty", "two", "bytes", "long"])
def test_what_is_no_key_is_refused_and_not_shown(run: Run, key_files: tuple[str, str], content: bytes) -> None:
    Path(key_files[1]).write_bytes(content)
    status, text = run("-setup", "-yes", *key_files)
    assert (status, text) == (
        1,
        f"condor_annex setup: {key_files[1]} doesn't hold a key: one word, and nothing else\n",
    )


@pytest.mark.usefixtures("nothing_else")
def test_a_key_file_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    status, text = run("-setup", "-yes", str(tmp_path / "a"), str(tmp_path / "b"))
    assert (status, "/a: No such file or directory" in text) == (1, True)


@pytest.mark.usefixtures("on_an_instance")
def test_from_instance_the_instance_s_role_signs_and_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("-setup", "FROM", "INSTANCE", "-dry-run")[0] == 0
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # the environment still has keys
    status, text = run("-setup", "FROM", "INSTANCE", "-dry-run")
    assert (status, "Unable to locate credentials" in text, "-profile NAME" in text) == (1, True, True)


@pytest.mark.parametrize(
    "words",
    [
        ["FROM"],
        ["a", "b", "not-a-url"],
        ["a", "b", "https://x", "c"],
        ["FROM", "INSTANCE", "-profile", "me"],
    ],
)
def test_words_that_are_no_credentials_are_refused(run: Run, words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run("-setup", *words)
    assert end.value.code == 2
