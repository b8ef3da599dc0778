"""From a URL and storage options to the store of obstore that they are of."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from scdataset._arguments import flag, nearest
from scdataset.errors import ArgumentValueError, ScDatasetError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["SCHEMES", "store_at"]

SCHEMES = {
    "s3": "S3Store", "s3a": "S3Store", "gs": "GCSStore", "gcs": "GCSStore",
    "az": "AzureStore", "abfs": "AzureStore", "abfss": "AzureStore", "azure": "AzureStore", "adl": "AzureStore",
    "http": "HTTPStore", "https": "HTTPStore",
}  # fmt: skip
"""Classes of obstore by the scheme of a URL."""

_CALLED = {"gcs": "gs"}
"""Schemes that obstore knows by another name."""

_USUAL = {
    "S3Store": ("access_key_id", "secret_access_key", "session_token", "region", "endpoint"),
    "GCSStore": ("service_account", "application_credentials"),
    "AzureStore": ("account_name", "account_key", "sas_key", "endpoint"),
    "HTTPStore": (),
}
"""Options that are given most often, by class."""

_OWN = ("anonymous", "anon", "client_options", "retry_config")
"""Storage options that are not those of a class of obstore."""

_OF_CLIENT = (
    "allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type", "default_headers",
    "http1_only", "http2_keep_alive_interval", "http2_keep_alive_timeout", "http2_keep_alive_while_idle", "http2_only",
    "pool_idle_timeout", "pool_max_idle_per_host", "proxy_ca_certificate", "proxy_excludes", "proxy_url",
    "randomize_addresses", "read_timeout", "root_certificate", "timeout", "user_agent",
)  # fmt: skip
"""Options of the client of HTTP: obstore ends in a panic for them among those of a store."""

_OF_RETRIES = ("max_retries", "backoff", "retry_timeout")

_OF_BACKOFF = ("init_backoff", "max_backoff", "base")


@lru_cache(maxsize=64)
def store_at(root: str, options: str) -> "ObjectStore":
    """Return the store of a bucket; it holds the connections of this process.

    Parameters
    ----------
    root, options
        As of `Bucket`.

    Raises
    ------
    ArgumentValueError
        If there is no such option, or it has another type or value.
    """
    from obstore import exceptions  # noqa: PLC0415 an optional package
    from obstore import store as stores  # noqa: PLC0415 as above

    given = {name: value for name, value in json.loads(options).items() if value is not None}
    scheme, rest = root.split("://", 1)
    try:
        retry = _retries(dict(given.get("retry_config", {})))
        client = dict(given.get("client_options", {}))
        client |= {name: value for name, value in given.items() if name in _OF_CLIENT}
        config = {name: value for name, value in given.items() if name not in (*_OWN, *_OF_CLIENT)}
        if _is_anonymous(given):
            config["skip_signature"] = True
        places = [root, *_endpoints(config)]
        if any(place.startswith("http://") for place in places):
            client.setdefault("allow_http", True)
        kind = getattr(stores, SCHEMES[scheme])
        others = {"client_options": client or None, "retry_config": retry}
        config_of_kind = {} if kind is stores.HTTPStore else {"config": config or None}
        store: ObjectStore = kind.from_url(f"{_CALLED.get(scheme, scheme)}://{rest}", **config_of_kind, **others)
    except ScDatasetError:
        raise
    except exceptions.UnknownConfigurationKeyError as error:
        message = (
            f"storage_options has an option that {root} does not know: {_first_line(error)} Give those of obstore, "
            f"such as {[*_USUAL[kind.__name__], *_OWN]}."
        )
        raise ArgumentValueError(message) from error
    except (TypeError, ValueError, OverflowError, exceptions.BaseError) as error:
        message = (
            f"{root} cannot be reached with storage_options {list(given)}, of these types and values, and with the "
            f"environment: {_first_line(error)}"
        )
        raise ArgumentValueError(message) from error
    return store


def _is_anonymous(given: Mapping[str, Any]) -> bool:
    """Return whether requests go without credentials, by any of the names that this has."""
    return any(flag(f"storage_options[{name!r}]", given[name]) for name in ("anonymous", "anon") if name in given)


def _endpoints(config: Mapping[str, object]) -> Iterator[str]:
    """Yield the addresses of hosts; obstore ends in a panic for one without a scheme."""
    for name, value in config.items():
        if name.endswith(("endpoint", "endpoint_url")) and isinstance(value, str):
            if not value.startswith(("http://", "https://")):
                message = f"{name}={value!r} has no scheme; give http://... or https://..."
                raise ValueError(message)
            yield value


def _retries(given: dict[str, Any]) -> dict[str, Any] | None:
    """Return how often requests are retried, with seconds as obstore takes them; it ignores names it does not know."""
    _refuse_unknown("retry_config", given, _OF_RETRIES)
    if "retry_timeout" in given:
        given["retry_timeout"] = _seconds(given["retry_timeout"])
    if "backoff" in given:
        backoff = dict(given["backoff"])
        _refuse_unknown("backoff", backoff, _OF_BACKOFF)
        given["backoff"] = {name: one if name == "base" else _seconds(one) for name, one in backoff.items()}
    return given or None


def _refuse_unknown(name: str, given: Mapping[str, object], known: tuple[str, ...]) -> None:
    unknown = [one for one in given if one not in known]
    if unknown:
        message = f"{name} has no {unknown[0]!r}; it has {list(known)}{nearest(unknown[0], known)}"
        raise ValueError(message)


def _seconds(value: float) -> object:
    from datetime import timedelta  # noqa: PLC0415 as the package that takes it

    return timedelta(seconds=value)


def _first_line(error: Exception) -> str:
    line = str(error).split("\n", 1)[0].strip()
    return line if line.endswith((".", "?")) else f"{line}."
