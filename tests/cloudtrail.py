"""Records in the shape that AWS documents for KMS's entries in CloudTrail's logs."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALICE = "arn:aws:iam::111122223333:user/Alice"
START = datetime(2026, 11, 22, 9, tzinfo=UTC)


def record(
    event: str = "Decrypt",
    name: str = "app1/db",
    version: int | str = 1,
    *,
    at: datetime = START,
    env: str = "prod",
    principal: str = ALICE,
    key: str = KEY,
    error: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One entry; ``more`` replaces whole fields of it."""
    context = {
        "dynastash:env": env,
        "dynastash:name": name,
        "dynastash:version": str(version),
        "dynastash:format": "1",
    }
    resources = [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key}]
    parameters: dict[str, Any]
    if event == "ReEncrypt":
        parameters = {
            "sourceEncryptionContext": context,
            "destinationKeyId": "0987dcba-09fe-87dc-65ba-ab0987654321",
            "destinationEncryptionContext": context,
        }
        resources.append({**resources[0], "ARN": key.replace("1234abcd", "0987dcba")})
    elif event == "Decrypt":
        parameters = {"encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT", "keyId": key}
    else:
        parameters = {"keyId": "alias/dynastash-prod", "keySpec": "AES_256", "encryptionContext": context}
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "EX_PRINCIPAL_ID",
            "arn": principal,
            "accountId": "111122223333",
            "accessKeyId": "EXAMPLE_KEY_ID",
            "userName": "Alice",
        },
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "kms.amazonaws.com",
        "eventName": event,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "Boto3/1.40 dynastash/0.1.0",
        **({"errorCode": error, "errorMessage": "refused"} if error else {}),
        "requestParameters": parameters,
        "responseElements": None,
        "requestID": str(uuid.uuid4()),
        "eventID": str(uuid.uuid4()),
        "readOnly": True,
        "resources": resources,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
        **more,
    }
