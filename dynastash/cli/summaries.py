"""What each command does, in a line, beside its name: `dynastash --help` need not load them all.

Made from the commands' own help by ``python -m tests.cli.reference --write``.
"""

from __future__ import annotations

from typing import Final

SUMMARIES: Final = {
    "put": "Store a value as the new current version of NAME.",
    "get": "Print the value of NAME.",
    "list": "List secrets, or those whose names start with PREFIX.",
    "history": "Show every version of NAME: who wrote it, when and why.",
    "diff": "Compare version ONE of NAME with version OTHER, or with the current one.",
    "generate": "Store a new random value as the next version of NAME.",
    "rotate": "Replace the value of NAME by a new one: create, set, test, finish.",
    "rollback": "Make an earlier value of NAME current again, as a new version.",
    "delete": "Hide NAME, or one version of it, so that it is not given out.",
    "undelete": "Take the deletion of NAME, or of one version of it, back.",
    "destroy": "Erase NAME, or versions of it, for good.",
    "prune": "Erase old versions for good, or deleted secrets that are due.",
    "run": "Run PROGRAM with secrets as environment variables: all of them, or it does not start.",
    "render": "Fill the secrets into TEMPLATE, a file or -.",
    "deploy": "Create or update the table and the keys of ENV on AWS.",
    "doctor": "Say what is wrong with the environment, and the next step.",
    "policy": "Print the least-privilege IAM policy for what is asked, or check existing ones.",
    "grant": "Let ROLE use secrets: attach the least policy, or add to it.",
    "revoke": "Take back what `grant` gave to ROLE, or only NAMES of it, and list what is to be rotated now.",
    "access": "Say who may read or replace the secret NAME, or with --role what one role may.",
    "audit": "Show who minted, unwrapped or rewrapped which version, when and from where.",
    "verify": "Check every record of the environment, or of the secrets whose names start with PREFIX.",
    "rewrap": "Wrap data keys anew, under the key that new versions get.",
    "export": "Back the environment up with --sealed, or hand secrets over to another program with --format.",
    "import": "Take secrets from FILE (- for standard input), the current values of another place, or restore a...",
    "env": "Show the environments, which one is in use, and why.",
    "completion": "Print a script for SHELL that completes commands, options and names.",
    "advance": "Let the next version of NAME be N + 1: after a restore, when N was used already.",
    "migrate": "Bring secrets over with all their versions; nothing at the source is changed.",
    "sync": "Keep copies of secrets where ECS, CloudFormation and other services of AWS read them.",
    "publish": "Write current values into a credstash table, for programs that go on reading it.",
}

NAMED: Final = (
    "put",
    "get",
    "list",
    "history",
    "diff",
    "generate",
    "rotate",
    "rollback",
    "delete",
    "undelete",
    "destroy",
    "prune",
    "doctor",
    "access",
    "audit",
    "verify",
    "advance",
    "rewrap",
)
"""Those whose first argument is a secret's name."""
