"""s3:// artifacts, with boto3: its ordinary credential chain, AWS_ENDPOINT_URL for other stores than AWS."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# boto3 itself is imported where it is used: the extra may be missing.
from mrc.fetch.sources import CHUNK, Body, PermanentError, SourceError, TemporaryError, temporary_status

# Codes that speak of the moment, but come with a status of 400 or 403.
_TEMPORARY_CODES = ("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded")


class S3Source:
    """One client. Raises PermanentError when boto3 is missing or cannot be configured."""

    def __init__(self) -> None:
        try:
            import boto3  # type: ignore[import-untyped]
            from botocore.config import Config  # type: ignore[import-untyped]
            from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
        except ImportError:
            raise PermanentError("no boto3 in this installation", "install the extra: mrc[s3]") from None
        try:
            self._client: Any = boto3.session.Session().client(
                "s3",
                config=Config(
                    connect_timeout=10,
                    read_timeout=30,
                    retries={"total_max_attempts": 1},  # retries are made in one place, verify.py
                    # The manifest's sha256 is the check; a stored checksum would fail first and say less.
                    response_checksum_validation="when_required",
                ),
            )
        except (BotoCoreError, ValueError) as error:
            raise _source_error(error) from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def open(self, bucket: str, key: str, offset: int) -> Iterator[Body]:
        """Open an object from `offset` bytes on. Raises TemporaryError, PermanentError."""
        from botocore.exceptions import BotoCoreError, ClientError

        part = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            answer = self._client.get_object(Bucket=bucket, Key=key, **part)
        except (BotoCoreError, ClientError, ValueError) as error:
            raise _source_error(error) from None
        stream = answer["Body"]
        try:
            # Every S3 answers a Range with 206; one that does not starts at 0.
            start = offset if answer["ResponseMetadata"]["HTTPStatusCode"] == 206 else 0
            yield Body(start, answer.get("ContentLength"), _chunks(stream))
        finally:
            stream.close()


def _chunks(stream: Any) -> Iterator[bytes]:
    from botocore.exceptions import BotoCoreError
    from urllib3.exceptions import HTTPError

    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except (BotoCoreError, HTTPError) as error:
        raise TemporaryError(type(error).__name__, "check the network, then run again") from None


def _source_error(error: Exception) -> SourceError:
    from botocore import exceptions  # type: ignore[import-untyped]

    if isinstance(error, exceptions.ClientError):
        answer: Any = error.response
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = re.sub(r"[^A-Za-z0-9.]", "", str(answer.get("Error", {}).get("Code", "")))[:60]
        found = f"S3 answered {status} {code}"
        if temporary_status(status) or code in _TEMPORARY_CODES:
            return TemporaryError(found, "run again; the store is busy or broken")
        if status == 404:
            return PermanentError(found, "upload the artifact again, or serve another version")
        if status in (401, 403):
            return PermanentError(found, "give the pod's service account the right to read it (s3:GetObject)")
        return PermanentError(found, "check the bucket, the region and AWS_ENDPOINT_URL")
    # Only the name of the error: its text may quote an endpoint with credentials in it.
    name = type(error).__name__
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return PermanentError(name, "give the pod credentials: a service account's role, or AWS_* variables")
    if isinstance(error, exceptions.SSLError):
        return PermanentError(name, "name the file of the authority's certificate in AWS_CA_BUNDLE")
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return TemporaryError(name, "check the network and AWS_ENDPOINT_URL, then run again")
    return PermanentError(name, "check the bucket's name, AWS_ENDPOINT_URL, the profile and the region")
