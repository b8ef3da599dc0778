"""Storage options: those that are known are taken, and others are told."""

import json

import pytest

pytest.importorskip("obstore")
from scdataset.engine.bytes.stores import store_at
from scdataset.errors import ArgumentTypeError, ArgumentValueError

S3 = {"endpoint": "http://127.0.0.1:9", "region": "us-east-1"}


def made(options, root="s3://bucket"):
    return store_at(root, json.dumps(options))


@pytest.mark.parametrize("name", ["anonymous", "anon"])
def test_whether_credentials_are_sent_is_a_flag(name):
    assert made({**S3, name: True}).config["skip_signature"]
    assert "skip_signature" not in made({**S3, name: False}).config
    with pytest.raises(ArgumentTypeError, match=rf"storage_options\['{name}'\]='false' is of type str"):
        made({**S3, name: "false"})


def test_options_of_the_client_may_be_beside_the_others():
    assert made({**S3, "timeout": "5s"}).client_options["timeout"] == "5s"
    assert made({**S3, "client_options": {"timeout": "5s"}}).client_options["timeout"] == "5s"


def test_waits_are_in_seconds():
    retry = made({"retry_config": {"backoff": {"init_backoff": 0.5, "base": 3}, "retry_timeout": 7}}).retry_config
    assert (retry["backoff"]["init_backoff"].total_seconds(), retry["backoff"]["base"]) == (0.5, 3)
    assert retry["retry_timeout"].total_seconds() == 7


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"retry_config": {"max_retrie": 1}}, "Did you mean 'max_retries'"),
        ({"retry_config": {"max_retries": -1}}, "negative"),
        ({"retry_config": {"backoff": {"start": 1}}}, r"backoff has no 'start'"),
        ({"endpoint_url": S3["endpoint"]}, "Duplicate key"),
        ({"skip_signature": "maybe"}, "maybe"),
        ({"key": "x"}, r"'key' is not valid .* such as \['access_key_id'"),
        ({"client_options": {"timeout": 5}}, "client_options"),
    ],
)
def test_other_options_are_told(wrong, told):
    with pytest.raises(ArgumentValueError, match=told):
        made({**S3, **wrong})


@pytest.mark.parametrize(
    ("root", "options"),
    [
        ("gs://bucket", '{"anonymous": true}'),
        ("gcs://bucket", '{"anonymous": true}'),
        ("az://container", '{"anonymous": true, "account_name": "someone"}'),
        ("https://host", '{"retry_config": {"max_retries": 1, "retry_timeout": 5}}'),
        ("s3://bucket", '{"anon": true, "region": "us-east-1"}'),
    ],
)
def test_every_scheme_has_a_store(root, options):
    assert store_at(root, options) is not None
    assert store_at(root, options) is store_at(root, options)
