"""What keeping copies in AWS's own services takes besides reading the secrets: for ``dynastash sync``.

What is made carries the environment's name as a tag from its first moment on, and only what carries it may be replaced
or removed: no mistake reaches what others made. On purpose, whoever may set tags can make it theirs first.
"""

from __future__ import annotations

from typing import Any, Final

from dynastash.policy.document import Json, Target

TAG: Final = "dynastash:environment"


def to_parameters(target: Target, path: str, key: str | None = None) -> list[Json]:
    """Statements for SecureStrings under ``path``. ``key`` is the ARN of the key that encrypts them, if not AWS's."""
    _, partition, _, region, account, _ = target.table.split(":", 5)
    parameters = f"arn:{partition}:ssm:{region}:{account}:parameter{path.rstrip('/')}/*"
    return [
        _allow("FindParameters", "ssm:DescribeParameters", "*"),
        _allow("ReadCopies", "ssm:GetParameters", parameters),
        _allow("MakeCopies", ["ssm:AddTagsToResource", "ssm:PutParameter"], parameters, _tagged("Request", target)),
        _allow(
            "KeepCopies",
            ["ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter"],
            parameters,
            _tagged("Resource", target),
        ),
        *_with_key(key, "ssm", region, ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]),
    ]


def to_secrets(target: Target, prefix: str, key: str | None = None) -> list[Json]:
    """Statements for secrets of Secrets Manager whose names start with ``prefix``; ``key`` as above."""
    _, partition, _, region, account, _ = target.table.split(":", 5)
    secrets = f"arn:{partition}:secretsmanager:{region}:{account}:secret:{prefix}*"
    return [
        _allow("FindSecrets", ["secretsmanager:BatchGetSecretValue", "secretsmanager:ListSecrets"], "*"),
        _allow("ReadCopies", ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], secrets),
        _allow(
            "MakeCopies",
            ["secretsmanager:CreateSecret", "secretsmanager:TagResource"],
            secrets,
            _tagged("Request", target),
        ),
        _allow(
            "KeepCopies",
            [
                "secretsmanager:DeleteSecret",
                "secretsmanager:PutSecretValue",
                "secretsmanager:RestoreSecret",
                "secretsmanager:TagResource",
            ],
            secrets,
            _tagged("Resource", target),
        ),
        *_with_key(key, "secretsmanager", region, ["kms:Decrypt", "kms:GenerateDataKey"]),
    ]


def _tagged(whose: str, target: Target) -> Json:
    return {"StringEquals": {f"aws:{whose}Tag/{TAG}": target.environment}}


def _with_key(key: str | None, service: str, region: str, actions: list[str]) -> list[Json]:
    if key is None:  # AWS's own key for the service is open to whoever may use the service
        return []
    via = {"StringEquals": {"kms:ViaService": f"{service}.{region}.amazonaws.com"}}
    return [_allow("UseTheCopiesKey", actions, key, via)]


def _allow(sid: str, action: str | list[str], resource: str, condition: Json | None = None) -> Json:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return statement if condition is None else {**statement, "Condition": condition}
