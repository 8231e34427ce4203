"""Where calls go, and whose credentials sign them."""

from pathlib import Path

import pytest
from types_boto3_s3 import S3Client

from annex_core.adapters.aws_credentials import Held, source
from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.daemon.keyring import KeyRing
from annex_core.errors import NotPermitted
from annex_core.model.keys import Keys


@pytest.fixture
def credentials(tmp_path: Path) -> str:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAOFTHEFILE\naws_secret_access_key = hush\n")
    return str(file)


def signer(client: S3Client) -> str:
    """The access key that a presigned URL names."""
    url = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    return url.partition("X-Amz-Credential=")[2].partition("%2F")[0]


def test_a_credentials_file_wins_over_the_environment(credentials: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert signer(AwsRegion("us-east-2", credentials_file=credentials).s3()) == "AKIAOFTHEFILE"


def test_credentials_renewed_in_the_file_sign_the_next_call(credentials: str) -> None:
    region = AwsRegion("us-east-2", credentials_file=credentials)
    client = region.s3()
    assert signer(client) == "AKIAOFTHEFILE"
    new = Path(credentials).with_suffix(".new")
    new.write_text("[default]\naws_access_key_id = AKIARENEWED\naws_secret_access_key = hush\n")
    new.replace(credentials)
    assert signer(client) == "AKIARENEWED"


@pytest.mark.parametrize(
    "text", ["", "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = x\n"], ids=["empty", "other profile"]
)
def test_a_file_without_the_default_profile_is_not_permitted_by_name(credentials: str, text: str) -> None:
    Path(credentials).write_text(text)
    with pytest.raises(NotPermitted, match="credentials can't be read or has no profile"), aws_call("PutObject"):
        signer(AwsRegion("us-east-2", credentials_file=credentials).s3())


def test_a_file_that_lacks_the_secret_is_not_permitted(credentials: str) -> None:
    Path(credentials).write_text("[default]\naws_access_key_id = AKIAOFTHEFILE\n")
    with pytest.raises(NotPermitted, match="aws_secret_access_key"), aws_call("PutObject"):
        signer(AwsRegion("us-east-2", credentials_file=credentials).s3())


def test_without_a_file_boto3_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert signer(AwsRegion("us-east-2").s3()) == "AKIAOFTHEENVIRONMENT"


def test_all_services_answer_at_the_endpoint_that_stands_in_for_aws(credentials: str) -> None:
    region = AwsRegion("us-east-2", endpoint="http://172.31.240.1:4566", credentials_file=credentials)
    clients = (region.ec2_reader(), region.ec2_writer(), region.ssm(), region.s3())
    assert {client.meta.endpoint_url for client in clients} == {"http://172.31.240.1:4566"}


def test_nobody_waits_longer_than_the_daemon_can(credentials: str) -> None:
    region = AwsRegion("us-east-2", credentials_file=credentials)
    for client in (region.ec2_reader(), region.ec2_writer(), region.ssm(), region.s3()):
        timeouts = vars(client.meta.config)
        assert (timeouts["connect_timeout"], timeouts["read_timeout"]) == (3, 20)


@pytest.fixture
def physics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own configuration of AWS has a profile, physics; the environment has keys, too."""
    file = tmp_path / "shared"
    file.write_text("[physics]\naws_access_key_id = AKIAOFPHYSICS\naws_secret_access_key = hush\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")


@pytest.mark.usefixtures("physics")
@pytest.mark.parametrize(("named", "expected"), [("site", "AKIAOFTHEFILE"), ("profile physics", "AKIAOFPHYSICS")])
def test_a_route_s_credentials_sign_and_no_others(credentials: str, named: str, expected: str) -> None:
    assert signer(AwsRegion("us-east-2", credentials=source(named, Path(credentials))).s3()) == expected


def renewed(file: Path, text: str) -> None:
    """As tools renew such a file: whole, at once."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@pytest.mark.usefixtures("physics")
def test_keys_renewed_in_a_profile_s_file_sign_the_next_call(credentials: str, tmp_path: Path) -> None:
    region = AwsRegion("us-east-2", credentials=source("profile physics", Path(credentials)))
    client = region.s3()
    assert signer(client) == "AKIAOFPHYSICS"
    renewed(tmp_path / "shared", "[physics]\naws_access_key_id = AKIARENEWED\naws_secret_access_key = hush\n")
    assert signer(client) == "AKIARENEWED"


@pytest.mark.usefixtures("physics")
def test_of_a_profile_whose_file_was_spoilt_no_old_key_signs_and_the_mended_one_does(
    credentials: str, tmp_path: Path
) -> None:
    client = AwsRegion("us-east-2", credentials=source("profile physics", Path(credentials))).s3()
    assert signer(client) == "AKIAOFPHYSICS"
    renewed(tmp_path / "shared", "[chemistry]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = hush\n")
    with pytest.raises(NotPermitted, match="physics"), aws_call("PutObject"):
        signer(client)
    renewed(tmp_path / "shared", "[physics]\naws_access_key_id = AKIAMENDED\naws_secret_access_key = hush\n")
    assert signer(client) == "AKIAMENDED"


def test_the_site_s_chain_reads_a_renewed_default_profile_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "shared"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    client = AwsRegion("us-east-2", credentials=source("site", None)).s3()
    for key in ("AKIAFIRST", "AKIASECOND"):
        renewed(file, f"[default]\naws_access_key_id = {key}\naws_secret_access_key = hush\n")
        assert signer(client) == key


@pytest.mark.usefixtures("physics")
def test_keys_in_memory_sign_and_others_take_their_place_at_the_next_call() -> None:
    held = [Keys("AKIAOFALICE", "hush")]
    region = AwsRegion("us-east-2", credentials=Held(lambda: held[-1]))
    assert signer(region.s3()) == "AKIAOFALICE"
    held.append(Keys("AKIARENEWED", "hush"))
    assert signer(region.s3()) == "AKIARENEWED"


@pytest.mark.usefixtures("physics")
def test_without_keys_in_memory_nothing_else_signs() -> None:
    ring = KeyRing()
    region = AwsRegion("us-east-2", credentials=Held(lambda: ring.keys("alice")))
    with pytest.raises(NotPermitted, match="alice's keys are not here"), aws_call("PutObject"):
        signer(region.s3())


@pytest.mark.usefixtures("physics")
def test_a_profile_that_is_not_there_is_not_permitted_by_name(credentials: str) -> None:
    region = AwsRegion("us-east-2", credentials=source("profile chemistry", Path(credentials)))
    with pytest.raises(NotPermitted, match="chemistry"), aws_call("AnnexCredentials"):
        region.ec2_reader()


@pytest.mark.usefixtures("physics")
def test_an_instance_s_role_is_asked_of_the_instance_alone(credentials: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    region = AwsRegion("us-east-2", credentials=source("instance-role", Path(credentials)))
    with pytest.raises(NotPermitted), aws_call("PutObject"):
        signer(region.s3())
