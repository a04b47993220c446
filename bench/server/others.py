"""STS, SSM and Secrets Manager: the one call each that the comparisons need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from bench.server.kms import ACCOUNT, REGION
from bench.server.refusals import Refused

VALUE: Final = "correct horse battery staple 32b"
"""What every parameter and every managed secret holds."""

_IDENTITY: Final = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDABENCH</UserId>
<Account>{ACCOUNT}</Account></GetCallerIdentityResult>
<ResponseMetadata><RequestId>bench</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""
_ROLE: Final = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><AssumedRoleId>AROABENCH:bench</AssumedRoleId>
<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/bench/bench</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>ASIABENCHBENCHBENCH0</AccessKeyId><SecretAccessKey>made-up</SecretAccessKey>
<SessionToken>made-up</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult><ResponseMetadata><RequestId>bench</RequestId></ResponseMetadata></AssumeRoleResponse>"""


def sts(body: bytes) -> tuple[str, str]:
    """The action of a form-encoded request, and the reply's XML."""
    action = parse_qs(body.decode()).get("Action", [""])[0]
    replies = {"GetCallerIdentity": _IDENTITY, "AssumeRole": _ROLE}
    if action not in replies:
        raise Refused("InvalidAction", action)
    return action, replies[action]


def managed(action: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """The reply of ``ssm:GetParameter`` or ``secretsmanager:GetSecretValue``."""
    if action == "GetParameter":
        name = request["Name"]
        arn = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{name}"
        return {
            "Parameter": {
                "ARN": arn,
                "DataType": "text",
                "LastModifiedDate": 1767225600.0,
                "Name": name,
                "Type": "SecureString",
                "Value": VALUE,
                "Version": 1,
            }
        }
    if action == "GetSecretValue":
        name = request["SecretId"]
        return {
            "ARN": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-abcdef",
            "CreatedDate": 1767225600.0,
            "Name": name,
            "SecretString": VALUE,
            "VersionId": "00000000-0000-4000-8000-000000000000",
            "VersionStages": ["AWSCURRENT"],
        }
    raise Refused("UnknownOperationException", action)
